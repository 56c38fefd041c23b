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
    confirmed: Option<(Version, Vec<GateHeld>)>,
}

/// Which gates, by their generation and digest.
type Version = (u64, u64);

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
        *self = Self::default();
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
mod tests {
    use watchward_protocol::restriction::{Gate, Mode, Ports, Transport};

    use super::*;

    fn ordered(generation: u64, port: u16) -> Gates {
        let ports = Ports {
            transport: Transport::Tcp,
            first: port,
            last: port,
        };
        let gate = Gate {
            name: "ssh".to_owned(),
            mode: Mode::Enforce,
            ports: vec![ports],
            from: vec!["192.0.2.0/24".parse().unwrap()],
            exceptions: Vec::new(),
        };
        Gates {
            generation,
            put_back: true,
            gates: vec![gate],
        }
    }

    /// What an enforcer holds that has these gates confirmed, or on trial.
    fn holding(confirmed: Option<&Gates>, trial: Option<&Gates>) -> enforcer::Holding {
        let digest = |gates: &Gates| orders::gates(gates).digest();
        enforcer::Holding {
            generation: confirmed.map_or(0, |gates| gates.generation),
            digest: confirmed.map_or(0, digest),
            trial: trial.map(|gates| enforcer::Trial {
                generation: gates.generation,
                digest: digest(gates),
                seconds: 60,
            }),
            whole: true,
            ..enforcer::Holding::default()
        }
    }

    #[test]
    fn gates_are_tried_proven_once_and_held() {
        let (mut standing, gates) = (Standing::default(), ordered(1, 22));
        let step = standing.next(Some(&gates), &holding(None, None));
        assert_eq!(step, Step::Try(orders::gates(&gates)));
        let trial = holding(None, Some(&gates));
        assert_eq!(standing.next(Some(&gates), &trial), Step::Prove);
        assert_eq!(standing.next(Some(&gates), &trial), Step::Rest);
        assert_eq!((standing.phase, standing.generation), (Phase::Trial, 1));
        let step = standing.next(Some(&gates), &holding(Some(&gates), None));
        assert_eq!((step, standing.phase), (Step::Rest, Phase::Held));
        assert_eq!(standing.held.len(), 1);
    }

    #[test]
    fn what_was_not_confirmed_is_undone_and_not_tried_again_until_something_else_is_ordered() {
        let (mut standing, gates) = (Standing::default(), ordered(2, 22));
        let before = ordered(1, 22);
        standing.next(Some(&gates), &holding(Some(&before), Some(&gates)));
        let rolled_back = holding(Some(&before), None);
        for _ in 0..2 {
            standing.again();
            assert_eq!(standing.next(Some(&gates), &rolled_back), Step::Rest);
            assert_eq!((standing.phase, standing.generation), (Phase::Undone, 2));
            assert!(standing.why.contains("new connection"), "{}", standing.why);
        }
        let another = ordered(3, 22);
        let step = standing.next(Some(&another), &rolled_back);
        assert_eq!(step, Step::Try(orders::gates(&another)));
    }

    #[test]
    fn gates_that_are_not_taken_leave_those_before_and_that_is_told() {
        let (before, gates) = (ordered(1, 22), ordered(2, 22));
        let held = holding(Some(&before), None);
        let mut standing = Standing::default();
        standing.next(Some(&before), &held);
        standing.refuse(&orders::gates(&gates), "too many".to_owned());
        standing.next(Some(&gates), &held);
        assert_eq!((standing.phase, standing.held.len()), (Phase::Refused, 1));
        let nothing = holding(None, None);
        standing.next(Some(&gates), &nothing);
        assert_eq!(standing.held, [], "the table has gone");
    }

    #[test]
    fn a_trial_from_before_a_restart_is_proven_and_one_of_other_gates_taken_back() {
        let gates = ordered(2, 22);
        let trial = holding(None, Some(&gates));
        assert_eq!(Standing::default().next(Some(&gates), &trial), Step::Prove);
        let other = ordered(2, 2222);
        assert_eq!(Standing::default().next(Some(&other), &trial), Step::Back);
    }

    #[test]
    fn an_older_order_that_is_said_again_changes_nothing() {
        let (mut standing, newer) = (Standing::default(), ordered(5, 22));
        let step = standing.next(Some(&ordered(4, 22)), &holding(Some(&newer), None));
        assert_eq!((step, standing.phase), (Step::Rest, Phase::Refused));
        assert!(standing.why.contains("newer policy"), "{}", standing.why);
    }

    #[test]
    fn what_was_refused_is_tried_again_when_it_may_be_taken_now() {
        let (mut standing, gates) = (Standing::default(), ordered(1, 22));
        let nothing = holding(None, None);
        standing.refuse(&orders::gates(&gates), "not these ports".to_owned());
        assert_eq!(standing.next(Some(&gates), &nothing), Step::Rest);
        standing.again();
        let step = standing.next(Some(&gates), &nothing);
        assert_eq!(step, Step::Try(orders::gates(&gates)));
        assert_eq!(standing.phase, Phase::Refused, "until it is taken");
    }

    #[test]
    fn whom_a_gate_turned_away_is_known_also_when_it_is_looked_again() {
        let (mut standing, gates) = (Standing::default(), ordered(1, 22));
        let held = holding(Some(&gates), None);
        standing.next(Some(&gates), &held);
        let turned = enforcer::Turned {
            name: "ssh".to_owned(),
            packets: 7,
            from: vec!["203.0.113.7".parse().unwrap()],
        };
        standing.count(vec![turned]);
        standing.next(Some(&gates), &held);
        let gate = &standing.held[0];
        assert_eq!((gate.turned_away, gate.from.len()), (7, 1));
    }

    #[test]
    fn trouble_of_the_enforcer_is_waited_for() {
        let (mut standing, gates) = (Standing::default(), ordered(1, 22));
        let mut held = holding(None, None);
        held.trouble = "the guard file is not root's".to_owned();
        assert_eq!(standing.next(Some(&gates), &held), Step::Rest);
        assert_eq!(standing.why, held.trouble);
        held.trouble.clear();
        let step = standing.next(Some(&gates), &held);
        assert_eq!(step, Step::Try(orders::gates(&gates)));
    }
}
