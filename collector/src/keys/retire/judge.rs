//! What is to become of a key that somebody put there and that is too old. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_protocol::time::Timestamp;

/// What becomes of a key that is older than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retire {
    /// People are warned.
    #[default]
    Warn,
    /// And told of whenever it is used; after some time of that they are paged.
    Shadow,
    /// And after some time of that it is revoked.
    Revoke,
}

/// A place where a key opens an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As people write it: `deploy@web-1`.
    pub(super) name: String,
    /// What the policy says of that host.
    pub(super) retire: Retire,
    pub(super) shadow: Duration,
    /// How long after that people are paged of a key that they are only warned of, if they are.
    pub(super) deadline: Option<Duration>,
    /// When the key is too old there; none: never.
    pub(super) due_at: Option<Timestamp>,
}

/// How far a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing becomes of it, but that people are warned.
    Stay,
    /// The same until its deadline.
    Warned,
    /// The same, and its deadline has passed then: people are paged.
    Overdue(Timestamp),
    /// It works, and people are told whenever it is used; until when, where it is revoked then.
    Shadowed(Option<Timestamp>),
    /// The same, and its time is over since then: people are paged.
    Missed(Timestamp),
    /// The same, and it cannot be revoked, for it may be used in these places.
    Kept(Vec<String>),
    /// Its time is over.
    Over,
}

/// How far a key is that opens these places, and is shadowed `since` then, if it is. What is revoked is
/// revoked everywhere; so it has to be too old everywhere, and the time in the shadow begins with the
/// first look, however old it was then.
pub(super) fn stage(places: &[Place], since: Option<Timestamp>, now: Timestamp) -> Stage {
    let is_due = |place: &&Place| place.due_at.is_some_and(|due| due <= now);
    let stern = places
        .iter()
        .filter(is_due)
        .filter(|it| it.retire > Retire::Warn);
    let revoking = stern.clone().filter(|it| it.retire == Retire::Revoke);
    let since = since.unwrap_or(now);
    let Some(until) = revoking.map(|place| since + place.shadow).max() else {
        return match stern.map(|place| since + place.shadow).max() {
            Some(end) if end <= now => Stage::Missed(end),
            Some(_) => Stage::Shadowed(None),
            None => warned(places.iter().filter(is_due), since, now),
        };
    };
    if now < until {
        return Stage::Shadowed(Some(until));
    }
    let kept = places
        .iter()
        .filter(|it| it.retire != Retire::Revoke || !is_due(it));
    let kept: Vec<_> = kept.map(|it| it.name.clone()).collect();
    match kept.is_empty() {
        true => Stage::Over,
        false => Stage::Kept(kept),
    }
}

/// How far one is of which people are only warned.
fn warned<'a>(places: impl Iterator<Item = &'a Place>, since: Timestamp, now: Timestamp) -> Stage {
    match places.filter_map(|it| it.deadline).max() {
        None => Stage::Stay,
        Some(deadline) if since + deadline <= now => Stage::Overdue(since + deadline),
        Some(_) => Stage::Warned,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + days * 86_400_000_000)
    }

    fn place(name: &str, retire: Retire, due: Option<i64>) -> Place {
        Place {
            name: name.into(),
            retire,
            shadow: DAY * 14,
            deadline: None,
            due_at: due.map(at),
        }
    }

    #[test]
    fn a_key_is_warned_about_then_shadowed_then_revoked() {
        use Retire::{Revoke, Shadow, Warn};
        let web = |retire| vec![place("web", retire, Some(0))];
        for (places, since, now, expected) in [
            (web(Warn), None, 1000, Stage::Stay),
            (web(Shadow), None, -1, Stage::Stay),
            (web(Shadow), None, 0, Stage::Shadowed(None)),
            (web(Shadow), Some(0), 13, Stage::Shadowed(None)),
            (web(Shadow), Some(0), 14, Stage::Missed(at(14))),
            (web(Revoke), None, 0, Stage::Shadowed(Some(at(14)))),
            // However old it is, its time in the shadow begins when it is first looked at.
            (web(Revoke), None, 1000, Stage::Shadowed(Some(at(1014)))),
            (web(Revoke), Some(0), 13, Stage::Shadowed(Some(at(14)))),
            (web(Revoke), Some(0), 14, Stage::Over),
        ] {
            let found = stage(&places, since.map(at), at(now));
            assert_eq!(found, expected, "{places:?} {now}");
        }
    }

    #[test]
    fn a_key_that_people_are_warned_of_has_a_deadline_where_the_policy_says_so() {
        let mut places = vec![place("web", Retire::Warn, Some(0))];
        places[0].deadline = Some(DAY * 7);
        for (since, now, expected) in [
            (None, -1, Stage::Stay),
            (None, 1000, Stage::Warned),
            (Some(0), 6, Stage::Warned),
            (Some(0), 7, Stage::Overdue(at(7))),
        ] {
            assert_eq!(stage(&places, since.map(at), at(now)), expected, "{now}");
        }
        places.push(place("db", Retire::Shadow, Some(0)));
        let found = stage(&places, Some(at(0)), at(7));
        assert_eq!(found, Stage::Shadowed(None), "what is sterner decides");
    }

    #[test]
    fn a_key_that_may_be_used_somewhere_is_not_revoked() {
        use Retire::{Revoke, Shadow, Warn};
        let web = || place("web", Revoke, Some(0));
        for other in [
            place("db", Warn, Some(0)),
            place("db", Shadow, Some(0)),
            place("db", Revoke, Some(30)),
            place("db", Revoke, None),
        ] {
            let found = stage(&[web(), other.clone()], Some(at(0)), at(20));
            assert_eq!(found, Stage::Kept(vec!["db".into()]), "{other:?}");
        }
        let both = [web(), place("db", Revoke, Some(15))];
        assert_eq!(stage(&both, Some(at(0)), at(20)), Stage::Over);
    }

    proptest! {
        /// Nothing is revoked before every place says so, is past due, and had its time in the shadow.
        #[test]
        fn nothing_is_revoked_too_early(
            places in prop::collection::vec((0_u8..3, prop::option::of(-40_i64..40), 0_u32..30), 0..5),
            since in prop::option::of(-40_i64..40),
            now in -40_i64..40,
        ) {
            let one = |(retire, due, shadow): (u8, Option<i64>, u32)| Place {
                shadow: DAY * shadow,
                ..place("x", [Retire::Warn, Retire::Shadow, Retire::Revoke][usize::from(retire)], due)
            };
            let places: Vec<_> = places.into_iter().map(one).collect();
            if stage(&places, since.map(at), at(now)) == Stage::Over {
                prop_assert!(!places.is_empty());
                for place in &places {
                    prop_assert_eq!(place.retire, Retire::Revoke);
                    prop_assert!(place.due_at.is_some_and(|due| due <= at(now)));
                    let since = since.map_or(at(now), at);
                    prop_assert!(since + place.shadow <= at(now));
                }
            }
        }
    }
}
