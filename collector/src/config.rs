//! `collector.toml` and `policy.toml`: a table for each room and each part of the trunk.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Invalid;
use watchward_daemon::place::Misplaced;

use crate::{
    access, alerting, health, hosts, intake, keys, people, policy, report, restriction, sealing,
    store, web,
};

/// The whole of the collector's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub store: store::Config,
    /// Where agents connect.
    pub intake: intake::Config,
    /// Where the operator's command connects.
    pub admin: web::Admin,
    /// Where people's browsers connect.
    pub web: web::Config,
    /// Who may sign in there.
    pub people: people::Config,
    /// What secrets in the database are sealed with.
    pub sealing: sealing::Config,
    /// Where it stands what should hold.
    pub policy: policy::Config,
    /// Who is told, and how.
    pub alerting: alerting::Config,
    /// Who may be a host.
    pub hosts: hosts::Config,
    /// When an attempt to get in is an attack.
    pub access: access::Config,
    /// When a check flaps, and how long measurements are kept.
    pub health: health::Config,
    /// When logins from outside count as over, and how long bans last. What is outside is in the
    /// policy.
    pub restriction: restriction::Config,
    /// How long keys are remembered. What they have to be like is in the policy.
    pub keys: keys::Config,
    /// Who gets the weekly report.
    pub report: report::Config,
}

/// The whole of `policy.toml`: what should hold, by groups of hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Hosts by their names, so that rules can speak of several at once.
    pub groups: policy::Groups,
    /// Addresses by name, so that rules can say from where.
    pub networks: policy::Networks,
    /// Who may reach what from where.
    pub restriction: restriction::Table,
    /// Checks that groups of hosts run beside their own.
    pub health: health::Policy,
    /// How old keys may be, and which are strong enough.
    pub keys: keys::Policy,
    /// Who is told of what.
    pub alerting: alerting::Routes,
}

impl Config {
    /// Reads the configuration alone.
    ///
    /// # Errors
    /// What makes no sense in it, and where.
    pub fn alone(file: &Path) -> Result<Self, Invalid> {
        watchward_daemon::config::read(file)
    }

    /// Reads the configuration, and the policy that it names.
    ///
    /// # Errors
    /// Which of the two makes no sense, and where.
    pub fn read(file: &Path) -> Result<(Self, Policy), Invalid> {
        let config = Self::alone(file)?;
        let contacts = &config.alerting.contacts;
        let policy = match Policy::read(&config.policy.file, Some(contacts)) {
            Err(Invalid::Unreadable { error, .. }) if error.kind() == ErrorKind::NotFound => {
                let file = config.policy.file.display();
                tracing::info!(%file, "there is no policy: the defaults hold");
                Policy::default()
            }
            read => read?,
        };
        Ok((config, policy))
    }
}

impl Policy {
    /// Reads a policy, whose routes may name these contacts; any, where they are not known.
    ///
    /// # Errors
    /// What makes no sense in it, and where.
    pub fn read(file: &Path, contacts: Option<&[alerting::Contact]>) -> Result<Self, Invalid> {
        watchward_daemon::config::read_whole(file, |policy: &mut Self| policy.join(contacts))
    }

    /// The same of a text that was read already, which errors name so.
    ///
    /// # Errors
    /// What makes no sense in it, and where.
    pub fn parse(
        text: &str,
        named: &Path,
        contacts: &[alerting::Contact],
    ) -> Result<Self, Invalid> {
        let join = |policy: &mut Self| policy.join(Some(contacts));
        watchward_daemon::config::parse(text, named, join)
    }

    /// Has each table look up what it names of others.
    fn join(&mut self, contacts: Option<&[alerting::Contact]>) -> Result<(), Misplaced> {
        let Self {
            groups,
            networks,
            restriction,
            health,
            keys,
            alerting,
        } = self;
        networks.join()?;
        restriction.join(groups, networks)?;
        health.join(groups)?;
        keys.join(groups, networks)?;
        alerting.join(groups, contacts)
    }
}

#[cfg(test)]
mod tests {
    use watchward_daemon::config::missing;

    use super::*;

    const SHIPPED: &str = include_str!("../../config/collector.toml");
    const POLICY: &str = include_str!("../../config/policy.toml");

    #[test]
    fn the_shipped_file_is_the_default() {
        let shipped: Config = toml::from_str(SHIPPED).unwrap();
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn the_shipped_policy_is_the_default() {
        let shipped: Policy = toml::from_str(POLICY).unwrap();
        assert_eq!(shipped, Policy::default());
    }

    #[test]
    fn the_shipped_policy_has_every_knob() {
        let shipped: toml::Table = POLICY.parse().unwrap();
        let all = toml::Table::try_from(Policy::default()).unwrap();
        assert_eq!(missing(&all, &shipped), Vec::<String>::new());
    }

    #[test]
    fn the_examples_in_the_shipped_policy_are_right() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), examples(POLICY)).unwrap();
        let contacts = of_examples().alerting.contacts;
        let policy = Policy::read(file.path(), Some(&contacts)).unwrap();
        assert_ne!(policy, Policy::default(), "it has examples");
    }

    /// A file with its examples: lines that begin with `#` and no space.
    fn examples(shipped: &str) -> String {
        let line = |line| str::strip_prefix(line, '#').filter(|it| !it.starts_with(' '));
        let lines = shipped.lines().map(|it| line(it).unwrap_or(it));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_shipped_file_has_every_knob() {
        let shipped: toml::Table = SHIPPED.parse().unwrap();
        let all = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(missing(&all, &shipped), Vec::<String>::new());
    }

    #[test]
    fn the_examples_in_the_shipped_file_are_right() {
        assert_ne!(of_examples(), Config::default());
    }

    fn of_examples() -> Config {
        let usual = SHIPPED.lines().filter(|it| !it.starts_with("database = "));
        let text = examples(&usual.collect::<Vec<_>>().join("\n"));
        toml::from_str(&text).unwrap()
    }
}
