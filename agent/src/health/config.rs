//! What `[health]` in `agent.toml` says: the host itself, and checks by kind and name.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use watchward_protocol::checks::{Checks, Kind, host};

use super::orders;

/// `[health]`: what is checked. Without a word, the host itself is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// The host itself: processors, memory, disks, load.
    pub host: host::Config,
    /// What the collector may have this host check.
    pub orders: orders::Config,
    /// Checks, each as `[health.KIND.NAME]`.
    #[serde(flatten)]
    pub checks: Checks,
}

/// A key of `[health]`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
enum Key {
    Host,
    Orders,
    Kind(Kind),
}

impl TryFrom<String> for Key {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        match key.as_str() {
            "host" => return Ok(Self::Host),
            "orders" => return Ok(Self::Orders),
            _ => {}
        }
        let kind = Kind::of(&key).map(Self::Kind);
        kind.ok_or_else(|| {
            format!(
                "unknown field `{key}`, expected one of host, orders, {}",
                Kind::words()
            )
        })
    }
}

/// By hand, for with serde's `flatten` a mistake would be shown without its place.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Config;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of checks")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut table: M) -> Result<Config, M::Error> {
                let mut config = Config::default();
                while let Some(key) = table.next_key()? {
                    match key {
                        Key::Host => config.host = table.next_value()?,
                        Key::Orders => config.orders = table.next_value()?,
                        Key::Kind(kind) => config.checks.read(kind, &mut table)?,
                    }
                }
                Ok(config)
            }
        }

        file.deserialize_map(Table)
    }
}

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
        assert_eq!(
            config.checks.tcp["postgres"].address.to_string(),
            "[::1]:5432"
        );
        assert_eq!(config.checks.tcp["postgres"].failures.get(), 5);
        assert!(config.checks.http["www.example.org"].status.holds(302));
        assert!(!config.checks.http["www.example.org"].status.holds(500));
        assert!(
            config.host.enabled,
            "the host is checked unless it is said otherwise"
        );
    }

    fn refused(cases: &[(&str, &str)]) {
        for (line, expected) in cases {
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

    #[test]
    fn what_is_impossible_is_shown_with_its_place() {
        refused(&[
            ("host = { cpu = 101 }", "percent"),
            ("host = { load = -1.0 }", "load"),
            ("host = { interval = \"10ms\" }", "at least \"1s\""),
            ("host.pressure = { disk = 5 }", "unknown field"),
            ("orders = { plugins = [\"plugins\"] }", "begins with"),
            ("systemd.a = { unit = \"\" }", "unit"),
            ("timer.a = { unit = \"backup.service\" }", "backup.timer"),
            ("command.a = { command = [] }", "whole path"),
            ("command.a = { command = [\"ls\"] }", "whole path"),
            (
                "command.a = { command = [\"/bin/ls\"], env = { \"A B\" = \"\" } }",
                "variable",
            ),
            ("icmp.a = { host = \"a\", packets = 0 }", "1 to 20"),
            (
                "dns.a = { name = \"a\", record = \"AAA\" }",
                "unknown variant",
            ),
            (
                "dns.a = { name = \"a\", server = \"b\" }",
                "server's address",
            ),
            (
                "tls.a = { address = \"a:1\", starttls = \"http\" }",
                "unknown variant",
            ),
            ("file.a = { path = \"a\" }", "begins with"),
            ("file.a = { path = \"/a\", max_size = \"1\" }", "size"),
            ("systemd.a = { unit = \"nginx\" }", "nginx.service"),
            ("process.a = { name = \"\" }", "name"),
        ]);
    }

    #[test]
    fn what_is_impossible_of_an_address_is_shown_with_its_place() {
        refused(&[
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
                "tpc.a = { address = \"localhost:22\" }",
                "unknown field `tpc`, expected one of host",
            ),
            (
                "tcp.\"a b\" = { address = \"localhost:22\" }",
                "check's name",
            ),
        ]);
    }
}
