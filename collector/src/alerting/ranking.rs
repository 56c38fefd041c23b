//! Which of many incidents matters most: the order in which a summary tells of them. Pure.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Severity;
use super::about::Room;
use super::kinds;

/// What an incident's place depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether it is told that it is over.
    pub(super) is_end: bool,
    pub(super) severity: Severity,
    /// Its kind, as [`kinds::kind`] says.
    pub(super) kind: &'static str,
    /// Its message's number: later ones are higher.
    pub(super) id: i64,
}

/// Sorts by severity, then by who may have got in before what is down, then the rarest kind before
/// those of which there are many, then the newest. What is over comes last.
pub(super) fn sort<T>(all: &mut [T], of: impl Fn(&T) -> Standing) {
    let mut counts = HashMap::<_, usize>::new();
    for standing in all.iter().map(&of).filter(|one| !one.is_end) {
        *counts.entry(standing.kind).or_default() += 1;
    }
    all.sort_by_cached_key(|one| {
        let Standing {
            is_end,
            severity,
            kind,
            id,
        } = of(one);
        let count = counts.get(kind).copied().unwrap_or_default();
        (is_end, Reverse(severity), rank(kind), count, Reverse(id))
    });
}

/// The lower, the more it matters.
fn rank(kind: &str) -> u8 {
    match kinds::room(kind) {
        Some(Room::Access | Room::Restriction | Room::Keys) => 0,
        Some(Room::Hosts) => 1,
        Some(Room::Health) => 2,
        Some(Room::Collector) | None => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_got_in_comes_before_what_is_down_and_the_rare_before_the_frequent() {
        let one = |id, kind, severity, is_end| Standing {
            is_end,
            severity,
            kind,
            id,
        };
        let (critical, warning) = (Severity::Critical, Severity::Warning);
        let mut all = vec![
            one(1, "health.down", critical, true),
            one(2, "access.brute-force", critical, false),
            one(3, "access.brute-force", critical, false),
            one(4, "health.down", critical, false),
            one(5, "hosts.silent", critical, false),
            one(6, "hosts.silent", critical, false),
            one(7, "access.gap", warning, false),
            one(8, "access.login-after-brute-force", critical, false),
        ];
        sort(&mut all, |one| *one);
        let order: Vec<_> = all.iter().map(|one| one.id).collect();
        assert_eq!(order, [8, 3, 2, 6, 5, 4, 7, 1]);
    }
}
