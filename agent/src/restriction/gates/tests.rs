//! Which step follows from what was ordered and what holds.

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
fn older_gates_are_known_after_a_restart_and_without_an_enforcer_for_a_while() {
    let (before, gates) = (ordered(1, 22), ordered(2, 22));
    let held = holding(Some(&before), None);
    let mut standing = Standing::default();
    standing.next(Some(&before), &held);
    let mut again = Standing::recalling(standing.confirmed().cloned());
    again.nobody();
    again.refuse(&orders::gates(&gates), "too many".to_owned());
    again.next(Some(&gates), &held);
    assert_eq!((again.phase, again.held.len()), (Phase::Refused, 1));
    again.next(Some(&gates), &holding(Some(&ordered(1, 23)), None));
    assert_eq!(again.held, [], "those are others");
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
