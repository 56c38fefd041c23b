//! A check as the collector orders it: kind, name, and its table as a file would have it.

use serde::{Deserialize, Serialize};

use super::{Check, Checks, Kind, Name, NotAName};

/// How many bytes the settings of one check may have.
const LONGEST: usize = 16 * 1024;

/// A check that the collector wants a host to run. Not understood before [`Ordered::check`] says so:
/// an agent may be older than its collector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ordered {
    /// The word for its kind, such as `tcp`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its table in TOML, as it would stand under `[health.KIND.NAME]`.
    pub settings: String,
}

/// An ordered check that this program does not understand.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// Of a kind that this program does not have.
    #[error("there is no kind of check named {kind:?}, only {}", Kind::words())]
    Kind {
        /// What was ordered.
        kind: String,
    },
    /// Under a name that is none.
    #[error("{name:?} is no name: {error}")]
    Name {
        /// What was ordered.
        name: String,
        /// Why it is none.
        error: NotAName,
    },
    /// With settings that are too long to be looked at.
    #[error("its settings have {0} bytes, and at most {LONGEST} are read")]
    Long(usize),
    /// With settings that make no sense.
    #[error("{0}")]
    Settings(#[from] toml::de::Error),
}

/// A check that cannot be ordered: its settings do not fit a file.
#[derive(Debug, thiserror::Error)]
#[error("the check {kind}.{name} cannot be written down: {error}")]
pub struct NotWritten {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Why.
    pub error: toml::ser::Error,
}

impl Checks {
    /// The same as orders.
    ///
    /// # Errors
    /// A check has a value that TOML cannot hold.
    pub fn ordered(&self) -> Result<Vec<Ordered>, NotWritten> {
        let order = |(name, check): (Name, Check)| {
            let kind = check.kind();
            match toml::to_string(&check) {
                Ok(settings) => Ok(Ordered {
                    kind: kind.word().to_owned(),
                    name: name.into(),
                    settings,
                }),
                Err(error) => Err(NotWritten { kind, name, error }),
            }
        };
        self.all().into_iter().map(order).collect()
    }
}

impl Ordered {
    /// The check that is meant.
    ///
    /// # Errors
    /// [`NotUnderstood`]: an unknown kind or key, or an impossible value, with its place.
    pub fn check(&self) -> Result<(Name, Check), NotUnderstood> {
        let kind = Kind::of(&self.kind).ok_or_else(|| NotUnderstood::Kind {
            kind: self.kind.clone(),
        })?;
        let name = Name::try_from(self.name.clone()).map_err(|error| NotUnderstood::Name {
            name: self.name.clone(),
            error,
        })?;
        if self.settings.len() > LONGEST {
            return Err(NotUnderstood::Long(self.settings.len()));
        }
        Ok((name, kind.read(&self.settings)?))
    }
}

#[cfg(test)]
mod tests;
