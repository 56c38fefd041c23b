//! `[health.systemd.NAME]`: a unit of systemd that should be active.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pace::{Pace, paced};

paced! {
    Pace::USUAL;
    /// A unit that should be active.
    pub struct Config {
        /// The unit, with its kind: `nginx.service`, `backup.timer`.
        pub unit: Unit,
    }
}

/// The name of a unit, with its kind, as systemd's `unit_name_is_valid` takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(String);

/// A text that is no name of a unit.
#[derive(Debug, thiserror::Error)]
#[error("expected a unit with its kind, such as \"nginx.service\"")]
pub struct NotAUnit;

const KINDS: [&str; 10] = [
    "service",
    "socket",
    "timer",
    "mount",
    "automount",
    "target",
    "path",
    "swap",
    "slice",
    "scope",
];

impl Unit {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Unit {
    type Error = NotAUnit;

    fn try_from(text: String) -> Result<Self, NotAUnit> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let (name, kind) = text.rsplit_once('.').ok_or(NotAUnit)?;
        let fits = !name.is_empty() && text.len() < 256 && name.bytes().all(plain);
        if fits && KINDS.contains(&kind) {
            return Ok(Self(text));
        }
        Err(NotAUnit)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.0
    }
}
