//! `agent.toml`: a table for each room and each part of the trunk.

use serde::{Deserialize, Serialize};

use crate::{access, health, hosts, identities, keys, restriction, spool, uplink};

/// The whole of the agent's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the collector is.
    pub uplink: uplink::Config,
    /// What is kept while the collector is away.
    pub spool: spool::Config,
    /// Who this host is.
    pub hosts: hosts::Config,
    /// Which logs say who gets in.
    pub access: access::Config,
    /// What is checked on this host.
    pub health: health::Config,
    /// What opens the accounts of this host.
    pub keys: keys::Config,
    /// Which keys programs of this host log in elsewhere with.
    pub identities: identities::Config,
    /// Who is shut out.
    pub restriction: restriction::Config,
}

#[cfg(test)]
mod tests {
    use watchward_daemon::config::missing;

    use super::*;

    const SHIPPED: &str = include_str!("../../config/agent.toml");

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
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|it| !it.starts_with(' '))
                    .unwrap_or(line)
            })
            .collect();
        toml::from_str::<Config>(&examples.join("\n")).unwrap();
    }
}
