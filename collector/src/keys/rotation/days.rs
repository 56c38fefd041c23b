//! The calendar: what is to be replaced on which day, and what is overdue. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use watchward_protocol::time::Timestamp;

/// How far ahead it looks.
pub(in crate::keys) const AHEAD: Duration = Duration::from_secs(90 * 86_400);

/// Something that is replaced at its time. Safe for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in crate::keys) struct Entry {
    pub(in crate::keys) due_at: Timestamp,
    /// What it is, such as `machine key backup`.
    pub(in crate::keys) what: String,
    /// Of which host, or of how many.
    pub(in crate::keys) whose: String,
    /// Whether it is replaced without anybody doing anything.
    pub(in crate::keys) by_itself: bool,
    /// Its page; empty: it has none.
    pub(in crate::keys) path: String,
    /// How long one is used; empty: until its own end.
    pub(in crate::keys) every: String,
    /// When people hear of it.
    pub(in crate::keys) warn_at: Option<Timestamp>,
    /// When it is missed, and what happens then.
    pub(in crate::keys) deadline_at: Option<Timestamp>,
    pub(in crate::keys) missed: &'static str,
    /// Whether it should have been replaced by now.
    pub(in crate::keys) is_late: bool,
    /// What it waits for.
    pub(in crate::keys) waits: String,
}

/// A day, with all of it; the first may be what is overdue, without a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Day {
    /// Such as `2027-01-31`; empty: overdue.
    pub(in crate::keys) day: String,
    pub(in crate::keys) entries: Vec<Entry>,
}

/// The next ninety days, as far as there is something on them, the overdue first.
pub(in crate::keys) fn days(entries: Vec<Entry>, now: Timestamp) -> Vec<Day> {
    let mut days: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|it| it.due_at < now + AHEAD) {
        let day = match entry.due_at <= now {
            true => String::new(),
            false => entry.due_at.to_string().chars().take(10).collect(),
        };
        days.entry(day).or_default().push(entry);
    }
    let day = |(day, mut entries): (String, Vec<Entry>)| {
        entries.sort_unstable();
        Day { day, entries }
    };
    days.into_iter().map(day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overdue_comes_first_and_what_is_far_away_not_at_all() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let entry = |days: i64, what: &str| Entry {
            due_at: Timestamp::from_micros(now.as_micros() + days * 86_400_000_000),
            what: what.to_owned(),
            ..Entry::default()
        };
        let all = vec![
            entry(3, "b"),
            entry(-2, "late"),
            entry(3, "a"),
            entry(91, "far"),
        ];
        let days = days(all, now);
        let shown: Vec<(&str, Vec<&str>)> = days
            .iter()
            .map(|day| {
                let names = day.entries.iter().map(|it| it.what.as_str());
                (day.day.as_str(), names.collect())
            })
            .collect();
        assert_eq!(shown, [("", vec!["late"]), ("2027-01-18", vec!["a", "b"])]);
    }
}
