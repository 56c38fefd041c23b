//! What is to be done next of a rotation: from what is kept and what hosts are observed to hold. Pure.
//!
//! No phase ends because time has passed. Time may only hold back: the overlap, and the shadow.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use watchward_protocol::time::Timestamp;

use super::policy::{Machine, Missed};
use super::state::{At, Key, Pending, Phase, Rotation, Step};

/// Of so many hosts one is in the first wave after the canary.
const WAVE: usize = 20;

/// What is observed of a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::keys) struct Observed {
    pub(in crate::keys) client: Client,
    /// Every account of every host that it should open.
    pub(in crate::keys) places: Vec<Place>,
    /// Why it cannot begin, in one sentence.
    pub(in crate::keys) hindrance: Option<String>,
}

/// What is observed of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::keys) struct Client {
    /// Whether there is such a host.
    pub(in crate::keys) exists: bool,
    pub(in crate::keys) is_silent: bool,
    /// The keys that it said last it has; none: it has said nothing.
    pub(in crate::keys) keys: Option<Vec<(u32, Vec<u8>)>>,
    /// Which of them its programs use; 0: none.
    pub(in crate::keys) using: u32,
    pub(in crate::keys) trouble: Option<String>,
}

/// What is observed of an account that it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Place {
    pub(in crate::keys) at: At,
    pub(in crate::keys) is_silent: bool,
    /// Whether the host was ordered the new key.
    pub(in crate::keys) added: bool,
    /// Whether it says that it holds what it was ordered last of this key.
    pub(in crate::keys) holds: bool,
    /// Whether the client got in with the new key.
    pub(in crate::keys) proven: bool,
    /// Whether the old key was refused, on the host itself and from the client.
    pub(in crate::keys) refuses: bool,
    /// Whether the old key is the only thing that opens it.
    pub(in crate::keys) alone: bool,
    /// What is wrong there, in one sentence.
    pub(in crate::keys) trouble: Option<String>,
}

/// What is to be done next.
pub(in crate::keys) fn next(
    rotation: &Rotation,
    (machine, seen): (&Machine, &Observed),
    now: Timestamp,
) -> Step {
    let case = Case {
        rotation,
        machine,
        seen,
        now,
    };
    if !seen.client.exists || machine.client != rotation.client {
        return case.displaced();
    }
    if case.expires() {
        return Step::Expire;
    }
    if case.lost(&rotation.new) {
        return Step::Remake;
    }
    match rotation.phase {
        Phase::Idle => case.idle(),
        Phase::Making => case.making(),
        Phase::Adding => case.adding(),
        Phase::Switching => case.switching(),
        Phase::Shadow => case.shadow(),
        Phase::Revoking => case.revoking(),
        Phase::Destroying => case.destroying(),
    }
}

struct Case<'a> {
    rotation: &'a Rotation,
    machine: &'a Machine,
    seen: &'a Observed,
    now: Timestamp,
}

