//! What another policy would change, and who would be shut out by it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use watchward_daemon::place::Misplaced;
use watchward_protocol::restriction::{Exception, Gate, Mode, Transport};
use watchward_protocol::time::Timestamp;

use super::api::{COUNTED, Outside};
use super::gates::Ordered;
use super::held::stand::stand;
use super::policy::Table;
use super::rows::held::{self, Held};
use super::rows::listing::{self, Came};
use super::services::written;
use crate::intake::Watched;
use crate::store::Store;

/// How many accounts are looked through at most that somebody used.
const LOOKED: i64 = 200_000;

/// All that no network of a gate holds.
const OTHERS: &str = "everybody else";

/// What another policy would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The gates that would be others, with the hosts.
    pub changes: Vec<Change>,
    /// Who would be shut out and is not now: every account, address and host of the logins of the
    /// last 90 days, the latest first.
    pub losing: Vec<Outside>,
    /// Hosts that are to have gates and would not hold them, as far as is known now.
    pub unready: Vec<Unready>,
}

/// A host that would not hold its gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// The host.
    pub host: String,
    /// Why not, as a sentence about it: `has no enforcer`.
    pub why: &'static str,
    /// Whether something is to be shut there, and not only watched.
    pub enforce: bool,
}

/// A gate that would be another, on each of these hosts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The service that it is before.
    pub service: String,
    /// Its ports, as they would be.
    pub ports: Vec<String>,
    /// Its mode now; none: there is no gate.
    pub before: Option<&'static str>,
    /// What its mode would be; none: there would be no gate.
    pub after: Option<&'static str>,
    /// From where it could be passed then and not now; of a new gate, from where at all.
    pub added: Vec<String>,
    /// From where it can be passed now and not then.
    pub removed: Vec<String>,
    /// The hosts.
    pub hosts: Vec<String>,
}

/// Where agents connect to the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// What this machine calls itself.
    pub machine: String,
    /// The ports of TCP.
    pub ports: Vec<u16>,
}

/// What would be another if a policy took the place of the one before.
///
/// # Errors
/// The database's.
pub async fn plan(
    store: &Store,
    (before, after): (&Table, &Table),
    hosts: &[Watched],
    now: Timestamp,
) -> sqlx::Result<Plan> {
    let names: Vec<_> = hosts.iter().map(|one| one.host.name.clone()).collect();
    let held = held::all(store).await?;
    let unready = hosts.iter().filter_map(|host| {
        let name = &host.host.name;
        unready((host, &after.ordered(name, now, now)), held.get(name))
    });
    let came = listing::came(store, now - COUNTED, (None, None), LOOKED).await?;
    let losing = came
        .into_iter()
        .filter(|one| loses((before, after), one, now));
    Ok(Plan {
        changes: changes((before, after), &names, now),
        losing: losing.map(Outside::from).collect(),
        unready: unready.collect(),
    })
}

fn unready((host, ordered): (&Watched, &Ordered), held: Option<&Held>) -> Option<Unready> {
    let why = stand(ordered, host, held).hindrance()?;
    (!ordered.is_empty()).then(|| Unready {
        host: host.host.name.clone(),
        why,
        enforce: !ordered.shut.is_empty(),
    })
}

/// Whether somebody is shut out who is not now.
pub(super) fn loses((before, after): (&Table, &Table), came: &Came, now: Timestamp) -> bool {
    let what = (came.host.as_str(), came.service.name());
    after.shuts(what, came.address, now) && !before.shuts(what, came.address, now)
}

