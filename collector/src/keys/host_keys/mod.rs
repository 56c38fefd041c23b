//! What hosts' sshd shows of itself: certificates of their keys, made and renewed, and keys that take each other's place.

mod alerts;
mod next;
mod policy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::{Live, replace};
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::authority::{Authority, HostTerms};
use super::policy::Policy;
use super::revocation::Inventory;
use super::rows::authority::Kept;
use super::rows::host_key::{self as rows, Certificate, Seen, Turn};
use crate::alerting::{self, Alert, Bell};
use crate::intake::{Shown as Ordered, Watched};
use crate::store::Store;
use alerts::Standing;

pub(super) use policy::join;
pub use policy::{Life as HostLife, Name as HostName, Shown};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(2);

/// Starts what has hosts show what the policy says; gives what each is to be told.
pub fn start(
    tasks: &Tasks,
    authority: &Authority,
    inventory: Inventory,
    bell: &Bell,
) -> Live<Ordered> {
    let (ordered, live) = Live::new(Ordered::default());
    let (store, policy) = authority.rules();
    let room = Room::new(store, authority.clone());
    let ends = (ordered, bell.clone());
    let showing = room.run(inventory, policy, ends, tasks.stop());
    tasks.start("host-keys", showing);
    live
}

/// What looks.
pub(super) struct Room {
    store: Store,
    authority: Authority,
    /// What people were told of each host, as far as this collector knows.
    told: HashMap<HostId, Option<Alert>>,
}

/// What is kept of a host, and seen of it.
#[derive(Debug, Default)]
struct Known {
    kept: Vec<Certificate>,
    turn: Option<Turn>,
    seen: Seen,
    unshown: Option<String>,
}

impl Room {
    pub(super) fn new(store: Store, authority: Authority) -> Self {
        Self {
            store,
            authority,
            told: HashMap::new(),
        }
    }

    async fn run(
        mut self,
        inventory: Inventory,
        policy: Live<Policy>,
        (ordered, bell): (watch::Sender<Arc<Ordered>>, Bell),
        stop: Stop,
    ) -> anyhow::Result<()> {
        loop {
            let looked = self.look(inventory, &policy.now(), clock::now()).await;
            let looked = looked.map(|(orders, news)| {
                replace(&ordered, orders);
                news
            });
            let what = "look what hosts show of themselves";
            if !bell.after(what, looked, (LOOK, &stop)).await {
                return Ok(());
            }
        }
    }

    /// Does what is missing, and says what hosts are ordered, and whether there was news.
    pub(super) async fn look(
        &mut self,
        inventory: Inventory,
        policy: &Policy,
        now: Timestamp,
    ) -> anyhow::Result<(Ordered, bool)> {
        let mut certificates = rows::certificates(&self.store).await?;
        let mut turns = rows::turns(&self.store).await?;
        if policy.hosts.is_empty() && certificates.is_empty() && turns.is_empty() {
            return Ok((Ordered::default(), false));
        }
        let mut seen = rows::seen(&self.store).await?;
        let mut unshown = rows::unshown(&self.store).await?;
        let hosts = inventory(&self.store).await?;
        let signing = match policy.hosts.is_empty() {
            true => None,
            false => Some(self.authority.of_hosts(now).await?),
        };
        let (mut orders, mut news) = (BTreeMap::new(), false);
        for watched in &hosts {
            let name = &watched.host.name;
            let mut known = Known {
                kept: certificates.remove(name).unwrap_or_default(),
                turn: turns.remove(name),
                seen: seen.remove(name).unwrap_or_default(),
                unshown: unshown.remove(name),
            };
            let table = policy.hosts.iter().find(|it| it.groups.has(name));
            let Some(table) = table else {
                if known.turn.is_some() {
                    // What it shows is again what it would by itself.
                    orders.insert(name.clone(), Default::default());
                    news |= self.tell(watched, None, now).await?;
                }
                continue;
            };
            let Some(signing) = &signing else { continue };
            let turn = match self.host(name, (table, signing), &mut known, now).await {
                Ok(turn) => turn,
                Err(error) => {
                    // It shows on what it was ordered last.
                    let error = format!("{error:#}");
                    tracing::error!(host.name = name, error, "cannot certify a host's keys");
                    continue;
                }
            };
            orders.insert(name.clone(), next::order(&turn, &known.kept));
            let standing = Standing {
                watched,
                kept: &known.kept,
                seen: &known.seen,
                unshown: known.unshown.as_deref(),
            };
            news |= self.tell(watched, standing.alert(now), now).await?;
        }
        Ok((Ordered::new(orders), news))
    }

    /// Has a host's keys be certified, and another take their place when that is due.
    async fn host(
        &self,
        name: &str,
        (table, signing): (&Shown, &Kept),
        known: &mut Known,
        now: Timestamp,
    ) -> anyhow::Result<Turn> {
        let before = known.turn.take();
        let first = Turn {
            serial: 0,
            since: now,
            next: None,
        };
        let current = before.as_ref().unwrap_or(&first);
        let turn = next::turned(current, &known.seen, table, now);
        let principals = table.principals(name).unwrap_or_default();
        let terms = (&principals[..], signing.id, table.life());
        let keys = next::certified(&known.seen, &turn);
        let wanting = match principals.is_empty() {
            true => Vec::new(),
            false => next::wanting(&keys, &known.kept, terms, now),
        };
        let gone: Vec<_> = match known.seen.keys.is_empty() {
            // It was not looked at yet.
            true => Vec::new(),
            false => next::gone(&keys, &mut known.kept).collect(),
        };
        if before.as_ref() == Some(&turn) && wanting.is_empty() && gone.is_empty() {
            return Ok(turn);
        }
        let mut tx = self.store.begin().await?;
        rows::turn(&mut tx, name, (before.as_ref(), &turn)).await?;
        for one in gone {
            rows::forget(&mut tx, name, &one.fingerprint).await?;
        }
        for key in wanting {
            let terms = HostTerms {
                name,
                principals: &principals,
                until: now + table.life(),
            };
            let made = self
                .authority
                .certify_host(&mut tx, (signing, key), &terms, now);
            let one = made.await?;
            let same = |it: &Certificate| it.fingerprint == one.fingerprint;
            let place = known.kept.iter().position(same);
            let before = place.map(|at| known.kept.remove(at).serial);
            rows::keep(&mut tx, name, &one, before).await?;
            let key = &one.fingerprint;
            tracing::info!(host.name = name, key, "certified a host's key");
            known.kept.push(one);
        }
        known.kept.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        tx.commit().await?;
        Ok(turn)
    }

    /// Tells of a host what is news; says whether it was.
    async fn tell(
        &mut self,
        watched: &Watched,
        alert: Option<Alert>,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let host = watched.host.id;
        if self.told.get(&host) == Some(&alert) {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        match &alert {
            Some(alert) => alerting::raise(&mut tx, alert, now).await?,
            None => {
                let why = "The host shows certificates that count.";
                alerting::resolve(&mut tx, &alerts::key(host), why, now).await?;
            }
        }
        tx.commit().await?;
        self.told.insert(host, alert);
        Ok(true)
    }
}
