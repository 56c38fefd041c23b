//! A rotation as it is kept, and how each step changes it. Pure.

use std::time::Duration;

use ipnet::IpNet;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::policy::Machine;

/// So long it is waited whether a client says that it has a key already, of which nothing is known here:
/// whatever it is not told to have, it destroys.
const FIRST: Duration = Duration::from_secs(15);

/// So long a key stays bound to where its client was seen.
const RESTS: Duration = Duration::from_secs(600);

/// What is kept of a machine's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Rotation {
    pub(in crate::keys) name: String,
    /// The host whose programs log in.
    pub(in crate::keys) client: String,
    /// The account there that may read the private key.
    pub(in crate::keys) user: String,
    /// Counts every change, so that of two who go on at once only one does.
    pub(in crate::keys) version: i64,
    pub(in crate::keys) phase: Phase,
    /// Since when it is in this phase.
    pub(in crate::keys) since: Timestamp,
    /// When this rotation began, and the one before ended; in between, when there was none.
    pub(in crate::keys) begun_at: Timestamp,
    /// The key that is in use, if there is one.
    pub(in crate::keys) old: Option<Key>,
    /// The key that takes its place.
    pub(in crate::keys) new: Option<Key>,
    /// Whether the old key is revoked.
    pub(in crate::keys) revoked: bool,
    /// The highest number that any key of it had.
    pub(in crate::keys) last: u32,
    /// Who wanted it before its time.
    pub(in crate::keys) wished_by: Option<String>,
    /// From where alone it opens something: as it was known last.
    pub(in crate::keys) from: Vec<IpNet>,
    /// Since when it is that.
    pub(in crate::keys) from_at: Option<Timestamp>,
    /// Since when the policy does not speak of it any more.
    pub(in crate::keys) gone_at: Option<Timestamp>,
}

/// A key of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Key {
    pub(in crate::keys) serial: u32,
    /// As it is on the wire; empty while the client has not said.
    pub(in crate::keys) wire: Vec<u8>,
    /// Since when it is known.
    pub(in crate::keys) at: Timestamp,
}

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::keys) enum Phase {
    /// None goes on.
    Idle,
    /// The client makes the new key.
    Making,
    /// Hosts get it beside the old, and the client tries it.
    Adding,
    /// It is proven, and the client is to use it.
    Switching,
    /// The client uses it, and the old still works.
    Shadow,
    /// The old is revoked, and hosts are asked whether it opens anything.
    Revoking,
    /// The client destroys the old.
    Destroying,
}

// What the database has for a phase is its place in this list: only ever append.
pub(in crate::keys) const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Making,
    Phase::Adding,
    Phase::Switching,
    Phase::Shadow,
    Phase::Revoking,
    Phase::Destroying,
];

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Step {
    /// Nothing but to wait, for these.
    Wait(Vec<Pending>),
    /// The client has a key that nothing is known of here: it is the one in use.
    Adopt(u32, Vec<u8>),
    /// The client is to make a new key.
    Begin,
    /// It has made it.
    Learn(Vec<u8>),
    /// These hosts get the new key, too.
    Add(Vec<String>),
    /// The client tries the new key at these places.
    Prove(Vec<At>),
    /// The client is to use the new key.
    Switch,
    /// It does.
    Use,
    /// The old key opens nothing any more.
    Revoke,
    /// The old key is revoked before the new one is there, because its time is over.
    Expire,
    /// The client asks these places whether they refuse the old key.
    Refuse(Vec<At>),
    /// The client destroys the old key.
    Destroy,
    /// It is done.
    Seal,
    /// The client has lost the new key: it makes another.
    Remake,
}

/// An account of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::keys) struct At {
    pub(in crate::keys) host: String,
    pub(in crate::keys) account: String,
}

/// Who is waited for, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::keys) struct Pending {
    pub(in crate::keys) host: String,
    pub(in crate::keys) why: String,
    /// Whether nothing is wrong but that the host is silent, or it takes its time.
    pub(in crate::keys) usual: bool,
}

/// That the old key was used, although the new one is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Used {
    pub(in crate::keys) host: String,
    pub(in crate::keys) account: Foreign,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) from: Option<String>,
}

impl Rotation {
    /// One of which nothing is known.
    pub(in crate::keys) fn new(machine: &Machine, now: Timestamp) -> Self {
        Self {
            name: machine.name().to_owned(),
            client: machine.client.clone(),
            user: machine.user().to_owned(),
            version: 0,
            phase: Phase::Idle,
            since: now,
            begun_at: now,
            old: None,
            new: None,
            revoked: false,
            last: 0,
            wished_by: None,
            from: Vec::new(),
            from_at: None,
            gone_at: None,
        }
    }

