//! Machines' keys: replaced on schedule, from the new key on the client to the receipt of the old.

mod alerts;
mod api;
mod ask;
mod claim;
mod days;
mod entries;
mod lines;
mod look;
mod next;
mod pages;
mod policy;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::sync::{Notify, watch};
use watchward_daemon::clock;
use watchward_daemon::config::{Live, replace};
use watchward_daemon::tasks::Stop;
use watchward_protocol::identities::Holding;
use watchward_protocol::time::Timestamp;

use super::authority;
use super::order::{Renewal, Stands};
use super::policy::Policy;
use super::revocation::{Inventory, Revocations};
use super::rows::{identity, opening, rotation as kept};
use crate::alerting::Bell;
use crate::intake::{Heard, Owned, Questions, Site};
use crate::store::{Store, Tx};
use turn::Try;

pub use api::{Calendar, routes};
pub(super) use days::Entry;
pub(super) use entries::Due;
pub(super) use lines::{Running, lines};
pub use pages::pages;
pub(super) use policy::join;
pub use policy::{Machine, Missed, Name as MachineName};
pub(super) use state::{At, Key, PHASES, Rotation, Used};
pub(super) use step::AUTHOR;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);
/// So long after something was tried and nothing could be kept of it, it is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// From how many clients something is tried at once.
const AT_ONCE: usize = 8;

/// Where hosts are.
pub(super) type Sites = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<Site>>>;

/// What is known of hosts elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Rooms {
    /// The hosts there are, and which of them are silent.
    pub inventory: Inventory,
    /// Where they are.
    pub sites: Sites,
}

/// Has keys rotate. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rotations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    owned: watch::Sender<Arc<Owned>>,
    wake: Notify,
    tries: watch::Sender<Arc<Vec<Try>>>,
}

impl Rotations {
    /// None yet, and what clients are to be told.
    pub fn new() -> (Self, Live<Owned>) {
        let (owned, live) = Live::new(Owned::default());
        let inner = Inner {
            owned,
            wake: Notify::default(),
            tries: watch::Sender::default(),
        };
        (Self(Arc::new(inner)), live)
    }

    /// Something may have changed.
    pub fn touch(&self) {
        self.0.wake.notify_one();
    }

    /// Looks, and has what is next done, until told to stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(
        self,
        store: Store,
        (rooms, policy): (Rooms, Live<Policy>),
        (questions, revocations, bell): (Questions, Revocations, Bell),
        stop: Stop,
    ) -> anyhow::Result<()> {
        let looking = self.look(&store, (rooms, policy), (revocations, bell), &stop);
        let trying = self.attempt(&store, (rooms, &questions), &stop);
        tokio::join!(looking, trying);
        Ok(())
    }

    async fn look(
        &self,
        store: &Store,
        (rooms, policy): (Rooms, Live<Policy>),
        (revocations, bell): (Revocations, Bell),
        stop: &Stop,
    ) {
        let mut renewal = Renewal::default();
        loop {
            match self.turn(store, (rooms, &policy.now()), &mut renewal).await {
                Ok(true) => {
                    revocations.changed();
                    bell.ring();
                }
                Ok(false) => bell.ring(),
                Err(error) => tracing::error!(%error, "cannot look how keys rotate; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks once; says whether hosts are to be told something else.
    async fn turn(
        &self,
        store: &Store,
        (rooms, policy): (Rooms, &Policy),
        renewal: &mut Renewal,
    ) -> sqlx::Result<bool> {
        let looked = turn::look(store, (policy, &rooms)).await?;
        let owned = Owned::new(looked.owned);
        replace(&self.0.owned, owned);
        replace(&self.0.tries, looked.tries);
        let stands = Stands {
            rotations: looked
                .facts
                .as_ref()
                .map(look::Facts::running)
                .unwrap_or_default(),
            authorities: authority::trusted(store.read()).await?,
        };
        let hosts = looked.facts.map(|it| it.hosts).unwrap_or_default();
        let renewed = renewal
            .renew(store, (&hosts, policy, &stands), clock::now())
            .await?;
        Ok(renewed || looked.revoked)
    }

    /// Has clients try what is to be tried, one thing at a time each.
    async fn attempt(&self, store: &Store, (rooms, questions): (Rooms, &Questions), stop: &Stop) {
        let mut tries = self.0.tries.subscribe();
        loop {
            let due = tries.borrow_and_update().clone();
            if !due.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = round(store, (rooms, questions), &due) => self.touch(),
                }
                // What was tried is read again before anything is tried twice.
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = tries.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

/// Tries all of it, each client one thing after the other.
async fn round(store: &Store, (rooms, questions): (Rooms, &Questions), due: &[Try]) {
    let sites = match (rooms.sites)(store).await {
        Ok(sites) => sites,
        Err(error) => {
            tracing::error!(%error, "cannot tell where hosts are");
            return;
        }
    };
    let mut clients: BTreeMap<&str, Vec<&Try>> = BTreeMap::new();
    for one in due {
        clients.entry(&one.client).or_default().push(one);
    }
    let sites = &sites;
    let asking = clients.into_values().map(|tries| async move {
        let mut silent = HashSet::new();
        for one in tries {
            // Where nobody could be asked once, nobody waits for it again in this round.
            if silent.contains(&one.at.host) {
                continue;
            }
            let asked = try_one(store, (questions, sites), one).await;
            if let Err(error) = &asked {
                tracing::error!(%error, "cannot keep what a client tried");
            }
            if !asked.unwrap_or_default() {
                silent.insert(one.at.host.clone());
            }
        }
    });
    stream::iter(asking)
        .for_each_concurrent(AT_ONCE, |it| it)
        .await;
}

async fn try_one(store: &Store, with: (&Questions, &[Site]), one: &Try) -> sqlx::Result<bool> {
    let host_keys = opening::host_keys(store, &one.at.host).await?;
    ask::attempt(store, with, host_keys, one, clock::now).await
}

/// Keeps what hosts told of keys of their own, as far as these are machines' keys that there should be:
/// nobody else fills the database with names.
///
/// # Errors
/// The database's.
pub async fn hear(
    tx: &mut Tx,
    heard: &[Heard<Holding>],
    policy: &Policy,
    now: Timestamp,
) -> sqlx::Result<()> {
    for Heard { host, report, .. } in heard {
        let is_it = |it: &Machine| it.name() == report.name && it.client == host.name;
        let is_named = policy.machines.iter().any(is_it);
        if !is_named && !kept::is_of(tx, (&report.name, &host.name)).await? {
            continue;
        }
        let keys = report.keys.iter().filter(|it| claim::is_plain(&it.key));
        let plain = Holding {
            keys: keys.cloned().collect(),
            ..report.clone()
        };
        identity::keep(tx, host, &plain, now).await?;
    }
    Ok(())
}

/// The addresses from which each host was seen to come: what it says of itself binds nothing.
fn addresses(sites: &[Site]) -> HashMap<String, Vec<IpAddr>> {
    let each = sites.iter().map(|site| {
        let mut all = site.seen.clone();
        all.sort_unstable();
        all.dedup();
        (site.name.clone(), all)
    });
    each.collect()
}
