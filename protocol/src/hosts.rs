//! What an agent says of itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who a host is: 128 random bits given at enrolment, carried by its certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId([u8; 16]);

impl HostId {
    /// What a host's certificate says before its id, as a URI in the subject alternative name.
    pub const URI_PREFIX: &str = "watchward://host/";

    /// The identity made of these random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a host id is 32 lower-case hexadecimal digits")]
pub struct NotAHostId;

impl FromStr for HostId {
    type Err = NotAHostId;

    fn from_str(text: &str) -> Result<Self, NotAHostId> {
        let plain = text.len() == 32
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = plain.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or(NotAHostId)
    }
}

/// The whole of what an agent found on its host: sent at every start and whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doctor {
    /// The agent's version.
    pub version: String,
    /// The operating system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// What it watches, what it does not, and why.
    pub findings: Vec<Finding>,
}

/// One thing that an agent looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `access: journal`, `health: systemd`, ...
    pub subject: String,
    /// Whether it is watched.
    pub state: FindingState,
    /// One sentence for a person.
    pub detail: String,
}

/// Whether something is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// It is.
    Watched,
    /// It is not there.
    Absent,
    /// It is there and cannot be watched.
    Failing,
}
