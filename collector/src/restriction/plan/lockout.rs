//! Whom a policy would lock out that must not be by mistake: everybody of a host, the operator, and hosts
//! of the collector. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use watchward_daemon::place::Misplaced;
use watchward_protocol::restriction::{Gate, Mode, Transport};
use watchward_protocol::time::Timestamp;

use super::what;
use crate::restriction::policy::Table;
use crate::restriction::rows::listing::Came;

/// Where agents connect to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// What this machine calls itself.
    pub machine: String,
    /// The ports of TCP.
    pub ports: Vec<u16>,
}

/// The hosts that nobody of those could log in to any more, by any service.
pub(super) fn locked(
    came: &[Came],
    (before, after): (&Table, &Table),
    now: Timestamp,
) -> Vec<String> {
    let mut hosts: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for one in came {
        let (now_open, then_open) = hosts.entry(&one.host).or_default();
        let passes = |table: &Table| !table.shuts(what(one), one.address, now);
        *now_open |= passes(before);
        *then_open |= passes(after);
    }
    let locked = hosts.into_iter();
    let locked = locked.filter(|(_, (now_open, then_open))| *now_open && !then_open);
    locked.map(|(host, _)| host.to_owned()).collect()
}

impl Table {
    /// The hosts that would shut SSH to this address, and the rule that says so of the first.
    pub fn shut_to(
        &self,
        address: IpAddr,
        hosts: &[String],
        now: Timestamp,
    ) -> Option<(Vec<String>, Misplaced)> {
        let shut = hosts
            .iter()
            .filter(|host| self.shuts((host, "ssh"), address, now));
        let shut: Vec<_> = shut.cloned().collect();
        let first = shut.first()?;
        let message = format!(
            "{address}, where you come from, is in none of the networks of this rule: you could not \
             log in to {} any more",
            few(&shut)
        );
        let place = self.shutting((first, "ssh"), message)?;
        Some((shut, place))
    }

    /// The rule that locks everybody out of the first of these hosts.
    pub fn locking(&self, hosts: &[String]) -> Option<Misplaced> {
        let first = hosts.first()?;
        let mut services = self.services.names();
        services.find_map(|service| {
            let message = format!(
                "of all who logged in to {} within 90 days nobody could any more: they came from \
                 none of the networks of this rule",
                few(hosts)
            );
            self.shutting((first, service.as_str()), message)
        })
    }

    /// Looks whether hosts elsewhere could still reach the collector.
    ///
    /// # Errors
    /// A rule shuts a port where agents connect.
    pub fn spares(&self, own: &Own) -> Result<(), Misplaced> {
        let short = own.machine.split('.').next().unwrap_or(&own.machine);
        for host in [own.machine.as_str(), short] {
            for gate in self
                .gates(host, Timestamp::default(), Timestamp::default())
                .gates
            {
                let Some(port) = shut_port(&gate, own) else {
                    continue;
                };
                let message = format!(
                    "\"{}\" is also port {port} of {host}, where agents connect to the collector: \
                     hosts elsewhere could not reach it any more",
                    gate.name
                );
                if let Some(misplaced) = self.shutting((host, &gate.name), message) {
                    return Err(misplaced);
                }
            }
        }
        Ok(())
    }
}

/// A port of the collector's that a gate shuts to somebody.
fn shut_port(gate: &Gate, own: &Own) -> Option<u16> {
    let all = ["0.0.0.0/0", "::/0"]
        .iter()
        .filter_map(|net| net.parse::<IpNet>().ok());
    let open = all.into_iter().all(|all| gate.from.contains(&all));
    if open || gate.mode == Mode::Watch {
        return None;
    }
    let shuts = |port: &u16| {
        let mut ports = gate.ports.iter();
        ports.any(|it| it.transport == Transport::Tcp && (it.first..=it.last).contains(port))
    };
    own.ports.iter().copied().find(|port| shuts(port))
}

/// The first of many names.
pub(in crate::restriction) fn few(names: &[String]) -> String {
    match names {
        [one, two, three, _, ..] => format!("{one}, {two}, {three} and {} more", names.len() - 3),
        _ => names.join(", "),
    }
}
