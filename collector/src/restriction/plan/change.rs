//! Which gates would be others, and from where they could be passed then and not before. Pure.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;
use watchward_protocol::restriction::{Exception, Gate, Mode};
use watchward_protocol::time::Timestamp;

use crate::restriction::policy::Table;
use crate::restriction::services::written;

/// All that no network of a gate holds, where it is shut to them, and where they are only counted.
const OTHERS: &str = "everybody else";
const EVERYBODY: &str = "everybody";
const COUNTED: &str = "everybody else (only counted)";

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
    /// From where it could be passed then.
    pub permitted: Vec<String>,
    /// From where it could be passed then and not now.
    pub added: Vec<String>,
    /// From where it can be passed now and not then.
    pub removed: Vec<String>,
    /// The hosts.
    pub hosts: Vec<String>,
}

pub(in crate::restriction) fn changes(
    (before, after): (&Table, &Table),
    hosts: &[String],
    now: Timestamp,
) -> Vec<Change> {
    // Hosts that the same rules are about have the same gates: of many networks these take a while.
    let mut alike: BTreeMap<(Vec<bool>, Vec<bool>), Vec<String>> = BTreeMap::new();
    for host in hosts {
        let about = (before.concerns(host), after.concerns(host));
        alike.entry(about).or_default().push(host.clone());
    }
    let mut changes: BTreeMap<Change, Vec<String>> = BTreeMap::new();
    for hosts in alike.values() {
        let Some(host) = hosts.first() else { continue };
        let gates = |table: &Table| table.gates(host, now, now).gates;
        let (old, new) = (gates(before), gates(after));
        let gone = old.iter().filter(|gate| named(&new, &gate.name).is_none());
        let pairs = gone.map(|gate| (Some(gate), None));
        let pairs = pairs.chain(new.iter().map(|gate| (named(&old, &gate.name), Some(gate))));
        for change in pairs.filter_map(|(old, new)| change(old, new)) {
            changes.entry(change).or_default().extend_from_slice(hosts);
        }
    }
    changes.values_mut().for_each(|hosts| hosts.sort_unstable());
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
        (Some(before), Some(after)) if before.mode == after.mode => moved(before, after),
        // Where there is no gate everybody passes, and so they do where it only counts.
        (_, Some(after)) if after.mode == Mode::Enforce || before.is_none() => {
            (Vec::new(), vec![others(after).to_owned()])
        }
        (_, Some(after)) => (vec![others(after).to_owned()], Vec::new()),
        (_, None) => (vec![OTHERS.to_owned()], Vec::new()),
    };
    Some(Change {
        service: some.name.clone(),
        ports: some.ports.iter().map(written).collect(),
        before: before.map(|gate| gate.mode.name()),
        after: after.map(|gate| gate.mode.name()),
        permitted: after.map_or_else(|| vec![EVERYBODY.to_owned()], permitted),
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
fn permitted(gate: &Gate) -> Vec<String> {
    let from = gate.from.iter().map(ToString::to_string);
    from.chain(for_a_while(gate)).collect()
}

/// Whom a gate is about that come from elsewhere.
const fn others(gate: &Gate) -> &'static str {
    match gate.mode {
        Mode::Enforce => OTHERS,
        Mode::Watch => COUNTED,
    }
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
