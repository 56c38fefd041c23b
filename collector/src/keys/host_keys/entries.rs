//! When what hosts show of themselves is replaced, for the calendar.

use std::collections::{BTreeMap, BTreeSet};

use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::alerts::slack;
use super::policy::Shown;
use crate::intake::Watched;
use crate::keys::policy::Policy;
use crate::keys::rotation::{Entry, Missed};
use crate::keys::rows::host_key::{self as rows, Certificate, Turn};
use crate::store::Store;

const DAY: i64 = 86_400_000_000;

/// Each host's key that rotates, and the certificates, those of one day together.
pub(in crate::keys) async fn entries(
    store: &Store,
    (hosts, policy): (&[Watched], &Policy),
    now: Timestamp,
) -> sqlx::Result<Vec<Entry>> {
    let certificates = rows::certificates(store).await?;
    let turns = rows::turns(store).await?;
    let mut all = Vec::new();
    let mut days: BTreeMap<i64, Vec<(&str, &Certificate)>> = BTreeMap::new();
    for host in hosts {
        let name = host.host.name.as_str();
        let table = policy.hosts.iter().find(|it| it.groups.has(name));
        let Some(table) = table else { continue };
        let turn = turns.get(name);
        all.extend(turn.and_then(|it| key(name, table, it, now)));
        for one in certificates.get(name).into_iter().flatten() {
            let day = renewal(one).as_micros().div_euclid(DAY);
            days.entry(day).or_default().push((name, one));
        }
    }
    all.extend(days.into_values().filter_map(|it| renewed(&it, now)));
    Ok(all)
}

/// A certificate is renewed at two thirds of its life.
fn renewal(one: &Certificate) -> Timestamp {
    one.until - one.until.since(one.since) / 3
}

fn key(name: &str, table: &Shown, turn: &Turn, now: Timestamp) -> Option<Entry> {
    let due_at = table.due(turn.since)?;
    let deadline_at = table.missed(turn.since)?;
    let waits = match &turn.next {
        None => String::new(),
        Some(next) if next.shown_at.is_some() => {
            format!(
                "key {} is shown beside the old one for the overlap",
                next.serial
            )
        }
        Some(next) => format!("key {} is not seen with its certificate yet", next.serial),
    };
    Some(Entry {
        due_at,
        what: "host key".to_owned(),
        whose: escaped(name),
        by_itself: true,
        path: String::new(),
        every: table.every.map_or_else(String::new, |it| {
            watchward_protocol::span::Span::from(it).to_string()
        }),
        warn_at: table.warn(turn.since),
        deadline_at: Some(deadline_at),
        missed: Missed::Page.word(),
        is_late: now >= deadline_at,
        waits,
    })
}

fn renewed(all: &[(&str, &Certificate)], now: Timestamp) -> Option<Entry> {
    let (_, first) = all.iter().min_by_key(|(_, it)| renewal(it))?;
    let hosts: BTreeSet<_> = all.iter().map(|(name, _)| *name).collect();
    let warn_at = all.iter().map(|(_, it)| it.until - slack(it)).min();
    let deadline_at = all.iter().map(|(_, it)| it.until).min();
    Some(Entry {
        due_at: renewal(first),
        what: match all.len() {
            1 => "host certificate".to_owned(),
            many => format!("{many} host certificates"),
        },
        whose: match (hosts.len(), hosts.first()) {
            (1, Some(name)) => escaped(name),
            (many, _) => format!("{many} hosts"),
        },
        by_itself: true,
        warn_at,
        deadline_at,
        missed: Missed::Page.word(),
        // It is made by itself; late is what hosts do not take.
        is_late: warn_at.is_some_and(|warn| now >= warn),
        ..Entry::default()
    })
}
