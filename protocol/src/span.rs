//! A span of time as people write it: `500ms`, `30s`, `5m`, `24h`, `7d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time in a configuration file: a whole number of `ms`, `s`, `m`, `h` or `d`, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("ms", 1),
    ("m", 60_000),
    ("s", 1000),
];

impl Span {
    /// That many milliseconds.
    pub const fn milliseconds(count: u64) -> Self {
        Self(Duration::from_millis(count))
    }

    /// That many seconds.
    pub const fn seconds(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }

    /// That many minutes.
    pub const fn minutes(count: u64) -> Self {
        Self::seconds(60 * count)
    }

    /// That many days.
    pub const fn days(count: u64) -> Self {
        Self::seconds(86_400 * count)
    }

    /// The same as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// A text that is no span of time.
#[derive(Debug, thiserror::Error)]
#[error("expected a span of time such as \"500ms\", \"30s\", \"5m\", \"24h\" or \"7d\"")]
pub struct NotASpan;

impl TryFrom<String> for Span {
    type Error = NotASpan;

    fn try_from(text: String) -> Result<Self, NotASpan> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text
            .strip_suffix(unit)
            .and_then(|number| number.parse::<u64>().ok());
        let scale = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale);
        let count = number
            .zip(scale)
            .and_then(|(number, scale)| number.checked_mul(scale));
        count
            .filter(|count| *count > 0)
            .map(Self::milliseconds)
            .ok_or(NotASpan)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let units = [UNITS[0], UNITS[1], UNITS[3], UNITS[4], UNITS[2]];
        let fits = units
            .into_iter()
            .find(|(_, scale)| whole.is_multiple_of(*scale));
        let (unit, scale) = fits.unwrap_or(("ms", 1));
        write!(f, "{}{unit}", whole / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["500ms", "30s", "5m", "24h", "7d", "90s"] {
            let span = Span::try_from(text.to_owned()).unwrap();
            assert_eq!(Span::try_from(span.to_string()).unwrap(), span);
        }
        assert_eq!(Span::try_from("24h".to_owned()).unwrap().to_string(), "1d");
    }

    #[test]
    fn refuses_what_is_no_span() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "5 s",
            "5w",
            "0s",
            "99999999999999999999d",
        ] {
            assert!(
                Span::try_from(text.to_owned()).is_err(),
                "{text:?} was taken"
            );
        }
    }
}
