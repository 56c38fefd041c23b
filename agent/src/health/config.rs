//! What `[health]` in `agent.toml` says: the host itself, and checks by kind and name.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::span::Span;

use super::{host, http, process, systemd, tcp};

/// `[health]`: what is checked. Without a word, the host itself is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The host itself: processors, memory, disks, load.
    pub host: host::Config,
    /// Units of systemd that should be active, each as `[health.systemd.NAME]`.
    pub systemd: BTreeMap<Name, systemd::Config>,
    /// Programs that should be running, each as `[health.process.NAME]`.
    pub process: BTreeMap<Name, process::Config>,
    /// Addresses that should accept a TCP connection, each as `[health.tcp.NAME]`.
    pub tcp: BTreeMap<Name, tcp::Config>,
    /// Pages that should answer, each as `[health.http.NAME]`.
    pub http: BTreeMap<Name, http::Config>,
}

/// How often a check runs, and what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: Interval,
    pub(super) timeout: Span,
    pub(super) failures: NonZeroU32,
}

/// How often a check runs, where nothing else is said.
pub(super) const INTERVAL: Interval = Interval(Span::seconds(30));
/// How long a check may take, where nothing else is said.
pub(super) const TIMEOUT: Span = Span::seconds(5);
/// How many failures in a row count, where nothing else is said.
pub(super) const FAILURES: NonZeroU32 = NonZeroU32::new(2).unwrap();

pub(super) const fn interval() -> Interval {
    INTERVAL
}

pub(super) const fn timeout() -> Span {
    TIMEOUT
}

pub(super) const fn failures() -> NonZeroU32 {
    FAILURES
}

/// The name of a check: letters, digits, `-`, `_`, `.`; at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name of a check.
#[derive(Debug, thiserror::Error)]
#[error("a check's name is 1 to 64 letters, digits, \"-\", \"_\" or \".\"")]
pub struct NotAName;

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text)) } else { Err(NotAName) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a check runs: a span of at least one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Span", into = "Span")]
pub struct Interval(Span);

/// A span that is too short to check so often.
#[derive(Debug, thiserror::Error)]
#[error("expected an interval of at least \"1s\", found \"{0}\"")]
pub struct TooOften(Span);

impl Interval {
    /// The same as the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0.duration()
    }
}

impl TryFrom<Span> for Interval {
    type Error = TooOften;

    fn try_from(span: Span) -> Result<Self, TooOften> {
        if span < Span::seconds(1) {
            return Err(TooOften(span));
        }
        Ok(Self(span))
    }
}

impl From<Interval> for Span {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes how often a check runs, from its `interval`, `timeout` and `failures`.
macro_rules! paced {
    ($config:ty) => {
        impl $config {
            pub(in crate::health) const fn pace(&self) -> $crate::health::config::Pace {
                $crate::health::config::Pace {
                    interval: self.interval,
                    timeout: self.timeout,
                    failures: self.failures,
                }
            }
        }
    };
}
pub(super) use paced;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        health: Config,
    }

    fn read(text: &str) -> Result<Config, watchward_daemon::config::Invalid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        watchward_daemon::config::read::<File>(file.path()).map(|file| file.health)
    }

    #[test]
    fn every_kind_of_check_is_read() {
        let config = read(
            r#"
            [health.host]
            cpu = 80
            load = 1.5
            [health.systemd.postgres]
            unit = "postgresql.service"
            [health.process.cron]
            name = "cron"
            [health.tcp.postgres]
            address = "[::1]:5432"
            failures = 5
            [health.http."www.example.org"]
            url = "https://www.example.org/health"
            status = [200, "300-399"]
            interval = "1m"
            "#,
        )
        .unwrap();
        assert_eq!(config.tcp["postgres"].address.to_string(), "[::1]:5432");
        assert_eq!(config.tcp["postgres"].failures.get(), 5);
        assert!(config.http["www.example.org"].status.holds(302));
        assert!(!config.http["www.example.org"].status.holds(500));
        assert!(
            config.host.enabled,
            "the host is checked unless it is said otherwise"
        );
    }

    #[test]
    fn what_is_impossible_is_shown_with_its_place() {
        for (line, expected) in [
            ("host = { cpu = 101 }", "percent"),
            ("host = { load = -1.0 }", "load"),
            ("host = { interval = \"10ms\" }", "at least \"1s\""),
            ("systemd.a = { unit = \"\" }", "unit"),
            ("systemd.a = { unit = \"nginx\" }", "nginx.service"),
            ("process.a = { name = \"\" }", "name"),
            ("tcp.a = { address = \"localhost\" }", "host and port"),
            ("tcp.a = { address = \"localhost:0\" }", "host and port"),
            (
                "tcp.a = { address = \"localhost:22\", failures = 0 }",
                "nonzero",
            ),
            ("http.a = { url = \"example.org\" }", "http"),
            ("http.a = { url = \"ftp://example.org\" }", "http"),
            (
                "http.a = { url = \"http://a/\", status = 99 }",
                "100 to 599",
            ),
            (
                "http.a = { url = \"http://a/\", status = \"299-200\" }",
                "100 to 599",
            ),
            (
                "http.a = { url = \"http://a/\", staus = 200 }",
                "unknown field",
            ),
            (
                "tcp.\"a b\" = { address = \"localhost:22\" }",
                "check's name",
            ),
        ] {
            let error = read(&format!("[health]\n{line}\n"))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("line 2") && error.contains('^'),
                "{line}: {error}"
            );
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