pub(super) fn changes(
    (before, after): (&Table, &Table),
    hosts: &[String],
    now: Timestamp,
) -> Vec<Change> {
    let mut changes: BTreeMap<Change, Vec<String>> = BTreeMap::new();
    for host in hosts {
        let gates = |table: &Table| table.gates(host, now, now).gates;
        let (old, new) = (gates(before), gates(after));
        let gone = old.iter().filter(|gate| named(&new, &gate.name).is_none());
        let pairs = gone.map(|gate| (Some(gate), None));
        let pairs = pairs.chain(new.iter().map(|gate| (named(&old, &gate.name), Some(gate))));
        for change in pairs.filter_map(|(old, new)| change(old, new)) {
            changes.entry(change).or_default().push(host.clone());
        }
    }
    let all = changes.into_iter();
    all.map(|(change, hosts)| Change { hosts, ..change })
        .collect()
}

fn named<'a>(gates: &'a [Gate], name: &str) -> Option<&'a Gate> {
    gates.iter().find(|gate| gate.name == name)
}

fn change(before: Option<&Gate>, after: Option<&Gate>) -> Option<Change> {
    if before == after {
        return None;
    }
    let some = after.or(before)?;
    let (added, removed) = match (before, after) {
        (Some(before), Some(after)) => moved(before, after),
        // Before there was a gate everybody passed, and behind one that is gone everybody does.
        (None, after) => (permitted(after), vec![OTHERS.to_owned()]),
        (Some(_), None) => (vec![OTHERS.to_owned()], Vec::new()),
    };
    Some(Change {
        service: some.name.clone(),
        ports: some.ports.iter().map(written).collect(),
        before: before.map(|gate| gate.mode.name()),
        after: after.map(|gate| gate.mode.name()),
        added,
        removed,
        hosts: Vec::new(),
    })
}

/// From where a gate can be passed after a change and not before, and the other way round.
fn moved(before: &Gate, after: &Gate) -> (Vec<String>, Vec<String>) {
    let (old, new) = (for_a_while(before), for_a_while(after));
    let mut added = without(&after.from, &before.from);
    added.extend(missing(&old, &new));
    let mut removed = without(&before.from, &after.from);
    removed.extend(missing(&new, &old));
    (added, removed)
}

/// From where a gate can be passed.
fn permitted(gate: Option<&Gate>) -> Vec<String> {
    let of = |gate: &Gate| {
        let from = gate.from.iter().map(ToString::to_string);
        from.chain(for_a_while(gate)).collect()
    };
    gate.map(of).unwrap_or_default()
}

fn for_a_while(gate: &Gate) -> Vec<String> {
    gate.exceptions.iter().map(shown).collect()
}

fn shown(exception: &Exception) -> String {
    format!("{} until {}", exception.from, exception.until)
}

/// Those of `all` that are not among `there`.
fn missing(there: &[String], all: &[String]) -> Vec<String> {
    let more = all.iter().filter(|one| !there.contains(one));
    more.cloned().collect()
}

/// The addresses of some networks that are not in the others, as networks.
fn without(nets: &[IpNet], others: &[IpNet]) -> Vec<String> {
    let mut left = Vec::new();
    for net in nets {
        let near: Vec<_> = others
            .iter()
            .filter(|other| other.contains(net) || net.contains(*other))
            .copied()
            .collect();
        cut(*net, &near, &mut left);
    }
    let left = IpNet::aggregate(&left);
    left.iter().map(ToString::to_string).collect()
}

/// What is left of a network. Each step halves it, so that it takes 128 for each other at most.
fn cut(net: IpNet, others: &[IpNet], left: &mut Vec<IpNet>) {
    if others.iter().any(|other| other.contains(&net)) {
        return;
    }
    let inside: Vec<_> = others
        .iter()
        .filter(|other| net.contains(*other))
        .copied()
        .collect();
    if inside.is_empty() {
        left.push(net);
        return;
    }
    for half in net.subnets(net.prefix_len() + 1).into_iter().flatten() {
        cut(half, &inside, left);
    }
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
fn few(names: &[String]) -> String {
    match names {
        [one, two, three, _, ..] => format!("{one}, {two}, {three} and {} more", names.len() - 3),
        _ => names.join(", "),
    }
}
