//! Peers of WireGuard: whose they are, which of them are news, and which should be gone.

mod alerts;
mod api;
mod judge;
mod named;
mod page;
mod policy;
mod renewal;
mod stand;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchward_protocol::hosts::HostId;
use watchward_protocol::peers::{Peers, Taken};
use watchward_protocol::time::Timestamp;

use super::rows::peer::{self as rows, Kept, News, Place};
use super::{Accept, Policy};
use crate::alerting;
use crate::intake::{Heard, Host};
use crate::store::Tx;
use judge::Step;

pub use api::routes;
pub use named::named;
pub use page::pages;
pub use policy::{Interface, Peering};
pub(super) use renewal::{entries, outlook, renew};
pub(super) use stand::{Tunnels, of_peer, places};

/// So long after a revoked peer was put back for the last time, what was told of it is over.
const QUIET: Duration = Duration::from_secs(24 * 3600);

/// Keeps what hosts told of their peers, and tells people what is new of it.
///
/// # Errors
/// The database's.
pub async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<Peers>],
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<()> {
    // In one order everywhere, so that two collectors never wait for each other.
    let mut heard: Vec<_> = heard.iter().collect();
    heard.sort_by_key(|one| (one.host.id, one.seq));
    for Heard { host, report, .. } in heard {
        for taken in &report.taken {
            take(tx, host, taken, now).await?;
        }
        // Of one that cannot look, what it saw last is what is known.
        if report.trouble.is_none() {
            let first = !rows::is_known(tx, host.id).await?;
            let before = rows::load(tx, host.id).await?;
            let told = news(&before);
            for step in judge::judge((host, report), before, (policy, first), now) {
                follow(tx, &step).await?;
            }
            let peers = rows::load(tx, host.id).await?;
            tell(tx, (host, &peers), &told, now).await?;
            tell_kept(tx, host, &peers, now).await?;
        }
        rows::say(tx, host, report, now).await?;
    }
    Ok(())
}

async fn take(tx: &mut Tx, host: &Host, taken: &Taken, now: Timestamp) -> sqlx::Result<()> {
    let times = rows::taken(tx, host, taken, now + QUIET).await?;
    let Some(times) = times.filter(|times| *times > 1) else {
        return Ok(());
    };
    let (interface, peer) = (
        watchward_protocol::text::escaped(&taken.interface),
        taken.key.to_string(),
    );
    let alert = alerts::back((host.id, &host.name), (&interface, &peer), times, now);
    alerting::raise(tx, &alert, now).await
}

async fn follow(tx: &mut Tx, step: &Step) -> sqlx::Result<()> {
    match step {
        Step::Stands(peer) | Step::Left(peer) => rows::keep(tx, peer).await,
        Step::Forget(peer) => rows::lose(tx, peer).await,
    }
}

/// Brings what people are told of a host's revoked peers that stand in line with what is kept by now.
async fn tell_kept(tx: &mut Tx, host: &Host, peers: &[Kept], now: Timestamp) -> sqlx::Result<()> {
    match alerts::kept(host, peers, now) {
        Some(alert) => alerting::hold(tx, &alert, now).await,
        None => {
            let why = "They stand no more, or are not revoked any more.";
            alerting::resolve(tx, &alerts::kept_key(host.id), why, now).await
        }
    }
}

/// Which of the peers that stand are new, and what is.
fn news(peers: &[Kept]) -> BTreeMap<Place, News> {
    let new = |peer: &Kept| Some((peer.place(), peer.news.clone()?));
    let standing = peers.iter().filter(|it| it.left.is_none());
    standing.filter_map(new).collect()
}

/// Brings what people are told of a host's new peers in line with what is kept by now.
async fn tell(
    tx: &mut Tx,
    (host, peers): (&Host, &[Kept]),
    before: &BTreeMap<Place, News>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let after = news(peers);
    let begun = after
        .iter()
        .filter(|(place, it)| before.get(*place) != Some(it));
    let ended = before
        .iter()
        .filter(|(place, it)| after.get(*place) != Some(it));
    let changed: BTreeSet<Timestamp> = begun.chain(ended).map(|(_, it)| it.batch).collect();
    for batch in changed {
        let is = |one: &&Kept| after.get(&one.place()).is_some_and(|it| it.batch == batch);
        let about: Vec<&Kept> = peers.iter().filter(is).collect();
        match alerts::new(host, &about, batch, now) {
            Some(alert) => alerting::raise(tx, &alert, now).await?,
            None => {
                let key = alerts::new_key(host.id, batch);
                alerting::resolve(tx, &key, "They are right, or gone.", now).await?;
            }
        }
    }
    Ok(())
}

/// Takes a person's word that a peer is right; says in how many places it was new.
pub(super) async fn accept(tx: &mut Tx, accept: &Accept, now: Timestamp) -> sqlx::Result<usize> {
    if accept.account.is_some() {
        return Ok(0);
    }
    let mut count = 0;
    for peer in rows::new(tx, &accept.key).await? {
        if accept.host.as_ref().is_some_and(|name| *name != peer.name) {
            continue;
        }
        let host = Host {
            id: peer.host,
            name: peer.name.clone(),
        };
        let told = news(&rows::load(tx, host.id).await?);
        rows::keep(tx, &Kept { news: None, ..peer }).await?;
        let peers = rows::load(tx, host.id).await?;
        tell(tx, (&host, &peers), &told, now).await?;
        count += 1;
    }
    Ok(count)
}

/// Ends what was told long enough ago; says of how many.
pub(super) async fn activate(tx: &mut Tx, now: Timestamp) -> sqlx::Result<usize> {
    let over = rows::quiet(tx, now).await?;
    for (host, interface, peer) in &over {
        let key = alerts::back_key(*host, (interface, peer));
        alerting::resolve(tx, &key, "It was not put back for a day.", now).await?;
    }
    Ok(over.len())
}

/// Ends what is told of a host that was revoked.
pub(super) async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    let why = "The host was revoked.";
    for peer in rows::load(tx, host).await? {
        let place = (peer.interface.as_str(), peer.peer.as_str());
        let new = peer.news.map(|news| alerts::new_key(host, news.batch));
        for key in new.into_iter().chain([alerts::back_key(host, place)]) {
            alerting::resolve(tx, &key, why, now).await?;
        }
    }
    alerting::resolve(tx, &alerts::kept_key(host), why, now).await
}
