//! Keys: what opens each account of each host, since when, how long it may, and who used it last.

mod alerts;
mod api;
mod authority;
mod follow;
mod guarded;
mod host_keys;
mod inventory;
mod judge;
mod kept;
mod live;
mod logins;
mod notices;
mod options;
mod order;
mod ordered;
mod outlook;
mod pages;
mod peers;
mod policy;
mod proof;
mod reading;
mod retire;
mod revocation;
mod rotation;
mod rows;
#[cfg(test)]
mod tests;
mod visit;
mod week;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::hosts::HostId;
use watchward_protocol::keys::{Keys, PublicKey};
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::alerting::Bell;
use crate::intake::Heard;
use crate::store::{Store, Tx, timer};
use rows::{host, stray};

pub use api::{Shown, routes};
pub use authority::{
    Authority, Grant, HostsSchedule, Life, Login, Schedule, pages as login_pages,
    routes as authority_routes, run as follow_authority,
};
pub use guarded::{BreakGlass, Guarded, watch as watch_guarded};
pub use host_keys::{HostLife, HostName, Shown as HostShown, start as show_hosts};
pub use live::{Seen, after, last};
pub use notices::notices;
pub use order::watch_lines;
pub use outlook::{Outlook, Way, outlook};
pub use pages::pages;
pub use peers::{
    Interface, Peering, absorb as hear_peers, named, pages as peer_pages, routes as peer_routes,
};
pub use policy::{Account, Exception, Fingerprint, Policy, Strength};
pub use proof::{prove_glass, routes as proof_routes, run as ask_daily};
pub use reading::{Change, Counts, Listed, State, Wanted, counts, list, places};
pub use retire::{Retire, run as retire};
pub use revocation::{
    Desk, Inventory as Watching, Revocations, Signer, absorb as refused, routes as revoke_routes,
    run as watch_refusals,
};
pub use rotation::{
    Calendar, Machine, MachineName, Missed, Rooms, Rotations, hear as own_keys,
    pages as rotation_pages, routes as rotation_routes,
};
pub use rows::deed::deeds;
pub use rows::lineage::OF_A_COPY;
pub use rows::{DEADLINES, SCHEMA};
pub use week::week;

/// The table `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a key that is gone is remembered.
    pub keep: Span,
    /// How long after a login its key may take to be listed, before it counts as listed nowhere. An
    /// agent tells of an account that changes all the time once a minute.
    pub settle: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Span::days(400),
            settle: Span::minutes(2),
        }
    }
}

/// Keeps what hosts told of their keys, and raises what follows from it. A report that is not newer
/// than what is kept changes nothing.
///
/// # Errors
/// The database's.
pub async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<Keys>],
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<()> {
    rows::wire::keep(tx, &wires(heard)).await?;
    // In one order everywhere, so that two collectors never wait for each other.
    let mut hosts: BTreeMap<HostId, Vec<&Heard<Keys>>> = BTreeMap::new();
    for one in heard {
        hosts.entry(one.host.id).or_default().push(one);
    }
    for reports in hosts.values() {
        let Some(first) = reports.first() else {
            continue;
        };
        let mut inventory = host::load(tx, &first.host).await?;
        for report in reports {
            inventory.hear(report, now);
        }
        follow::settle(tx, &mut inventory, policy, now).await?;
    }
    Ok(())
}

/// The keys that were told as they are on the wire. A host's word for which key that is does not count.
fn wires(heard: &[Heard<Keys>]) -> BTreeMap<&str, &PublicKey> {
    let openings = heard.iter().flat_map(|one| &one.report.openings);
    let keys = openings.filter_map(|one| one.key.as_ref());
    let told = keys.filter(|key| !key.wire.is_empty());
    let sound = told.filter(|key| proof::fingerprint(&key.wire) == key.fingerprint);
    sound.map(|key| (key.fingerprint.as_str(), key)).collect()
}

/// Notes which keys were used. One that is listed nowhere is told after a while, unless it turns out
/// to be listed: what is told of keys and of logins may overtake each other.
///
/// # Errors
/// The database's.
pub async fn used(
    tx: &mut Tx,
    heard: &[Heard<AccessEvent>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    logins::follow(tx, heard, config, now).await
}

/// What a person says is right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The key's fingerprint; for what has none, the file that it stands in, or the program.
    pub key: String,
    /// Only on this host.
    #[serde(default)]
    pub host: Option<String>,
    /// Only for this account.
    #[serde(default)]
    pub account: Option<String>,
}

/// Takes the word of the person of this name that a key is right, which ends what is open about it;
/// says in how many places it was found.
///
/// # Errors
/// The database's.
pub async fn accept(
    tx: &mut Tx,
    (accept, by): (&Accept, &str),
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<usize> {
    let is_account = |name: Option<&[u8]>| {
        let wanted = accept.account.as_ref().map(String::as_bytes);
        wanted.is_none() || wanted == name
    };
    let mut count = 0;
    for host in host::with(tx, &accept.key).await? {
        if accept.host.as_ref().is_some_and(|name| *name != host.name) {
            continue;
        }
        let mut inventory = host::load(tx, &host).await?;
        count += inventory.accept(by, |whose, kept| {
            let name = match &kept.opening.key {
                Some(key) => &key.fingerprint,
                None => &kept.opening.file,
            };
            *name == accept.key && is_account(whose.account().map(|name| name.as_bytes()))
        });
        for one in stray::load(tx, host.id).await? {
            if one.fingerprint == accept.key && is_account(Some(one.account.as_bytes())) {
                stray::forget(tx, one.id).await?;
                count += 1;
            }
        }
        follow::settle(tx, &mut inventory, policy, now).await?;
    }
    count += peers::accept(tx, accept, now).await?;
    Ok(count)
}

/// Judges hosts again where time or another policy may have changed something, forgets what has been
/// gone for long enough, and says how many incidents that touched.
///
/// # Errors
/// The database's.
pub async fn activate(
    tx: &mut Tx,
    config: &Config,
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<usize> {
    host::note_policy(tx, policy).await?;
    let mut changed = 0;
    for one in host::due(tx, now).await? {
        let mut inventory = host::load(tx, &one).await?;
        changed += follow::settle(tx, &mut inventory, policy, now).await?;
    }
    changed += revocation::activate(tx, now).await?;
    changed += guarded::activate(tx, now).await?;
    changed += peers::activate(tx, now).await?;
    rows::prune(tx, now - config.keep.duration()).await?;
    Ok(changed)
}

/// Ends what is open about a host that was revoked, and forgets its keys.
///
/// # Errors
/// The database's.
pub async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    follow::end(tx, host, "the host was revoked", now).await?;
    revocation::forget(tx, host, now).await?;
    peers::forget(tx, host, now).await?;
    rows::forget(tx, host).await
}

/// Judges what time brings about, until it is told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    (config, policy): (Live<Config>, Live<Policy>),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    timer::run(
        store,
        DEADLINES,
        move |tx, now| {
            let (config, policy) = (config.now(), policy.now());
            Box::pin(async move { activate(tx, &config, &policy, now).await })
        },
        || bell.ring(),
        stop,
    )
    .await
}
