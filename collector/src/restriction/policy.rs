//! The table `[restriction]` of the policy: who may reach what from where.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::restriction::Mode;
use watchward_protocol::time::Timestamp;

use super::gates::Ordered;
use super::services::{Reached, Services};
use super::sound;
use crate::policy::networks::{Name, Networks};
use crate::policy::{Day, Groups, Members, Origins};

/// The table `[restriction]` of the policy. A service of a host that no rule speaks of is open to
/// everywhere; where several do, each permits more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// Whether hosts put back by themselves what a third hand took away of their gates; else it is
    /// only told.
    pub put_back: bool,
    /// What is reached on hosts, by name: ports. "ssh", "openvpn" and "wireguard" are there unless it says
    /// otherwise.
    pub services: Services,
    /// The rules, each as `[[restriction.rules]]`.
    pub rules: Vec<Rule>,
    /// From where else somebody may come for a while, each as `[[restriction.exceptions]]`.
    pub exceptions: Vec<Exception>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            put_back: true,
            services: Services::default(),
            rules: Vec::new(),
            exceptions: Vec::new(),
        }
    }
}

/// What the policy says of networks: the tables `[networks]` and `[restriction]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Addresses by name.
    pub networks: Networks,
    /// Who may reach what from where.
    pub table: Table,
    /// When it came into force.
    pub since: Timestamp,
}

/// The table `[[restriction.rules]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// For the hosts of these groups.
    pub groups: Members,
    /// What is reached there.
    pub services: Reached,
    /// From where it may be.
    pub from: Origins,
    /// Whether it is shut to others, or only watched.
    #[serde(default)]
    pub mode: Mode,
}

/// The table `[[restriction.exceptions]]`: beside what rules permit, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// For the hosts of these groups.
    pub groups: Members,
    /// What may be reached there.
    pub services: Reached,
    /// From where.
    pub from: Origins,
    /// The last day of it, in UTC.
    pub until: Day,
    /// Why, for whoever reads the policy.
    pub reason: Reason,
}

/// Why there is an exception, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Whether an address is one from which a service may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// No rule speaks of it.
    Open,
    /// It is.
    Inside,
    /// It is not: these networks would be.
    Outside(Vec<&'a Name>),
}

impl Policy {
    /// Both tables, after they were joined.
    pub fn of(networks: Networks, table: Table) -> Self {
        Self {
            networks,
            table,
            since: Timestamp::default(),
        }
    }

    /// The same, which came into force then.
    #[must_use]
    pub fn since(self, since: Timestamp) -> Self {
        Self { since, ..self }
    }

    /// Which gates a host is to hold at that moment.
    pub(super) fn ordered(&self, host: &str, now: Timestamp) -> Ordered {
        self.table.ordered(host, self.since, now)
    }
}

impl Table {
    /// Looks up the groups, services and networks that rules name, and whether all goes together.
    ///
    /// # Errors
    /// What does not.
    pub fn join(&mut self, groups: &Groups, networks: &Networks) -> Result<(), Misplaced> {
        self.services.join()?;
        for rule in &mut self.rules {
            rule.groups.join(groups)?;
            rule.services.join(&self.services)?;
            rule.from.join(networks)?;
        }
        for exception in &mut self.exceptions {
            exception.groups.join(groups)?;
            exception.services.join(&self.services)?;
            exception.from.join(networks)?;
        }
        sound::rules(self)
    }

    /// The rules about a service of a host.
    pub(super) fn about<'a>(
        &'a self,
        host: &'a str,
        service: &'a str,
    ) -> impl Iterator<Item = &'a Rule> {
        let rules = self.rules.iter();
        rules.filter(move |rule| rule.services.has(service) && rule.groups.has(host))
    }

    /// Which of the rules and exceptions, in their order, are about a host.
    pub(super) fn concerns(&self, host: &str) -> Vec<bool> {
        let rules = self.rules.iter().map(|rule| &rule.groups);
        let exceptions = self.exceptions.iter().map(|one| &one.groups);
        let all = rules.chain(exceptions);
        all.map(|groups| groups.has(host)).collect()
    }

    /// The exceptions about a service of a host, as they are at that moment.
    pub(super) fn excepted<'a>(
        &'a self,
        host: &'a str,
        service: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Exception> {
        let holding = self.exceptions.iter().filter(move |one| one.holds(now));
        holding.filter(move |one| one.services.has(service) && one.groups.has(host))
    }

    /// Whether a service of a host may be reached from an address at that moment.
    pub(super) fn place<'a>(
        &'a self,
        (host, service): (&'a str, &'a str),
        address: IpAddr,
        now: Timestamp,
    ) -> Place<'a> {
        let mut permitted = Vec::new();
        for rule in self.about(host, service) {
            if rule.from.has(address) {
                return Place::Inside;
            }
            permitted.extend(rule.from.names());
        }
        if permitted.is_empty() {
            return Place::Open;
        }
        for exception in self.excepted(host, service, now) {
            if exception.from.has(address) {
                return Place::Inside;
            }
            permitted.extend(exception.from.names());
        }
        permitted.sort_unstable();
        permitted.dedup();
        Place::Outside(permitted)
    }

    /// Whether a host shuts a service to an address at that moment.
    pub(super) fn shuts(
        &self,
        (host, service): (&str, &str),
        address: IpAddr,
        now: Timestamp,
    ) -> bool {
        let mut rules = self.about(host, service);
        let enforced = rules.any(|rule| rule.mode == Mode::Enforce);
        enforced && matches!(self.place((host, service), address, now), Place::Outside(_))
    }
}

impl Exception {
    /// Whether it holds still.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        now < self.until.end()
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.trim().is_empty() {
            true => Err("expected why there is an exception, in words"),
            false => Ok(Self(text)),
        }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl Reason {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
