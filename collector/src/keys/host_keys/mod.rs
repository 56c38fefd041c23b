//! What hosts' sshd shows of itself: certificates of their keys, made and renewed, and keys that take each other's place.

mod alerts;
mod entries;
mod next;
mod policy;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::{Live, replace};
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_protocol::time::Timestamp;

use super::authority::{Authority, HostTerms, Lean, leans};
use super::policy::Policy;
use super::revocation::Inventory;
use super::rows::authority::Kept;
use super::rows::host_key::{self as rows, Certificate, Seen, Turn};
use crate::alerting::{self, Alert, Bell};
use crate::intake::{Shown as Ordered, Watched};
use crate::store::Store;
use alerts::Standing;

pub(super) use entries::entries;
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
    /// What people were told, by the incident's key, as far as this collector knows.
    told: HashMap<String, Option<Alert>>,
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
        let revoked = rows::uncertified(&self.store).await?;
        let hosts = inventory(&self.store).await?;
        let (signing, mut news) = match policy.hosts.is_empty() {
            true => (None, false),
            false => {
                let leans = leans(&hosts, policy, (&certificates, &seen), now);
                let news = self.follow(&leans, policy, now).await?;
                (Some(self.authority.of_hosts(now).await?), news)
            }
        };
        let (mut orders, mut soon) = (BTreeMap::new(), Vec::new());
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
                    let host = watched.host.id;
                    for key in [alerts::key(host), alerts::missed_key(host)] {
                        news |= self.tell(&key, None, now).await?;
                    }
                }
                continue;
            };
            let Some(signing) = &signing else { continue };
            let with = (table, signing, &revoked);
            let turn = match self.host(name, with, &mut known, now).await {
                Ok(turn) => turn,
                Err(error) => {
                    // It shows on what it was ordered last.
                    let error = format!("{error:#}");
                    tracing::error!(host.name = name, error, "cannot certify a host's keys");
                    continue;
                }
            };
            orders.insert(name.clone(), next::order(&turn, &known.kept));
            if turn.next.is_none() && table.warn(turn.since).is_some_and(|warn| now >= warn) {
                soon.extend(table.due(turn.since).map(|due| (name.as_str(), due)));
            }
            let stolen = next::stolen(&turn, (&known.seen, &revoked));
            let missed = (table.missed(turn.since), stolen);
            news |= self.judge((watched, &known), missed, now).await?;
        }
        let soon = alerts::soon(&soon, now);
        news |= self.tell(alerts::SOON, soon, now).await?;
        Ok((Ordered::new(orders), news))
    }

    /// Has the authority give way to the next when that is due; says whether there was news.
    async fn follow(
        &mut self,
        leans: &[Lean],
        policy: &Policy,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let mut news = false;
        match self.authority.follow_hosts(leans, policy, now).await {
            Ok(told) => {
                for (key, alert) in told {
                    news |= self.tell(key, alert, now).await?;
                }
            }
            // The one that signs signs on.
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "cannot replace the authority of hosts");
            }
        }
        Ok(news)
    }

    /// Tells what people should know of a host; says whether there was news.
    async fn judge(
        &mut self,
        (watched, known): (&Watched, &Known),
        missed: (Option<Timestamp>, Option<Timestamp>),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let standing = Standing {
            watched,
            kept: &known.kept,
            seen: &known.seen,
            unshown: known.unshown.as_deref(),
        };
        let (shown, missed) = (standing.alert(now), standing.missed(missed, now));
        let host = watched.host.id;
        let news = self.tell(&alerts::key(host), shown, now).await?;
        Ok(self.tell(&alerts::missed_key(host), missed, now).await? || news)
    }

    /// Has a host's keys be certified, and another take their place when that is due.
    async fn host(
        &self,
        name: &str,
        (table, signing, revoked): (&Shown, &Kept, &next::Revoked),
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
        let turn = next::turned(current, (&known.seen, revoked), table, now);
        let principals = table.principals(name).unwrap_or_default();
        let terms = (&principals[..], signing.id, table.life());
        let keys = next::certified(&known.seen, &turn, revoked);
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

    /// Tells what is news of an incident; says whether it was.
    async fn tell(
        &mut self,
        key: &str,
        alert: Option<Alert>,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        if self.told.get(key) == Some(&alert) {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        match &alert {
            Some(alert) => alerting::hold(&mut tx, alert, now).await?,
            None => {
                let why = "What hosts show is as it should be.";
                alerting::resolve(&mut tx, key, why, now).await?;
            }
        }
        tx.commit().await?;
        self.told.insert(key.to_owned(), alert);
        Ok(true)
    }
}
