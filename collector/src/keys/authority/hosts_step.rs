//! The next step of replacing the authority of hosts: clients are to trust {old} → {old, new} → the new one
//! signs → {new}. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use watchward_protocol::time::Timestamp;

use super::step::Stand;
use crate::keys::rows::host_key::{Certificate, Seen};

/// How far clocks may be apart.
const SLACK: Duration = Duration::from_secs(600);

/// A host that shows a certificate, or was ordered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Lean {
    pub(in crate::keys) host: String,
    /// Which authority signed it; none: it is an earlier one of this key, by whichever.
    pub(in crate::keys) on: Option<i64>,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    pub(super) every: Duration,
    /// How long clients can take the next one's line before it signs.
    pub(super) published: Duration,
    /// How long a certificate counts at most.
    pub(super) life: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, for now.
    Rest,
    /// Make the next one, and have clients trust it.
    Make,
    /// Nothing until then: not every client could have heard of the next one.
    Publish(Timestamp),
    /// This one signs from now on.
    Sign(i64),
    /// Nothing, until these hosts show certificates of the one that signs.
    Wait(Vec<String>),
    /// Clients are not to trust this one any more.
    End(i64),
}

/// On what a host leans: what it was seen to show, and, where the policy has it show some, what it was
/// ordered to.
pub(super) fn leans<'a>(
    host: &'a str,
    (kept, is_ordered): (&'a [Certificate], bool),
    seen: &'a Seen,
    now: Timestamp,
) -> impl Iterator<Item = Lean> + 'a {
    let second = |it: Timestamp| it.as_micros() / 1_000_000;
    let shown = seen.certificates.iter();
    let shown = shown.filter(move |(_, until)| **until + SLACK > now);
    let shown = shown.map(move |(key, until)| {
        let mut of_key = kept.iter().filter(|it| it.fingerprint == *key);
        let last = of_key.find(|it| second(it.until) == second(*until));
        last.map(|it| it.authority)
    });
    let ordered = kept.iter().filter(move |it| is_ordered && it.until > now);
    let ordered = ordered.map(|it| Some(it.authority));
    shown.chain(ordered).map(move |on| Lean {
        host: host.to_owned(),
        on,
    })
}

/// What to do next with these, the authorities that clients are to trust for hosts.
pub(super) fn next(live: &[Stand], leans: &[Lean], spans: Spans, now: Timestamp) -> Step {
    let signs = live.iter().filter(|one| one.signs_at.is_some());
    let Some(signing) = signs.clone().max_by_key(|one| (one.signs_at, one.id)) else {
        return Step::Rest;
    };
    let old = signs.filter(|one| one.id != signing.id);
    // What the old one signed is over by then, whatever a host says that it shows.
    let counts = signing
        .signs_at
        .is_some_and(|at| now <= at + spans.life + SLACK);
    let old: Vec<_> = old
        .map(|one| (one.id, leaning(leans, one.id, counts)))
        .collect();
    if let Some((id, _)) = old.iter().find(|(_, hosts)| hosts.is_empty()) {
        return Step::End(*id);
    }
    if let Some(successor) = live.iter().find(|one| one.signs_at.is_none()) {
        let at = successor.made_at + spans.published;
        return match now >= at {
            true => Step::Sign(successor.id),
            false => Step::Publish(at),
        };
    }
    if let Some((_, hosts)) = old.into_iter().next() {
        return Step::Wait(hosts);
    }
    match signing.signs_at {
        Some(since) if since + spans.every <= now => Step::Make,
        Some(_) | None => Step::Rest,
    }
}

/// The hosts where a certificate of this one may count still, if one `counts` that nobody knows.
fn leaning(leans: &[Lean], id: i64, counts: bool) -> Vec<String> {
    let leans_on = |one: &&Lean| one.on.map_or(counts, |authority| authority == id);
    let hosts = leans.iter().filter(leans_on);
    let hosts: BTreeSet<_> = hosts.map(|one| one.host.clone()).collect();
    hosts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const SPANS: Spans = Spans {
        every: Duration::from_secs(30 * 86_400),
        published: Duration::from_secs(5 * 86_400),
        life: Duration::from_secs(30 * 86_400),
    };

    fn at(days: u32) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000) + DAY * days
    }

    fn one(id: i64, made: u32, signs: Option<u32>) -> Stand {
        Stand {
            id,
            made_at: at(made),
            signs_at: signs.map(at),
            counts_until: None,
        }
    }

    fn lean(host: &str, on: Option<i64>) -> Lean {
        let host = host.to_owned();
        Lean { host, on }
    }

    #[test]
    fn the_next_one_signs_when_every_client_could_know_it_and_the_old_goes_when_no_host_needs_it() {
        let first = one(1, 0, Some(0));
        let old = [lean("web", Some(1)), lean("db", Some(1))];
        let step = |live: &[Stand], leans: &[Lean], day| next(live, leans, SPANS, at(day));
        assert_eq!(step(&[], &[], 99), Step::Rest, "nobody needs one");
        assert_eq!(step(std::slice::from_ref(&first), &old, 29), Step::Rest);
        assert_eq!(step(std::slice::from_ref(&first), &old, 30), Step::Make);
        let both = [first.clone(), one(2, 30, None)];
        assert_eq!(step(&both, &old, 34), Step::Publish(at(35)));
        assert_eq!(step(&both, &old, 35), Step::Sign(2));
        let signs = [first, one(2, 30, Some(35))];
        let part = [lean("web", Some(2)), lean("db", Some(1))];
        let waits = Step::Wait(vec!["db".to_owned()]);
        assert_eq!(step(&signs, &part, 36), waits, "however long it takes");
        assert_eq!(step(&signs, &part, 99), waits, "and no third is made");
        let before = [lean("web", Some(2)), lean("db", None)];
        assert_eq!(step(&signs, &before, 36), waits, "an earlier one");
        assert_eq!(step(&signs, &before, 64), waits);
        assert_eq!(
            step(&signs, &before, 66),
            Step::End(1),
            "what a host makes up"
        );
        let new = [lean("web", Some(2)), lean("db", Some(2))];
        assert_eq!(step(&signs, &new, 36), Step::End(1));
    }
}
