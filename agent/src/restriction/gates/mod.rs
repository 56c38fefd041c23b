//! Gates that were ordered, on trial, confirmed, or taken back: what is to be done next. Pure.

use watchward_enforcer as enforcer;
use watchward_protocol::restriction::{GateHeld, Gates, Phase};
use watchward_protocol::time::Timestamp;

use super::orders;

/// How far the host is with the gates that were ordered.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) phase: Phase,
    pub(super) generation: u64,
    /// Why it is so, where that has to be said.
    pub(super) why: String,
    /// The gates that hold.
    pub(super) held: Vec<GateHeld>,
    /// Whom gates turned away, as far as that is known.
    turned: Vec<enforcer::Turned>,
    /// It is being proven that the collector can be reached.
    proving: Option<Version>,
    /// What came to nothing: it is not tried again by itself, or only once in a while.
    failed: Option<Version>,
    /// What was seen to hold last, confirmed.
    confirmed: Option<Confirmed>,
}

/// Which gates, by their generation and digest.
type Version = (u64, u64);

/// Gates that were seen to hold.
pub(super) type Confirmed = (Version, Vec<GateHeld>);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// Have these hold for a while.
    Try(enforcer::Gates),
    /// Have those before the trial hold again.
    Back,
    /// Prove that the collector can be reached, and confirm.
    Prove,
}

const UNPROVEN: &str = "it was not confirmed in time over a new connection to the collector: those \
    before hold again";

impl Standing {
    /// How it stands after a restart, where these were seen to hold before it.
    pub(super) fn recalling(confirmed: Option<Confirmed>) -> Self {
        Self {
            confirmed,
            ..Self::default()
        }
    }

    /// What was seen to hold last.
    pub(super) const fn confirmed(&self) -> Option<&Confirmed> {
        self.confirmed.as_ref()
    }

    /// What is to be done next, so that what was ordered holds.
    pub(super) fn next(&mut self, ordered: Option<&Gates>, held: &enforcer::Holding) -> Step {
        let Some(ordered) = ordered else {
            self.rests(held.generation, held.generation > 0, &held.trouble);
            return Step::Rest;
        };
        let wanted = orders::gates(ordered);
        let version = (wanted.generation, wanted.digest());
        if let Some(trial) = held.trial {
            if (trial.generation, trial.digest) != version {
                return Step::Back;
            }
            (self.phase, self.generation) = (Phase::Trial, trial.generation);
            self.why.clear();
            self.holds(ordered);
            let proving = self.proving.replace(version) == Some(version);
            return if proving { Step::Rest } else { Step::Prove };
        }
        if (held.generation, held.digest) == version {
            self.rests(held.generation, !ordered.gates.is_empty(), &held.trouble);
            self.holds(ordered);
            self.confirmed = Some((version, self.held.clone()));
            return Step::Rest;
        }
        if self.proving.take() == Some(version) {
            self.fails(version, Phase::Undone, UNPROVEN.to_owned());
        }
        if self.failed == Some(version) {
            self.falls_back(held);
            return Step::Rest;
        }
        if wanted.generation < held.generation {
            let why = older(wanted.generation, held.generation);
            self.fails(version, Phase::Refused, why);
            self.falls_back(held);
            return Step::Rest;
        }
        if !held.trouble.is_empty() {
            (self.phase, self.generation) = (Phase::Refused, wanted.generation);
            self.why.clone_from(&held.trouble);
            self.falls_back(held);
            return Step::Rest;
        }
        Step::Try(wanted)
    }

    /// The enforcer, or what it can be told, does not take these gates.
    pub(super) fn refuse(&mut self, gates: &enforcer::Gates, why: String) {
        let version = (gates.generation, gates.digest());
        self.fails(version, Phase::Refused, why);
    }

    /// What was refused is tried again: the guard file may be another, or who came in lately. What
    /// was taken back is not, or it would shut people out again and again.
    pub(super) fn again(&mut self) {
        if self.phase == Phase::Refused {
            self.failed = None;
        }
    }

    /// Whom the gates that hold turned away.
    pub(super) fn count(&mut self, turned: Vec<enforcer::Turned>) {
        self.turned = turned;
        for gate in &mut self.held {
            let same = |one: &&enforcer::Turned| one.name == gate.name;
            if let Some(turned) = self.turned.iter().find(same) {
                gate.turned_away = turned.packets;
                gate.from.clone_from(&turned.from);
            }
        }
    }

    /// There is no enforcer.
    pub(super) fn nobody(&mut self) {
        *self = Self::recalling(self.confirmed.take());
    }

    fn holds(&mut self, ordered: &Gates) {
        self.held = orders::held(ordered);
        let turned = std::mem::take(&mut self.turned);
        self.count(turned);
    }

    fn rests(&mut self, generation: u64, any: bool, why: &str) {
        self.phase = if any { Phase::Held } else { Phase::Open };
        self.generation = generation;
        why.clone_into(&mut self.why);
        (self.proving, self.failed) = (None, None);
    }

    /// Those before hold, as far as they are known.
    fn falls_back(&mut self, held: &enforcer::Holding) {
        let before = self.confirmed.as_ref();
        let before = before.filter(|(version, _)| *version == (held.generation, held.digest));
        self.held = before.map_or_else(Vec::new, |(_, gates)| gates.clone());
        let turned = std::mem::take(&mut self.turned);
        self.count(turned);
    }

    fn fails(&mut self, version: Version, phase: Phase, why: String) {
        (self.phase, self.generation, self.why) = (phase, version.0, why);
        self.held.clear();
        self.proving = None;
        self.failed = Some(version);
    }
}

/// Why gates are not taken that are older than those that hold. Generations are moments.
fn older(wanted: u64, held: u64) -> String {
    let moment = |of: u64| Timestamp::from_micros(i64::try_from(of).unwrap_or(i64::MAX));
    format!(
        "the host holds a newer policy, of {}, than this one, of {}: look whether the collector's \
         clock was set back, or an older database was put in its place",
        moment(held),
        moment(wanted)
    )
}

#[cfg(test)]
mod tests;
