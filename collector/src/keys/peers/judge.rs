//! What follows from what a host tells of its peers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_protocol::peers::Peers;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use crate::intake::Host;
use crate::keys::Policy;
use crate::keys::rows::peer::{Kept, News, Place};

/// What becomes new within this time is one incident; what does later is told anew, so that nobody can
/// hide behind an incident that is open.
const BATCH: Duration = Duration::from_secs(30);

/// What becomes of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It stands.
    Stands(Kept),
    /// It stands no more.
    Gone(Kept),
}

/// What becomes of each peer of a host. Where it tells for the `first` time, that is where it begins.
pub(super) fn judge(
    (host, told): (&Host, &Peers),
    before: Vec<Kept>,
    (policy, first): (&Policy, bool),
    now: Timestamp,
) -> Vec<Step> {
    let latest = before.iter().filter_map(|it| Some(it.news.as_ref()?.batch));
    let batch = latest.max().filter(|it| now.since(*it) < BATCH);
    let batch = batch.unwrap_or(now);
    let mut before: BTreeMap<Place, Kept> = before.into_iter().map(|it| (it.place(), it)).collect();
    let mut steps = Vec::new();
    for peer in &told.peers {
        let mut fresh = Kept::appear(host, peer, now);
        let was = before.remove(&fresh.place());
        let known = policy.peering(&fresh.peer);
        let is_named = known.is_some_and(|it| it.may_stand(&host.name));
        fresh.first_at = was.as_ref().map_or(now, |was| was.first_at);
        fresh.news = match is_named {
            true => None,
            false => news(&fresh, was, (first, batch)),
        };
        steps.push(Step::Stands(fresh));
    }
    // One that was left out may stand still; but a host has no more of those than it may tell of.
    let is_whole = told.omitted == 0 || before.len() > Peers::MOST;
    let taken = told.taken.iter();
    let taken: BTreeSet<Place> = taken
        .map(|it| (escaped(&it.interface), it.key.to_string()))
        .collect();
    before.retain(|place, _| is_whole || taken.contains(place));
    steps.extend(before.into_values().map(Step::Gone));
    steps
}

/// What is new about a peer that the policy does not name.
fn news(peer: &Kept, was: Option<Kept>, (first, batch): (bool, Timestamp)) -> Option<News> {
    let Some(was) = was else {
        return (!first).then_some(News { batch, was: None });
    };
    match peer.allowed == was.allowed {
        true => was.news,
        false => Some(News {
            batch,
            was: Some(was.allowed),
        }),
    }
}
