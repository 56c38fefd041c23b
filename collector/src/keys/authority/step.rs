//! The next step of replacing an authority: {old} → {old, new} on every host → new signs → {new}. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_protocol::time::Timestamp;

/// An authority that hosts are to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub(super) id: i64,
    pub(super) made_at: Timestamp,
    /// Since when it signs; none: its turn is yet to come.
    pub(super) signs_at: Option<Timestamp>,
    /// Until when the last of its certificates counts.
    pub(super) counts_until: Option<Timestamp>,
}

/// A place where a host has told of an authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::keys) struct Seen {
    pub(in crate::keys) host: String,
    /// The account; empty: for all of them.
    pub(in crate::keys) holder: Vec<u8>,
}

/// What hosts have told.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// Where one is trusted, or still one that no host should trust any more.
    pub(super) trusting: BTreeSet<Seen>,
    /// Where the next one is.
    pub(super) next: BTreeSet<Seen>,
    /// Which hosts there are, and whether each is silent.
    pub(super) hosts: BTreeMap<String, bool>,
}

/// How long what takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    pub(super) every: Duration,
    pub(super) overlap: Duration,
    /// So far clocks may be apart.
    pub(super) slack: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, for now.
    Rest,
    /// Make the next one, and have hosts trust it.
    Make,
    /// Nothing, until these hosts trust it.
    Wait(Vec<String>),
    /// This one signs from now on.
    Sign(i64),
    /// Hosts are not to trust this one any more.
    End(i64),
}

impl Observed {
    /// The hosts where an authority opens something, or did, that the next would not: those that
    /// are heard, and those that are silent.
    pub(super) fn lacking(&self) -> (Vec<String>, Vec<String>) {
        let places = self.trusting.iter().filter(|one| !self.next.contains(one));
        let hosts: BTreeSet<_> = places.map(|one| one.host.as_str()).collect();
        let known = hosts
            .into_iter()
            .filter_map(|host| Some((host.to_owned(), *self.hosts.get(host)?)));
        let (silent, heard): (Vec<_>, Vec<_>) = known.partition(|(_, is_silent)| *is_silent);
        let names = |all: Vec<(String, bool)>| all.into_iter().map(|(host, _)| host).collect();
        (names(heard), names(silent))
    }
}

/// What to do next with these, the authorities that hosts are to trust. Nothing where there is none:
/// the first is made when somebody asks for it.
pub(super) fn next(live: &[Stand], observed: &Observed, spans: Spans, now: Timestamp) -> Step {
    let signs = live.iter().filter(|one| one.signs_at.is_some());
    let Some(signing) = signs.clone().max_by_key(|one| (one.signs_at, one.id)) else {
        return Step::Rest;
    };
    // What it signed while another was to sign already has the chance to count until its end.
    let over = signs.clone().find(|one| {
        let ends = one.counts_until.max(signing.signs_at);
        one.id != signing.id && ends.is_none_or(|end| end + spans.slack <= now)
    });
    if let Some(over) = over {
        return Step::End(over.id);
    }
    if let Some(successor) = live.iter().find(|one| one.signs_at.is_none()) {
        let (heard, silent) = observed.lacking();
        let waited = now >= successor.made_at + spans.overlap;
        return match (heard.is_empty(), silent.is_empty() || waited) {
            (true, true) => Step::Sign(successor.id),
            (true, false) => Step::Wait(silent),
            (false, _) => Step::Wait(heard),
        };
    }
    match signing.signs_at {
        Some(since) if since + spans.every <= now => Step::Make,
        Some(_) | None => Step::Rest,
    }
}