    /// Has it be from there and for whom the policy says; says whether that is something else. Where the
    /// policy does not say from where, a client that comes from ever new places moves it only so often:
    /// each time all hosts are told.
    pub(in crate::keys) fn move_to(
        &mut self,
        from: Vec<IpNet>,
        machine: &Machine,
        now: Timestamp,
    ) -> bool {
        let rests = |at: Timestamp| now < at + RESTS;
        let may = machine.from.is_some() || !self.from_at.is_some_and(rests);
        let goes = may && !from.is_empty() && from != self.from;
        if goes {
            (self.from, self.from_at) = (from, Some(now));
        }
        let passes = self.user != machine.user();
        machine.user().clone_into(&mut self.user);
        goes || passes
    }

    /// When the next one begins, or should have begun.
    pub(in crate::keys) fn due(&self, machine: &Machine) -> Timestamp {
        match &self.old {
            Some(key) => key.at + machine.every.duration(),
            None => self.begun_at.min(self.since) + FIRST,
        }
    }

    /// When it should be over.
    pub(in crate::keys) fn deadline(&self, machine: &Machine) -> Timestamp {
        self.due(machine) + machine.deadline.duration()
    }

    /// Which key the client is to use; 0: none.
    pub(in crate::keys) fn using(&self) -> u32 {
        let key = match self.phase {
            Phase::Idle | Phase::Making | Phase::Adding => &self.old,
            Phase::Switching | Phase::Shadow | Phase::Revoking | Phase::Destroying => &self.new,
        };
        key.as_ref().map_or(0, |key| key.serial)
    }

    /// Which keys the client is to have.
    pub(in crate::keys) fn serials(&self) -> Vec<u32> {
        let old = self
            .old
            .as_ref()
            .filter(|_| self.phase != Phase::Destroying);
        old.into_iter()
            .chain(&self.new)
            .map(|key| key.serial)
            .collect()
    }

    /// What it is after a step that was carried out.
    pub(in crate::keys) fn after(mut self, step: &Step, now: Timestamp) -> Self {
        let phase = match step {
            Step::Wait(_) | Step::Add(_) | Step::Prove(_) | Step::Refuse(_) => return self,
            Step::Adopt(serial, wire) => {
                self.last = self.last.max(*serial);
                self.old = Some(Key {
                    serial: *serial,
                    wire: wire.clone(),
                    at: now,
                });
                Phase::Idle
            }
            Step::Begin => {
                self.begun_at = now;
                self.fresh(now);
                Phase::Making
            }
            Step::Remake => {
                self.fresh(now);
                Phase::Making
            }
            Step::Learn(wire) => {
                if let Some(key) = &mut self.new {
                    (key.wire, key.at) = (wire.clone(), now);
                }
                Phase::Adding
            }
            Step::Switch => Phase::Switching,
            Step::Use => Phase::Shadow,
            Step::Revoke => {
                self.revoked = true;
                Phase::Revoking
            }
            Step::Expire => {
                self.revoked = true;
                return self;
            }
            Step::Destroy => Phase::Destroying,
            Step::Seal => {
                self.seal(now);
                Phase::Idle
            }
        };
        if self.phase != phase || *step == Step::Remake {
            (self.phase, self.since) = (phase, now);
        }
        self
    }

    /// The schedule begins anew, only now.
    fn seal(&mut self, now: Timestamp) {
        if let Some(mut key) = self.new.take() {
            key.at = now;
            self.old = Some(key);
        }
        self.begun_at = now;
        self.revoked = false;
        self.wished_by = None;
    }

    /// Another key, with a number that none had.
    fn fresh(&mut self, now: Timestamp) {
        self.last = self.last.saturating_add(1);
        self.new = Some(Key {
            serial: self.last,
            wire: Vec::new(),
            at: now,
        });
    }
}

impl Phase {
    /// In a few words.
    pub(in crate::keys) const fn words(self) -> &'static str {
        match self {
            Self::Idle => "in use",
            Self::Making => "the client makes the new key",
            Self::Adding => "hosts get the new key beside the old, and the client tries it",
            Self::Switching => "the new key is proven, and the client is to use it",
            Self::Shadow => "the client uses the new key, and the old still works",
            Self::Revoking => {
                "the old key is revoked, and hosts are asked whether it opens anything"
            }
            Self::Destroying => "the client destroys the old key",
        }
    }

    /// In one word.
    pub(in crate::keys) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Making => "making",
            Self::Adding => "adding",
            Self::Switching => "switching",
            Self::Shadow => "shadow",
            Self::Revoking => "revoking",
            Self::Destroying => "destroying",
        }
    }
}
