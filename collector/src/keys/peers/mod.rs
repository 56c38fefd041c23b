//! Peers of WireGuard: whose they are, which of them are news, and which should be gone.

mod alerts;
mod api;
mod judge;
mod named;
mod page;
mod policy;
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
pub use policy::Peering;
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
                follow(tx, step, now).await?;
            }
            tell(tx, host, &told, now).await?;
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

async fn follow(tx: &mut Tx, step: Step, now: Timestamp) -> sqlx::Result<()> {
    let peer = match step {
        Step::Stands(peer) => peer,
        Step::Gone(peer) => {
            let key = alerts::kept_key(peer.host, (&peer.interface, &peer.peer));
            alerting::resolve(tx, &key, "It stands no more.", now).await?;
            return rows::gone(tx, &peer).await;
        }
    };
    let key = alerts::kept_key(peer.host, (&peer.interface, &peer.peer));
    match &peer.kept {
        Some(why) => alerting::raise(tx, &alerts::kept(&peer, why, now), now).await?,
        None => alerting::resolve(tx, &key, "It is not revoked any more.", now).await?,
    }
    rows::keep(tx, &peer).await
}

/// Which peers are new, and what is.
fn news(peers: &[Kept]) -> BTreeMap<Place, News> {
    let new = |peer: &Kept| Some((peer.place(), peer.news.clone()?));
    peers.iter().filter_map(new).collect()
}

/// Brings what people are told of a host's new peers in line with what is kept by now.
async fn tell(
    tx: &mut Tx,
    host: &Host,
    before: &BTreeMap<Place, News>,
    now: Timestamp,
) -> sqlx::Result<()> {
    let peers = rows::load(tx, host.id).await?;
    let after = news(&peers);
    let begun = after
        .iter()
        .filter(|(place, it)| before.get(*place) != Some(it));
    let ended = before
        .iter()
        .filter(|(place, it)| after.get(*place) != Some(it));
    let changed: BTreeSet<Timestamp> = begun.chain(ended).map(|(_, it)| it.batch).collect();
    for batch in changed {
        let is = |one: &&Kept| one.news.as_ref().is_some_and(|it| it.batch == batch);
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
        tell(tx, &host, &told, now).await?;
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
    for peer in rows::load(tx, host).await? {
        let place = (peer.interface.as_str(), peer.peer.as_str());
        let new = peer.news.map(|news| alerts::new_key(host, news.batch));
        let other = [alerts::kept_key(host, place), alerts::back_key(host, place)];
        for key in new.into_iter().chain(other) {
            alerting::resolve(tx, &key, "The host was revoked.", now).await?;
        }
    }
    Ok(())
}
