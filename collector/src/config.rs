//! `collector.toml`: a table for each room and each part of the trunk.

use serde::{Deserialize, Serialize};

use crate::{access, alerting, health, hosts, intake, store, web};

/// The whole of the collector's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub store: store::Config,
    /// Where agents connect.
    pub intake: intake::Config,
    /// Where the operator's command connects.
    pub admin: web::Config,
    /// Who is told, and how.
    pub alerting: alerting::Config,
    /// Who may be a host.
    pub hosts: hosts::Config,
    /// When an attempt to get in is an attack.
    pub access: access::Config,
    /// When a check flaps, and how long measurements are kept.
    pub health: health::Config,
}

#[cfg(test)]
mod tests {
    use watchward_daemon::config::missing;

    use super::*;

    const SHIPPED: &str = include_str!("../../config/collector.toml");

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped: Config = toml::from_str(SHIPPED).unwrap();
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn the_shipped_file_has_every_knob() {
        let shipped: toml::Table = SHIPPED.parse().unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(missing(&all, &shipped), Vec::<String>::new());
    }

    #[test]
    fn the_examples_in_the_shipped_file_are_right() {
        let examples: Vec<_> = SHIPPED
            .lines()
            .filter(|line| !line.starts_with("database = "))
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|it| !it.starts_with(' '))
                    .unwrap_or(line)
            })
            .collect();
        toml::from_str::<Config>(&examples.join("\n")).unwrap();
    }
}