impl Case<'_> {
    /// The policy speaks of another host, or of one that there is not.
    fn displaced(&self) -> Step {
        let (machine, before) = (&self.machine.client, &self.rotation.client);
        let why = match machine == before {
            true => "no host of this name is watched".to_owned(),
            false => format!("the key is {before}'s: give this one another name in the policy"),
        };
        self.wait_for(machine, &why, false)
    }

    /// Whether the time of the old key is over, and policy says that it is revoked then.
    fn expires(&self) -> bool {
        let early = matches!(
            self.rotation.phase,
            Phase::Idle | Phase::Making | Phase::Adding | Phase::Switching
        );
        let late = self.now >= self.rotation.deadline(self.machine);
        let has_old = self.rotation.old.is_some() && !self.rotation.revoked;
        let safe = self.seen.places.iter().all(|it| it.proven || !it.alone);
        early && late && has_old && safe && self.machine.missed == Missed::Revoke
    }

    /// Whether the client says that it does not have a key which it had.
    fn lost(&self, key: &Option<Key>) -> bool {
        let made = key.as_ref().filter(|key| !key.wire.is_empty());
        let keys = &self.seen.client.keys;
        made.zip(keys.as_ref()).is_some_and(|(key, keys)| {
            let has = |one: &(u32, Vec<u8>)| one.0 == key.serial && one.1 == key.wire;
            !keys.iter().any(has)
        })
    }

    fn idle(&self) -> Step {
        let (rotation, client) = (self.rotation, &self.seen.client);
        if rotation.old.is_none() {
            let keys = client.keys.iter().flatten();
            let mut used = keys.filter(|(serial, _)| *serial == client.using && client.using > 0);
            if let Some((serial, wire)) = used.next() {
                return Step::Adopt(*serial, wire.clone());
            }
        }
        let wished = rotation.wished_by.is_some() || self.lost(&rotation.old);
        if !wished && self.now < rotation.due(self.machine) {
            return Step::Wait(Vec::new());
        }
        if let Some(why) = &self.seen.hindrance {
            return self.wait_for(&rotation.client, why, false);
        }
        if client.is_silent {
            return self.wait_for(&rotation.client, "it is silent", true);
        }
        if self.seen.places.iter().all(|it| it.is_silent) {
            return self.wait();
        }
        Step::Begin
    }

    fn making(&self) -> Step {
        let wanted = self.rotation.new.as_ref().map(|key| key.serial);
        let keys = self.seen.client.keys.iter().flatten();
        let mut made = keys.filter(|(serial, _)| Some(*serial) == wanted);
        match made.next() {
            Some((_, wire)) => Step::Learn(wire.clone()),
            None => self.wait_for_client("it has not made the new key yet"),
        }
    }

    fn adding(&self) -> Step {
        if let Some(step) = self.widen() {
            return step;
        }
        let heard = || self.heard();
        if heard().next().is_none() || heard().any(|it| !it.proven) {
            return self.wait();
        }
        let waits_for_silent = self.seen.places.iter().any(|it| it.is_silent);
        let first = self.rotation.old.is_none() && !waits_for_silent;
        let overlapped = self.now >= self.rotation.since + self.machine.overlap.duration();
        match overlapped || first {
            true => Step::Switch,
            false => self.wait(),
        }
    }

    fn switching(&self) -> Step {
        let new = self.rotation.new.as_ref().map_or(0, |key| key.serial);
        match self.seen.client.using == new {
            true => Step::Use,
            false => self.wait_for_client("it does not use the new key yet"),
        }
    }

    fn shadow(&self) -> Step {
        if self.rotation.old.is_none() {
            return Step::Seal;
        }
        // Whoever came back, or came into the groups, has to be proven before the old key goes.
        if let Some(step) = self.widen() {
            return step;
        }
        let over = self.now >= self.rotation.since + self.machine.shadow.duration();
        let proven = self.heard().all(|it| it.proven);
        match proven && (over || self.rotation.revoked) {
            true => Step::Revoke,
            false => self.wait(),
        }
    }

    fn revoking(&self) -> Step {
        let open = || self.heard().filter(|it| !it.refuses);
        if open().next().is_none() {
            return Step::Destroy;
        }
        // Also where a try came to nothing before: somebody may have been gone just then.
        let ask = open().filter(|it| it.holds);
        let ask: Vec<_> = ask.map(|it| it.at.clone()).collect();
        match ask.is_empty() || self.seen.client.is_silent {
            true => self.wait(),
            false => Step::Refuse(ask),
        }
    }

    fn destroying(&self) -> Step {
        match self.rotation.old.is_none() || self.lost(&self.rotation.old) {
            true => Step::Seal,
            false => self.wait_for_client("it has not destroyed the old key yet"),
        }
    }

    /// What brings the new key further: first to the canary, when that is proven to a few more, and
    /// then to all.
    fn widen(&self) -> Option<Step> {
        let heard: BTreeSet<&str> = self.heard().map(|it| it.at.host.as_str()).collect();
        let added = self.heard().filter(|it| it.added);
        let added: BTreeSet<&str> = added.map(|it| it.at.host.as_str()).collect();
        let waits = self.heard().any(|it| it.added && !it.proven);
        let missing: Vec<&str> = heard.difference(&added).copied().collect();
        if !waits && !missing.is_empty() {
            let count = match added.len() {
                0 => 1,
                1 => heard.len().div_ceil(WAVE).min(missing.len()),
                _ => missing.len(),
            };
            let hosts = missing.into_iter().take(count);
            return Some(Step::Add(hosts.map(str::to_owned).collect()));
        }
        if self.seen.client.is_silent {
            return None;
        }
        let tries = self.heard().filter(|it| it.added && it.holds && !it.proven);
        let tries: Vec<_> = tries.map(|it| it.at.clone()).collect();
        (!tries.is_empty()).then_some(Step::Prove(tries))
    }

    fn heard(&self) -> impl Iterator<Item = &Place> {
        self.seen.places.iter().filter(|it| !it.is_silent)
    }

    fn wait_for_client(&self, why: &str) -> Step {
        let client = &self.seen.client;
        match (&client.trouble, client.is_silent) {
            (_, true) => self.wait_for(&self.rotation.client, "it is silent", true),
            (Some(trouble), false) => self.wait_for(&self.rotation.client, trouble, false),
            (None, false) => self.wait_for(&self.rotation.client, why, true),
        }
    }

    fn wait_for(&self, host: &str, why: &str, usual: bool) -> Step {
        Step::Wait(vec![Pending {
            host: host.to_owned(),
            why: why.to_owned(),
            usual,
        }])
    }

    /// For all that lack something.
    fn wait(&self) -> Step {
        Step::Wait(pending(self.rotation, self.seen))
    }
}

/// Who is waited for in this phase, and why.
pub(in crate::keys) fn pending(rotation: &Rotation, seen: &Observed) -> Vec<Pending> {
    let revoking = rotation.phase == Phase::Revoking;
    let mut all = BTreeSet::new();
    if seen.client.is_silent {
        all.insert(Pending {
            host: rotation.client.clone(),
            why: "it is silent".to_owned(),
            usual: true,
        });
    }
    for place in &seen.places {
        let (done, lacks) = match revoking {
            true => (
                place.refuses,
                "it is not proven that the old key is refused",
            ),
            false => (place.proven, "it is not proven that the new key opens it"),
        };
        if done && !place.is_silent {
            continue;
        }
        let why = match (&place.trouble, place.is_silent) {
            (_, true) => "it is silent: it hears of it first thing when it is back".to_owned(),
            (Some(trouble), false) => format!("{}: {trouble}", place.at.account),
            (None, false) if place.added && !place.holds => {
                "it was told, and does not hold it yet".to_owned()
            }
            (None, false) => format!("{}: {lacks}", place.at.account),
        };
        all.insert(Pending {
            host: place.at.host.clone(),
            why,
            usual: place.is_silent || place.trouble.is_none(),
        });
    }
    all.into_iter().collect()
}
