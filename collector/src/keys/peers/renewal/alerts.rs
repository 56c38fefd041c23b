//! What people are told of peers whose keys grow old. Pure.

use std::collections::{BTreeMap, BTreeSet};

use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge::{Aging, Stage};
use crate::alerting::{Alert, Severity, cut};
use crate::keys::peers::alerts::{LISTED, TITLE, more, short};
use crate::keys::rotation::Missed;

/// Everything that should be open: what is due, and what is missed, on one day on one host is one. Of
/// some it is known why they are not revoked although their time is over.
pub(super) fn all(
    aging: &[Aging],
    beyond: &BTreeMap<String, String>,
    now: Timestamp,
) -> Vec<Alert> {
    let mut due: BTreeMap<(HostId, String), Vec<&Aging>> = BTreeMap::new();
    let mut missed = due.clone();
    for one in aging {
        match one.stage(now) {
            Stage::Young => {}
            Stage::Soon => due
                .entry((one.peer.host, day(one.due_at)))
                .or_default()
                .push(one),
            Stage::Late => {
                let since = one.peer.late_since.unwrap_or(now);
                due.entry((one.peer.host, day(since)))
                    .or_default()
                    .push(one);
            }
            Stage::Missed => {
                let key = (one.peer.host, day(one.deadline_at));
                missed.entry(key).or_default().push(one);
            }
        }
    }
    let due = due.iter().map(|(key, all)| growing(key, all, now));
    let missed = missed.iter().map(|(key, all)| overdue(key, all, beyond));
    due.chain(missed).flatten().collect()
}

/// Their time comes, or has come.
fn growing((host, day): &(HostId, String), all: &[&Aging], now: Timestamp) -> Option<Alert> {
    let first = all.first()?;
    let is_late = all.iter().any(|it| it.stage(now) == Stage::Late);
    let name = short(&first.peer.name);
    let (whom, verb) = match all {
        [one] => (one.title(), "needs a new key"),
        many => (
            format!("{} peers of WireGuard", many.len()),
            "need new keys",
        ),
    };
    let title = match is_late {
        true => format!("{name}: {whom} {verb} since {day}"),
        false => format!("{name}: {whom} {verb} by {day}"),
    };
    Some(Alert {
        key: format!("keys.peer-due {host} {day}"),
        severity: match is_late {
            true => Severity::Warning,
            false => Severity::Info,
        },
        host: Some(first.peer.name.clone()),
        title: cut(&title, TITLE),
        detail: listed(all),
        advice: advice(),
        since: all.iter().map(|it| it.warn_at).min().unwrap_or(now),
    })
}

/// They should have new keys by now.
fn overdue(
    (host, day): &(HostId, String),
    all: &[&Aging],
    beyond: &BTreeMap<String, String>,
) -> Option<Alert> {
    let first = all.first()?;
    // What holds all up comes first, for not all are named.
    let whys: BTreeSet<_> = all
        .iter()
        .filter_map(|it| beyond.get(&it.peer.peer))
        .collect();
    let whys: String = whys.into_iter().map(|why| format!("{why}\n")).collect();
    let name = short(&first.peer.name);
    let title = match all {
        [one] => format!("{name}: {} was to have a new key by {day}", one.title()),
        many => format!(
            "{name}: {} peers of WireGuard were to have new keys by {day}",
            many.len()
        ),
    };
    Some(Alert {
        key: format!("keys.peer-missed {host} {day}"),
        severity: Severity::Critical,
        host: Some(first.peer.name.clone()),
        title: cut(&title, TITLE),
        detail: format!("{whys}{}", listed(all)),
        advice: format!(
            "{} `watchward revoke KEY` takes one away from every host.",
            advice()
        ),
        since: all
            .iter()
            .map(|it| it.deadline_at)
            .min()
            .unwrap_or_default(),
    })
}

fn advice() -> String {
    "Whoever it is makes a new key (`wg genkey`), and the host takes it for the same addresses."
        .to_owned()
}

fn listed(all: &[&Aging]) -> String {
    let lines = all.iter().take(LISTED).map(|one| one.line());
    lines.chain(more(all.len())).collect::<Vec<_>>().join("\n")
}

impl Aging {
    fn title(&self) -> String {
        let name = match &*self.name {
            "" => self.peer.peer.chars().take(10).collect::<String>() + "…",
            name => Foreign::from(name).shortened(30),
        };
        format!("peer {name} of {}", self.peer.interface)
    }

    fn line(&self) -> String {
        let name = match &*self.name {
            "" => String::new(),
            name => format!(", {}", Foreign::from(name).shortened(60)),
        };
        let then = match self.missed {
            Missed::Page => "then somebody is paged",
            Missed::Revoke => {
                "then it is revoked, as soon as the policy says so of each place of it"
            }
        };
        let (peer, interface) = (&self.peer.peer, &self.peer.interface);
        format!(
            "{peer} of {interface}{name}\nSince {}, for {} at most; deadline {}: {then}.",
            self.peer.first_at, self.every, self.deadline_at
        )
    }
}

pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}
