//! Whether the rules of a policy go together, and what about them is worth a word. Pure.

use watchward_daemon::place::Misplaced;
use watchward_protocol::restriction::{MOST_EXCEPTIONS, MOST_NETWORKS, Mode, Ports};
use watchward_protocol::time::Timestamp;

use super::policy::{Rule, Table};
use super::services::{Reached, written};
use crate::policy::Members;
use crate::policy::networks::Name;

/// The ports that Linux gives to outgoing connections by default: ip-sysctl.rst of the kernel.
const OUTGOING: (u16, u16) = (32_768, 60_999);

/// Looks whether each rule is about somebody, and no two say opposite things of one gate.
pub(super) fn rules(table: &Table) -> Result<(), Misplaced> {
    let exceptions = table.exceptions.iter().map(|one| &one.groups);
    for groups in table
        .rules
        .iter()
        .map(|rule| &rule.groups)
        .chain(exceptions)
    {
        somebody(groups)?;
    }
    for (at, rule) in table.rules.iter().enumerate() {
        for other in table.rules.iter().take(at) {
            one_mode(rule, other)?;
        }
    }
    few_enough(table)
}

fn somebody(groups: &Members) -> Result<(), Misplaced> {
    match groups.is_nobody() {
        true => Err(groups.misplaced("no host is in any of these groups, nor could be")),
        false => Ok(()),
    }
}

/// A service of a host is either shut to others or only watched.
fn one_mode(rule: &Rule, other: &Rule) -> Result<(), Misplaced> {
    if rule.mode == other.mode || !rule.groups.meets(&other.groups) {
        return Ok(());
    }
    let Some((here, there)) = rule.services.shared(&other.services) else {
        return Ok(());
    };
    let (service, mode) = (here.get_ref(), rule.mode.name());
    let message = format!(
        "this rule has \"{service}\" in the mode \"{mode}\", and a host could be in a group of \
         another that has it in \"{}\": a gate is either shut to others or watched",
        other.mode.name()
    );
    Err(Misplaced::at(here, message).beside(there, "this is the other"))
}

/// More than a host takes is refused here, where somebody sees it: all that is about hosts which one
/// rule could be about. What is over counts, too, so that a policy does not become wrong by itself.
fn few_enough(table: &Table) -> Result<(), Misplaced> {
    let times = |nets: usize, services: &Reached| nets * services.names().count();
    let of_rules: Vec<_> = table
        .rules
        .iter()
        .map(|rule| times(rule.from.nets().count(), &rule.services))
        .collect();
    for rule in &table.rules {
        let (mut all, rules) = (0, table.rules.iter().zip(&of_rules));
        for (other, nets) in rules.filter(|(other, _)| other.groups.meets(&rule.groups)) {
            all += nets;
            if all > MOST_NETWORKS {
                let message = format!(
                    "the rules about these hosts let in {all} networks up to here, each counted for \
                     each service, and a host takes {MOST_NETWORKS}"
                );
                return Err(other.groups.misplaced(&message));
            }
        }
        let mut all = 0;
        for one in table
            .exceptions
            .iter()
            .filter(|one| one.groups.meets(&rule.groups))
        {
            all += times(one.from.nets().count(), &one.services);
            if all > MOST_EXCEPTIONS {
                let message = format!(
                    "the exceptions for these hosts have {all} networks up to here, each counted for \
                     each service, and a host takes {MOST_EXCEPTIONS}: take out those that are over"
                );
                return Err(one.groups.misplaced(&message));
            }
        }
    }
    Ok(())
}

impl Table {
    /// What is right and still worth a word: exceptions that are over, or that except nothing, and
    /// gates before ports that hosts call others from.
    pub fn notices(&self, now: Timestamp) -> Vec<String> {
        let mut notices = self.outgoing();
        for one in &self.exceptions {
            let groups: Vec<_> = one.groups.names().map(|name| name.as_str()).collect();
            let services: Vec<_> = one.services.names().map(|name| name.as_str()).collect();
            let what = format!(
                "the exception for {} of {} (\"{}\")",
                services.join(", "),
                groups.join(", "),
                one.reason.as_str()
            );
            if !one.holds(now) {
                notices.push(format!(
                    "{what} ended with {}: it can be taken out",
                    one.until
                ));
                continue;
            }
            let excepts = |rule: &Rule| {
                rule.groups.meets(&one.groups) && rule.services.shared(&one.services).is_some()
            };
            if !self.rules.iter().any(excepts) {
                notices.push(format!("{what} excepts nothing: no rule is about these"));
            }
        }
        notices
    }

    /// Gates before ports that a host gives to connections of its own: what comes back is judged too.
    fn outgoing(&self) -> Vec<String> {
        let ruled = |name: &&Name| {
            let mut rules = self.rules.iter();
            rules.any(|rule| rule.services.has(name.as_str()))
        };
        let notice = |name: &Name| {
            let ports = self.services.ports(name);
            let among = |ports: &&Ports| ports.first <= OUTGOING.1 && OUTGOING.0 <= ports.last;
            let ports = written(ports.iter().find(among)?);
            Some(format!(
                "\"{name}\" is {ports}, and from {} to {} are the ports that hosts use for connections \
                 of their own, unless net.ipv4.ip_local_port_range says otherwise there: answers to \
                 those from elsewhere are judged too. Keep the port from that use with \
                 net.ipv4.ip_local_reserved_ports, or take another",
                OUTGOING.0, OUTGOING.1
            ))
        };
        self.services
            .names()
            .filter(ruled)
            .filter_map(notice)
            .collect()
    }

    /// Rules that are about none of these hosts: their groups may have names to come, or mistakes.
    pub fn idle(&self, hosts: &[String]) -> Vec<String> {
        let idle = |rule: &&Rule| !hosts.iter().any(|host| rule.groups.has(host));
        let notice = |rule: &Rule| {
            let groups: Vec<_> = rule.groups.names().map(|name| name.as_str()).collect();
            let services: Vec<_> = rule.services.names().map(|name| name.as_str()).collect();
            format!(
                "the rule for {} of {} is about no host that is watched now",
                services.join(", "),
                groups.join(", ")
            )
        };
        self.rules.iter().filter(idle).map(notice).collect()
    }

    /// When the next exception ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.exceptions.iter().map(|one| one.until.end());
        ends.filter(|end| *end > now).min()
    }

    /// The first rule that has a host shut a service to this address at that moment, as what is
    /// wrong with it.
    pub(super) fn shutting(
        &self,
        (host, service): (&str, &str),
        message: String,
    ) -> Option<Misplaced> {
        let mut rules = self.about(host, service);
        let rule = rules.find(|rule| rule.mode == Mode::Enforce)?;
        Some(Misplaced::at(rule.services.place(service)?, message))
    }
}
