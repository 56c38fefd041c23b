//! What follows from what a host tells of its peers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_protocol::peers::Peers;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use crate::intake::Host;
use crate::keys::Policy;
use crate::keys::rows::peer::{Kept, Left, News, Place};

/// What becomes new within this time is one incident; what does later is told anew, so that nobody can
/// hide behind an incident that is open.
const BATCH: Duration = Duration::from_secs(30);

/// One that is back within this time was never gone: its interface was set up anew.
const SET_UP: Duration = Duration::from_secs(3600);

/// One that left with all of its interface is known for so long: its host was down, or the interface.
const AWAY: Duration = Duration::from_secs(30 * 86_400);

/// What becomes of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It stands.
    Stands(Kept),
    /// It stands no more: since when its key was there is remembered.
    Left(Kept),
    /// It left so long ago that nothing of it is remembered.
    Forget(Kept),
}

impl Kept {
    /// Whether it is no news that it stands: it does, or left lately.
    fn is_known(&self, now: Timestamp) -> bool {
        self.left
            .is_none_or(|left| now.since(left.at) < if left.is_away { AWAY } else { SET_UP })
    }
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
    let firsts = firsts(&before);
    let mut before: BTreeMap<Place, Kept> = before.into_iter().map(|it| (it.place(), it)).collect();
    let mut steps = Vec::new();
    for peer in &told.peers {
        let mut fresh = Kept::appear(host, peer, now);
        let was = before.remove(&fresh.place());
        let known = policy.peering(&fresh.peer);
        let place = (host.name.as_str(), fresh.interface.as_str());
        let is_named = known.is_some_and(|it| it.may_stand_on(place));
        fresh.first_at = firsts.get(&fresh.peer).copied().unwrap_or(now);
        fresh.late_since = was.as_ref().and_then(|it| it.late_since);
        let was = was.filter(|it| it.is_known(now));
        fresh.news = match is_named {
            true => None,
            false => news(&fresh, was, (first, batch)),
        };
        steps.push(Step::Stands(fresh));
    }
    steps.extend(left(told, before, now));
    steps
}

/// When each key was first there, on whichever interface.
fn firsts(before: &[Kept]) -> BTreeMap<String, Timestamp> {
    let mut firsts = BTreeMap::new();
    for one in before {
        let first = firsts.entry(one.peer.clone()).or_insert(one.first_at);
        *first = one.first_at.min(*first);
    }
    firsts
}

/// What becomes of those that a host does not tell of.
fn left(told: &Peers, before: BTreeMap<Place, Kept>, now: Timestamp) -> Vec<Step> {
    // One that was left out may stand still; but a host has no more of those than it may tell of.
    let standing = before.values().filter(|it| it.left.is_none()).count();
    let is_whole = told.omitted == 0 || standing > Peers::MOST;
    let taken: BTreeSet<Place> = told
        .taken
        .iter()
        .map(|it| (escaped(&it.interface), it.key.to_string()))
        .collect();
    let stand: BTreeSet<String> = told.peers.iter().map(|it| escaped(&it.interface)).collect();
    let mut steps = Vec::new();
    let mut remembered = Vec::new();
    for (place, mut peer) in before {
        let is_taken = taken.contains(&place);
        if !is_whole && !is_taken {
            remembered.extend(peer.left.map(|left| (left.at, peer)));
            continue;
        }
        let is_away = !is_taken && !stand.contains(&place.0);
        let changes = peer.left.is_none_or(|left| left.is_away && !is_away);
        if changes {
            peer.left = Some(Left { at: now, is_away });
            peer.kept = None;
            steps.push(Step::Left(peer.clone()));
        }
        remembered.extend(peer.left.map(|left| (left.at, peer)));
    }
    // A host that makes peers up is not remembered without end.
    remembered.sort_by_key(|(at, _)| *at);
    let beyond = remembered.len().saturating_sub(Peers::MOST);
    let beyond = remembered.into_iter().take(beyond);
    steps.extend(beyond.map(|(_, peer)| Step::Forget(peer)));
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
