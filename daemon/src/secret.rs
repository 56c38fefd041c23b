//! A secret: read from a file that the configuration names, and never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Has the kernel make no core dump of this program, and let no other program of the same user look into
/// its memory: secrets are there in the clear while they are used.
pub fn keep_out_of_dumps() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Only a value that it does not know is refused.
    let _always = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Bytes that must not be seen. `Debug` says nothing, and memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Reads a secret from a file; white space at its end does not count.
    ///
    /// # Errors
    /// The file cannot be read, is not UTF-8, or is empty.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the secret in {}", path.display()))?;
        let text = Zeroizing::new(text);
        ensure!(
            !text.trim_end().is_empty(),
            "the secret file {} is empty",
            path.display()
        );
        Ok(Self(Zeroizing::new(text.trim_end().to_owned())))
    }

    /// The secret itself, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where a secret lies. With systemd's `LoadCredential=NAME`, write `"$CREDENTIALS_DIRECTORY/NAME"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// Reads it.
    ///
    /// # Errors
    /// As [`Secret::read`], and when it names a credentials directory that systemd did not give.
    pub fn read(&self) -> anyhow::Result<Secret> {
        let Ok(name) = self.0.strip_prefix("$CREDENTIALS_DIRECTORY") else {
            return Secret::read(&self.0);
        };
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
            .context("$CREDENTIALS_DIRECTORY is not set: systemd gives it with LoadCredential=")?;
        Secret::read(&Path::new(&folder).join(name))
    }
}

impl From<PathBuf> for SecretFile {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        assert_eq!(
            format!("{:?}", Secret::from("hunter2".to_owned())),
            "Secret"
        );
    }

    #[test]
    fn an_empty_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n").unwrap();
        let error = Secret::read(file.path()).unwrap_err().to_string();
        assert!(
            error.contains(&file.path().display().to_string()),
            "{error}"
        );
    }
}
