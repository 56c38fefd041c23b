//! The lines that open accounts for machines' keys. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use watchward_protocol::instruments::{Managed, Opens};
use watchward_protocol::time::Timestamp;

use super::policy::{Machine, Missed};
use super::state::{Key, Phase, Rotation};
use crate::keys::policy::Policy;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// So long before its end the line of a key that works on is put off, and for how long.
const AHEAD: u32 = 7;

/// A rotation, and where its new key was ordered.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Running {
    pub(in crate::keys) rotation: Rotation,
    pub(in crate::keys) added: BTreeSet<String>,
}

/// The lines of machines' keys on the host of this name.
pub(in crate::keys) fn lines(
    host: &str,
    policy: &Policy,
    running: &[Running],
    now: Timestamp,
) -> Vec<Managed> {
    let machines = policy.machines.iter().filter(|it| it.groups.has(host));
    let lines = machines.flat_map(|machine| {
        let is_it = |one: &&Running| one.rotation.name == machine.name();
        let running = running.iter().find(is_it);
        running.map_or_else(Vec::new, |one| of(machine, one, host, now))
    });
    lines.collect()
}

fn of(machine: &Machine, running: &Running, host: &str, now: Timestamp) -> Vec<Managed> {
    let rotation = &running.rotation;
    // Beware: an empty list would mean from everywhere.
    if rotation.from.is_empty() {
        return Vec::new();
    }
    let is_everywhere = !matches!(rotation.phase, Phase::Making | Phase::Adding);
    let old = rotation.old.as_ref().filter(|_| !rotation.revoked);
    let new = rotation.new.as_ref();
    let new = new.filter(|_| is_everywhere || running.added.contains(host));
    let keys = old
        .into_iter()
        .chain(new)
        .filter(|key| !key.wire.is_empty());
    let keys: Vec<_> = keys
        .map(|key| (key, until(key, (machine, rotation), now)))
        .collect();
    let line = |account: &str, key: &Key, until| Managed {
        account: account.to_owned(),
        opens: Opens::Key(key.wire.clone()),
        from: rotation.from.clone(),
        until: Some(until),
        forwarding: machine.forwarding,
    };
    let accounts = machine.accounts();
    let all = accounts
        .iter()
        .flat_map(|account| keys.iter().map(|(key, until)| line(account, key, *until)));
    all.collect()
}

/// When a key opens nothing any more on a host that hears of nothing: as late as it could be needed. It
/// is put off from time to time, unless policy says that it ends.
fn until(key: &Key, (machine, rotation): (&Machine, &Rotation), now: Timestamp) -> Timestamp {
    let is_old = rotation.old.as_ref() == Some(key);
    if is_old && rotation.phase >= Phase::Shadow {
        let end = rotation.since + machine.shadow.duration() + HOUR;
        return at_least(end, now, HOUR);
    }
    let end = key.at + machine.life();
    match machine.missed {
        Missed::Revoke => whole(end, Duration::from_secs(1)),
        Missed::Page => at_least(end, now + DAY * AHEAD, DAY),
    }
}

/// This, or the beginning of the unit after the next if it is too early.
fn at_least(end: Timestamp, least: Timestamp, unit: Duration) -> Timestamp {
    match end > least {
        true => whole(end, Duration::from_secs(1)),
        false => whole(least, unit) + unit * 2,
    }
}

fn whole(at: Timestamp, unit: Duration) -> Timestamp {
    let unit = i64::try_from(unit.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().div_euclid(unit).saturating_mul(unit))
}
