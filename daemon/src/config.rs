//! Configuration: a TOML file read strictly, and a value that follows its reloads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::place::Misplaced;

/// A configuration file that cannot be used. Shows the place with line and caret.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It says something that makes no sense.
    #[error("{}: {error}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and why, with the line and a caret under the place.
        error: Box<toml::de::Error>,
    },
    /// One part of it makes no sense with another.
    #[error("{}: {shown}", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// Where and why, with the line and a caret under the place.
        shown: String,
    },
}

/// Reads a configuration. An unknown key, a wrong type, or an impossible value is an error.
///
/// # Errors
/// [`Invalid`], which names the file, the line, and what was expected.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Invalid> {
    read_whole(path, |_| Ok(()))
}

/// Reads a configuration whose parts refer to each other: `join` looks from one to the other.
///
/// # Errors
/// As of [`read`], and what `join` says.
pub fn read_whole<T: DeserializeOwned>(
    path: &Path,
    join: impl FnOnce(&mut T) -> Result<(), Misplaced>,
) -> Result<T, Invalid> {
    let text = std::fs::read_to_string(path).map_err(|error| Invalid::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    parse(&text, path, join)
}

/// The same for a text that was read already, which errors name so.
///
/// # Errors
/// As of [`read_whole`].
pub fn parse<T: DeserializeOwned>(
    text: &str,
    named: &Path,
    join: impl FnOnce(&mut T) -> Result<(), Misplaced>,
) -> Result<T, Invalid> {
    let mut value = toml::from_str(text).map_err(|error| Invalid::Wrong {
        path: named.to_owned(),
        error: Box::new(error),
    })?;
    join(&mut value).map_err(|misplaced| Invalid::misplaced(named, text, &misplaced))?;
    Ok(value)
}

impl Invalid {
    /// What makes no sense in this text, which is called so.
    pub fn misplaced(named: &Path, text: &str, misplaced: &Misplaced) -> Self {
        Self::Misplaced {
            path: named.to_owned(),
            shown: misplaced.shown(text),
        }
    }
}

/// The keys that `all` has and `shipped` has not, empty ones aside: for the test that a shipped
/// file says everything there is to say.
pub fn missing(all: &toml::Table, shipped: &toml::Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in all {
        let said = shipped.get(key);
        if let Some(all) = value.as_table() {
            let none = toml::Table::new();
            let said = said.and_then(toml::Value::as_table);
            keys.extend(missing(all, said.unwrap_or(&none)));
        } else if said.is_none() && !value.as_array().is_some_and(Vec::is_empty) {
            keys.push(key.clone());
        }
    }
    keys
}

/// Puts another value in the place of what is followed, if it is another.
pub fn replace<T: PartialEq>(followed: &watch::Sender<Arc<T>>, value: T) {
    followed.send_if_modified(|before| {
        let differs = **before != value;
        if differs {
            *before = Arc::new(value);
        }
        differs
    });
}

/// A part of the configuration that follows reloads.
#[derive(Debug)]
pub struct Live<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// A value, and the hand that changes it.
    pub fn new(value: T) -> (watch::Sender<Arc<T>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(value));
        (sender, Self(receiver))
    }

    /// A value that never changes.
    pub fn fixed(value: T) -> Self {
        Self::new(value).1
    }

    /// The value as it is now.
    pub fn now(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Waits until the value is another one; for ever, if it cannot change any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use watchward_protocol::span::Span;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read to see what is refused")]
    struct Sample {
        every: Span,
    }

    fn refusal(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read::<Sample>(file.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_typo_is_shown_with_line_and_caret() {
        let error = refusal("every = \"5s\"\nevry = \"6s\"\n");
        assert!(
            error.contains("line 2") && error.contains("^^^^"),
            "{error}"
        );
        assert!(
            error.contains("unknown field `evry`, expected `every`"),
            "{error}"
        );
    }

    #[test]
    fn an_impossible_value_is_shown_with_what_was_expected() {
        let error = refusal("every = \"soon\"\n");
        assert!(
            error.contains("line 1") && error.contains("^^^^^^"),
            "{error}"
        );
        assert!(error.contains("expected a span of time"), "{error}");
    }
}
