//! How results make a check up, down, flapping or unknown, and what people are told.

use proptest::prelude::*;

use super::*;
use crate::health::judge::{Check, Follow, Open, Trouble, judge};

/// Judges these results one after another, and gathers what people are told.
fn run(verdicts: &[Verdict], failures: u32) -> (Check, Vec<Follow>) {
    let mut known: Option<Check> = None;
    let mut told = Vec::new();
    for (verdict, second) in verdicts.iter().zip(0..) {
        let mut heard = report(1, 1, second, "tcp.db", *verdict);
        heard.report.failures = failures;
        let change = judge(known.as_ref(), &heard, &Flapping::default(), at(100_000));
        told.extend(change.follows);
        known = Some(change.check);
    }
    (known.unwrap(), told)
}

fn verdicts(letters: &str) -> Vec<Verdict> {
    let verdict = |letter| match letter {
        'p' => Verdict::Passed,
        'f' => Verdict::Failed,
        _ => Verdict::Unknown,
    };
    letters.chars().map(verdict).collect()
}

#[track_caller]
fn expect(letters: &str, state: State, told: &[Follow]) {
    let (check, follows) = run(&verdicts(letters), 3);
    assert_eq!((check.state, &follows[..]), (state, told), "{letters}");
}

#[test]
fn is_down_after_enough_failures_in_a_row_and_up_at_the_first_pass() {
    use Follow::{Raise, Resolve};
    use Trouble::{Down, Unrunnable};
    expect("f", State::Unknown, &[]);
    expect("pff", State::Up, &[]);
    expect("pffpff", State::Up, &[]);
    expect("pfff", State::Down, &[Raise(Down)]);
    expect("fff", State::Down, &[Raise(Down)]);
    expect("pffffff", State::Down, &[Raise(Down)]);
    expect("pfffp", State::Up, &[Raise(Down), Resolve(Down)]);
    expect("pffuf", State::Down, &[Raise(Down)]);
    expect("puuu", State::Unknown, &[Raise(Unrunnable)]);
    expect("uup", State::Up, &[]);
    let both = [Raise(Down), Raise(Unrunnable)];
    expect("fffuuuu", State::Unknown, &both);
    expect(
        "fffuuuf",
        State::Down,
        &[&both[..], &[Resolve(Unrunnable)]].concat(),
    );
    let ends = [Resolve(Down), Resolve(Unrunnable)];
    expect("fffuuup", State::Up, &[&both[..], &ends].concat());
}

#[test]
fn what_fails_and_is_not_down_yet_says_how_often_it_has() {
    for (letters, failing) in [
        ("f", Some((1, 3))),
        ("ff", Some((2, 3))),
        ("fff", None),
        ("p", None),
        ("u", None),
        ("fu", None),
    ] {
        let (check, _) = run(&verdicts(letters), 3);
        let said = check.is_failing().then_some((check.failures, check.enough));
        assert_eq!(said, failing, "{letters}");
    }
}

#[test]
fn flaps_when_half_of_what_could_change_does_until_it_is_stable() {
    use Follow::{Raise, Resolve};
    let steady = "p".repeat(30);
    let (turns, fast) = ("fp".repeat(4), "fp".repeat(5));
    expect(&format!("{steady}{turns}"), State::Up, &[]);
    let begins = [Raise(Trouble::Flapping)];
    expect(&format!("{steady}{fast}"), State::Flapping, &begins);
    let ends = [&begins[..], &[Resolve(Trouble::Flapping)]].concat();
    expect(&format!("{steady}{fast}{steady}"), State::Up, &ends);
    let down = [&ends[..], &[Raise(Trouble::Down)]].concat();
    expect(
        &format!("{steady}{fast}{}", "f".repeat(21)),
        State::Down,
        &down,
    );
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Passed),
        4 => Just(Verdict::Failed),
        1 => Just(Verdict::Unknown),
    ]
}

proptest! {
    #[test]
    fn whatever_came_before_a_steady_end_is_told_as_what_it_is(
        mut before in prop::collection::vec(any_verdict(), 0..80),
        failures in 1_u32..8,
        fails in any::<bool>(),
    ) {
        let last = if fails { Verdict::Failed } else { Verdict::Passed };
        before.extend(std::iter::repeat_n(last, 21));
        let (check, _) = run(&before, failures);
        let open: Vec<_> = check.open.all().collect();
        if fails {
            prop_assert_eq!((check.state, &open[..]), (State::Down, &[Trouble::Down][..]));
        } else {
            prop_assert_eq!((check.state, &open[..]), (State::Up, &[][..]));
        }
    }

    #[test]
    fn what_is_told_begins_and_ends_by_turns(
        all in prop::collection::vec(any_verdict(), 1..120),
        failures in 1_u32..5,
    ) {
        let mut open = Open::default();
        let (check, told) = run(&all, failures);
        for follow in told {
            match follow {
                Follow::Raise(trouble) => prop_assert!(!open.has(trouble)),
                Follow::Resolve(trouble) => prop_assert!(open.has(trouble)),
            }
            open.follow(follow);
        }
        prop_assert_eq!(open, check.open);
    }
}
