//! What `[restriction]` in `agent.toml` says: who is shut out by this host itself, and for how long.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watchward_protocol::span::Span;

/// `[restriction]`: who is shut out by this host itself, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where watchward-enforcer listens. Without one nobody new is shut out.
    pub socket: PathBuf,
    /// Whether this host shuts out by itself who tries again and again. What the collector orders
    /// holds in any case.
    pub bans: bool,
    /// How many failed tries of one address (of one /64 of IPv6) are too many: from 2 to 64.
    pub tries: Tries,
    /// Within how long.
    pub within: Span,
    /// For how long somebody is shut out the first time.
    pub first: Span,
    /// How many times as long it is each further time: from 1 to 100.
    pub factor: Factor,
    /// The longest time; also, for how long after a ban it is remembered that there was one.
    pub longest: Span,
    /// Whether lines of text logs count, too: any local user can write there in sshd's name, and so
    /// have any address shut out.
    pub trust_text: bool,
    /// For how long after a login by key its address is not banned, and may sign in again; the guard
    /// file may say less.
    pub vouch: Span,
    /// For how long new gates hold before they are confirmed over a new connection to the collector;
    /// else those before hold again.
    pub trial: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/watchward-enforcer/socket"),
            bans: true,
            tries: Tries(5),
            within: Span::minutes(10),
            first: Span::minutes(10),
            factor: Factor(4),
            longest: Span::days(7),
            trust_text: false,
            vouch: Span::minutes(4 * 60),
            trial: Span::minutes(1),
        }
    }
}

/// How many tries are too many. Never one: a single line of a log shuts nobody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Tries(u32);

/// How many times as long a further ban is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Factor(u32);

/// A number that is not within its range.
#[derive(Debug, thiserror::Error)]
#[error("expected a number from {0} to {1}")]
pub struct OutOfRange(u32, u32);

impl Tries {
    /// As a count of things.
    pub(super) fn count(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Factor {
    /// As a number to multiply with.
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Tries {
    type Error = OutOfRange;

    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        within(number, 2, 64).map(Self)
    }
}

impl TryFrom<u32> for Factor {
    type Error = OutOfRange;

    fn try_from(number: u32) -> Result<Self, OutOfRange> {
        within(number, 1, 100).map(Self)
    }
}

impl From<Tries> for u32 {
    fn from(tries: Tries) -> Self {
        tries.0
    }
}

impl From<Factor> for u32 {
    fn from(factor: Factor) -> Self {
        factor.0
    }
}

fn within(number: u32, least: u32, most: u32) -> Result<u32, OutOfRange> {
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(OutOfRange(least, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_try_is_never_too_many_and_what_is_impossible_is_shown_with_its_place() {
        for (line, expected) in [
            ("tries = 1", "from 2 to 64"),
            ("tries = 65", "from 2 to 64"),
            ("factor = 0", "from 1 to 100"),
            ("first = \"10\"", "span of time"),
            ("ban = true", "unknown field"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), line).unwrap();
            let read = watchward_daemon::config::read::<Config>(file.path());
            let error = read.unwrap_err().to_string();
            assert!(
                error.contains("line 1") && error.contains(expected),
                "{line}: {error}"
            );
        }
    }
}
