//! Keys of peers that grow old: people are told ahead, and once the policy's deadline has passed they
//! are paged, or the peer is revoked. Nobody but whoever has a peer can make it a new key.

mod alerts;
mod judge;

use std::collections::{BTreeMap, BTreeSet};

use watchward_protocol::peers::PeerKey;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use crate::alerting;
use crate::keys::Policy;
use crate::keys::proof::Revoked;
use crate::keys::revocation::Share;
use crate::keys::rotation::{Entry, Missed};
use crate::keys::rows::cause::{Cause, Sort};
use crate::keys::rows::peer::{self as rows, Kept};
use crate::keys::rows::revoked;
use crate::store::{Store, Tx};

pub(super) use judge::{Aging, Stage};

/// Who revokes what is too old, for receipts and the trail.
const AUTHOR: &str = "policy";

/// How many the calendar has.
const MOST: usize = 1_000;

/// Tells of keys that grow old, and revokes what is to go; says of how many that was something else
/// than before.
///
/// # Errors
/// The database's.
pub(in crate::keys) async fn renew(
    store: &Store,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<usize> {
    let told = rows::told(store).await?;
    if told.is_empty() && policy.peers.iter().all(|one| one.every.is_none()) {
        return Ok(0);
    }
    let mut peers = rows::all(store).await?;
    let gone = revoked::marks(store).await?;
    peers.retain(|one| !gone.contains_key(&one.peer));
    note(store, (&mut peers, policy), now).await?;
    let mut aging: Vec<_> = peers
        .iter()
        .filter_map(|it| Aging::of(it, policy, now))
        .collect();
    let resting = rows::resting(store).await?;
    let mut over = judge::over(peers.iter().chain(&resting), &aging, now);
    let beyond = match over.is_empty() {
        true => BTreeMap::new(),
        false => revoke_all(store, (&mut over, policy), &aging, now).await?,
    };
    aging.retain(|one| !over.contains(&one.peer.peer));
    let alerts = alerts::all(&aging, &beyond, now);
    Ok(over.len() + tell(store, &alerts, &told, now).await?)
}

/// Has these taken away, as far as the policy may; says why not of those that stay, which it takes out
/// of them.
async fn revoke_all(
    store: &Store,
    (over, policy): (&mut BTreeSet<String>, &Policy),
    aging: &[Aging],
    now: Timestamp,
) -> sqlx::Result<BTreeMap<String, String>> {
    let mut share = Share::read(store, Sort::Peers).await?;
    let mut standing: BTreeMap<&str, Vec<&Aging>> = BTreeMap::new();
    for one in aging {
        standing.entry(&one.peer.peer).or_default().push(one);
    }
    let mut beyond = BTreeMap::new();
    for peer in over.iter() {
        let places = standing.remove(peer.as_str()).unwrap_or_default();
        match share.take(places.iter().map(|it| it.peer.name.as_str())) {
            Ok(host) => revoke(store, (peer, policy), (&places, host), now).await?,
            Err(why) => {
                beyond.insert(peer.clone(), why);
            }
        }
    }
    over.retain(|peer| !beyond.contains_key(peer));
    Ok(beyond)
}

/// Keeps since when which of them are too old.
async fn note(
    store: &Store,
    (peers, policy): (&mut [Kept], &Policy),
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut changed = Vec::new();
    for peer in peers {
        let aging = Aging::of(peer, policy, now);
        let is_late = aging.is_some_and(|it| it.stage(now) >= Stage::Late);
        if is_late != peer.late_since.is_some() {
            peer.late_since = is_late.then_some(now);
            changed.push(&*peer);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let mut tx = store.begin().await?;
    for peer in changed {
        rows::age(&mut tx, peer, peer.late_since).await?;
    }
    tx.commit().await
}

/// Brings what is open in line with what should be; says of how many incidents.
async fn tell(
    store: &Store,
    wanted: &[alerting::Alert],
    told: &BTreeSet<String>,
    now: Timestamp,
) -> sqlx::Result<usize> {
    let mut changed = 0;
    for alert in wanted {
        if told.contains(&alert.key) && alerting::is_held(store, alert).await? {
            continue;
        }
        let mut tx = store.begin().await?;
        alerting::hold(&mut tx, alert, now).await?;
        rows::tell(&mut tx, &alert.key, true).await?;
        tx.commit().await?;
        changed += 1;
    }
    let over = |key: &&String| wanted.iter().all(|alert| alert.key != **key);
    for key in told.iter().filter(over) {
        let why = "They have new keys, are gone or revoked, or their time is another.";
        let mut tx = store.begin().await?;
        alerting::resolve(&mut tx, key, why, now).await?;
        rows::tell(&mut tx, key, false).await?;
        tx.commit().await?;
        changed += 1;
    }
    Ok(changed)
}

/// Has a peer taken away from every host, by the order that `watchward revoke` gives.
async fn revoke(
    store: &Store,
    (peer, policy): (&str, &Policy),
    (places, host): (&[&Aging], &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    let since = places.iter().map(|one| one.peer.first_at).min();
    let since = since.unwrap_or(now);
    let mut tx: Tx = store.begin().await?;
    let one = Revoked {
        fingerprint: peer.to_owned(),
        kind: PeerKey::KIND.to_owned(),
        wire: Vec::new(),
        reason: format!("older than the policy allows; in use since {since}"),
        author: AUTHOR.to_owned(),
        at: now,
        comment: String::new(),
        person: escaped(policy.owner(peer)),
        generation: revoked::next(&mut tx, now).await?,
    };
    revoked::revoke_by(&mut tx, &one, Cause::Policy(host)).await?;
    tx.commit().await?;
    tracing::warn!(peer, "revoked: its key is older than the policy allows");
    Ok(())
}

/// What is on the calendar until then.
pub(in crate::keys) async fn entries(
    store: &Store,
    policy: &Policy,
    (until, now): (Timestamp, Timestamp),
) -> sqlx::Result<Vec<Entry>> {
    let mut aging = standing(store, policy, now).await?;
    aging.retain(|one| one.due_at < until);
    aging.sort_by_key(|one| one.due_at);
    aging.truncate(MOST);
    Ok(aging.into_iter().map(|one| entry(&one, now)).collect())
}

/// Those whose keys would be too old by this policy, and are not by that one, as people call them.
pub(in crate::keys) async fn outlook(
    store: &Store,
    (before, after): (&Policy, &Policy),
    now: Timestamp,
) -> sqlx::Result<Vec<String>> {
    if before.peers == after.peers {
        return Ok(Vec::new());
    }
    let late = |all: Vec<Aging>| -> BTreeSet<String> {
        let late = all.into_iter().filter(|it| it.stage(now) >= Stage::Late);
        late.map(|one| format!("{} on {}", one.what(), escaped(&one.peer.name)))
            .collect()
    };
    let was = late(standing(store, before, now).await?);
    let is = late(standing(store, after, now).await?);
    Ok(is.difference(&was).cloned().collect())
}

/// Those that stand and are to have other keys after a while.
async fn standing(store: &Store, policy: &Policy, now: Timestamp) -> sqlx::Result<Vec<Aging>> {
    let gone = revoked::marks(store).await?;
    let peers = rows::all(store).await?.into_iter();
    let peers = peers.filter(|one| !gone.contains_key(&one.peer));
    Ok(peers
        .filter_map(|one| Aging::of(&one, policy, now))
        .collect())
}

impl Aging {
    fn what(&self) -> String {
        let name = match &*self.name {
            "" => &self.peer.peer,
            name => name,
        };
        format!("peer {name} of {}", self.peer.interface)
    }
}

fn entry(one: &Aging, now: Timestamp) -> Entry {
    Entry {
        due_at: one.due_at,
        what: one.what(),
        whose: escaped(&one.peer.name),
        by_itself: false,
        path: "/keys/peers".to_owned(),
        every: one.every.to_string(),
        warn_at: Some(one.warn_at),
        deadline_at: Some(one.deadline_at),
        missed: Missed::word(one.missed),
        is_late: one.stage(now) >= Stage::Late,
        waits: String::new(),
    }
}
