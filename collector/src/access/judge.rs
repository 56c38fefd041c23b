//! What follows from what was seen: pure.

use std::time::Duration;

use watchward_protocol::access::{AccessEvent, Action, Outcome};
use watchward_protocol::time::Timestamp;

use super::address::Source;
use crate::intake::Heard;

/// An event that was not there yet, with what judging needs of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh<'a> {
    /// What was heard.
    pub(super) heard: &'a Heard<AccessEvent>,
    /// When it happened, as far as that can be believed.
    pub(super) judged_at: Timestamp,
    /// Where it came from, as far as counting goes.
    pub(super) source: Option<Source>,
    /// What it counts as there.
    pub(super) counts: Counts,
}

/// What an event counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Neither of the others.
    Nothing,
    /// A try of its own that did not get in.
    Failure,
    /// Somebody got in.
    Login,
}

impl<'a> Fresh<'a> {
    /// Looks at an event.
    pub(super) fn new(heard: &'a Heard<AccessEvent>, now: Timestamp) -> Self {
        let event = &heard.report;
        let counts = match (event.outcome, event.action) {
            (Outcome::Failure, _) if event.attempt => Counts::Failure,
            (Outcome::Success, Action::Authentication) => Counts::Login,
            _ => Counts::Nothing,
        };
        Self {
            heard,
            judged_at: moment(event.at, heard.kept_at, now),
            source: event.peer.map(|peer| Source::of(peer.address)),
            counts,
        }
    }
}

/// When something happened, as far as that can be believed: a log may be ahead of its host (a year
/// guessed wrongly), and a host ahead of the collector; nothing happens after it was heard of.
fn moment(at: Timestamp, kept_at: Timestamp, now: Timestamp) -> Timestamp {
    at.min(kept_at).min(now)
}

/// Moments around which a burst must be looked for, so that none is missed which one of these
/// `times` (in order) belongs to. Far fewer than `times`, if many came.
pub(super) fn anchors(times: &[Timestamp], window: Duration) -> Vec<Timestamp> {
    let mut anchors: Vec<Timestamp> = Vec::new();
    for &time in times {
        if anchors.last().is_none_or(|anchor| time > *anchor + window) {
            anchors.push(time);
        }
    }
    anchors
}

/// When the first burst began and ended among these `times` (in order): `failures` of them within
/// `window`.
pub(super) fn burst(
    times: &[Timestamp],
    failures: usize,
    window: Duration,
) -> Option<(Timestamp, Timestamp)> {
    times.windows(failures.max(1)).find_map(|times| {
        let (first, last) = (*times.first()?, *times.last()?);
        (last.since(first) <= window).then_some((first, last))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_micros(100);

    fn times(micros: &[i64]) -> Vec<Timestamp> {
        micros.iter().copied().map(Timestamp::from_micros).collect()
    }

    #[test]
    fn a_burst_fits_its_window() {
        assert_eq!(burst(&times(&[0, 50, 101]), 3, WINDOW), None);
        let found = burst(&times(&[0, 50, 101, 102, 150]), 3, WINDOW);
        assert_eq!(found.map(|(first, _)| first.as_micros()), Some(50));
        assert_eq!(burst(&times(&[0, 100]), 3, WINDOW), None);
        assert!(burst(&times(&[7]), 1, WINDOW).is_some());
    }

    #[test]
    fn no_clock_is_believed_that_is_ahead() {
        let at = |at, kept_at, now| {
            let stamp = Timestamp::from_micros;
            moment(stamp(at), stamp(kept_at), stamp(now)).as_micros()
        };
        assert_eq!(at(5, 6, 7), 5, "the usual order");
        assert_eq!(at(50, 6, 7), 6, "a log ahead of its host");
        assert_eq!(at(50, 60, 7), 7, "a host ahead of us");
    }

    /// The times that are looked at around an anchor, as `rows::counted::failures` fetches them.
    fn around(all: &[Timestamp], anchor: Timestamp, failures: usize) -> Vec<Timestamp> {
        let before = all
            .iter()
            .rev()
            .filter(|time| **time <= anchor && **time + WINDOW >= anchor)
            .take(failures);
        let after = all
            .iter()
            .filter(|time| **time > anchor && **time <= anchor + WINDOW + WINDOW)
            .take(2 * failures);
        let mut found: Vec<_> = before.chain(after).copied().collect();
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn no_burst_is_lost_by_looking_around_anchors_only(
            mut old in prop::collection::vec(0_i64..2_000, 0..40),
            mut new in prop::collection::vec(0_i64..2_000, 1..40),
            failures in 2_usize..6,
        ) {
            old.sort_unstable();
            // What was there before has had its bursts found: it has none.
            let mut quiet: Vec<i64> = Vec::new();
            for time in old {
                quiet.push(time);
                if burst(&times(&quiet), failures, WINDOW).is_some() {
                    quiet.pop();
                }
            }
            new.sort_unstable();
            let mut all = [quiet, new.clone()].concat();
            all.sort_unstable();
            let all = times(&all);
            let found = anchors(&times(&new), WINDOW)
                .into_iter()
                .any(|anchor| burst(&around(&all, anchor, failures), failures, WINDOW).is_some());
            prop_assert_eq!(found, burst(&all, failures, WINDOW).is_some());
        }
    }
}
