//! Hosts: who they are, how they come to be known, and whether they are still heard.

mod api;
mod authority;
mod judge;
mod measure;
mod pages;
mod registry;
mod rows;
#[cfg(test)]
mod tests;
mod unknown;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_daemon::tls::Identity;
use watchward_protocol::hosts::{Doctor, HostId};
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Bell};
use crate::intake::{Behind, Doors, Heard, Host, Trust};
use crate::store::{Store, Tx, deadline};

use authority::Authority;

pub use api::routes;
pub use pages::pages;
pub use rows::finding::{after as findings_after, last as last_finding, signs};
pub use rows::{SCHEMA, is_known, names, watched};
pub use unknown::known_host;

/// The table `[hosts]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file of the collector's own certificate authority; made at the first start. Whoever has
    /// it can speak for any host.
    pub authority: PathBuf,
    /// How long a host's certificate and the collector's own live. Both are renewed at two thirds.
    pub certificate_life: Span,
    /// How long an enrolment token can be used, unless `watchward token create` says otherwise.
    pub token_life: Span,
    /// A host that has not been heard for this long is silent. At least three times `beat` in the
    /// agents' configuration, or hosts fall silent between two signs of life.
    pub silent_after: Span,
    /// How long a host that was revoked is remembered, and how far another life of a host's spool
    /// had come.
    pub keep: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            authority: PathBuf::from("/var/lib/watchward/authority.pem"),
            certificate_life: Span::days(30),
            token_life: Span::minutes(15),
            silent_after: Span::seconds(60),
            keep: Span::days(400),
        }
    }
}

/// How often the collector notes that it is there.
const NOTE_EVERY: Duration = Duration::from_secs(5);

/// How often it forgets what is too old.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// What another room does about a host that is revoked, in the same transaction.
pub type OnRevoke = for<'a> fn(&'a mut Tx, HostId, Timestamp) -> BoxFuture<'a, sqlx::Result<()>>;

/// How long a token that has expired is remembered, so that a log line about it can be understood.
const TOKENS_KEPT: Duration = Duration::from_secs(86_400);

/// The room: knows every host.
#[derive(Clone)]
pub struct Hosts {
    store: Store,
    config: Live<Config>,
    authority: Arc<Authority>,
    identity: Arc<Identity>,
    renew_at: Timestamp,
    noted: Timestamp,
    forgot: Timestamp,
    revoked: Arc<watch::Sender<u64>>,
    on_revoke: Option<OnRevoke>,
    doors: Option<Doors>,
    /// When somebody was last refused.
    refused: Arc<AtomicI64>,
}

impl Hosts {
    /// Opens the authority, and gives the collector a certificate of its own.
    ///
    /// # Errors
    /// The authority's file cannot be used.
    pub fn open(store: Store, config: Live<Config>, now: Timestamp) -> anyhow::Result<Self> {
        let settings = config.now();
        let authority = Authority::open(&settings.authority, now)?;
        let life = settings.certificate_life.duration();
        let (own, key) = authority.certify_collector(life, now)?;
        measure::expiry("authority", authority.expires()?);
        measure::expiry("own", own.expires);
        Ok(Self {
            store,
            config,
            authority: Arc::new(authority),
            identity: Identity::from_pem(&own.chain, &key)?,
            renew_at: authority::renew_at(now, life),
            noted: now,
            forgot: now,
            revoked: Arc::new(watch::Sender::new(0)),
            on_revoke: None,
            doors: None,
            refused: Arc::default(),
        })
    }

    /// Has another room end what it holds of a host that is revoked.
    #[must_use]
    pub fn on_revoke(mut self, act: OnRevoke) -> Self {
        self.on_revoke = Some(act);
        self
    }

    /// Says where hosts reach the collector, for the line that enrols one.
    #[must_use]
    pub fn reached_at(mut self, doors: Doors) -> Self {
        self.doors = Some(doors);
        self
    }

    /// Who the collector is, and whom it believes.
    pub fn trust(&self) -> Trust {
        Trust {
            identity: self.identity.clone(),
            authorities: self.authority.pem().to_owned(),
        }
    }

    /// Notes that hosts gave a sign of life; one that was silent is so no more. Says which of them
    /// are revoked: with the row of each host in hand, nobody revokes one until this has committed.
    ///
    /// # Errors
    /// The database's.
    pub async fn alive(
        &self,
        tx: &mut Tx,
        hosts: &[Host],
        now: Timestamp,
    ) -> sqlx::Result<Vec<HostId>> {
        let mut gone = Vec::new();
        let deadline = now + self.config.now().silent_after.duration();
        // In one order everywhere, so that two collectors never wait for each other.
        let mut hosts: Vec<_> = hosts.iter().collect();
        hosts.sort_unstable_by_key(|host| host.id);
        for host in hosts {
            let Some(was) = rows::seen(tx, host.id, now, deadline).await? else {
                gone.push(host.id);
                continue;
            };
            if let Some(why) = judge::back(was, now) {
                alerting::resolve(tx, &judge::key(host), &why, now).await?;
            }
        }
        Ok(gone)
    }

    /// Keeps how much waits on hosts.
    ///
    /// # Errors
    /// The database's.
    pub async fn behind(&self, tx: &mut Tx, hosts: &[Behind], now: Timestamp) -> sqlx::Result<()> {
        let mut hosts: Vec<_> = hosts.iter().collect();
        hosts.sort_unstable_by_key(|one| one.host.id);
        for one in hosts {
            rows::set_backlog(tx, one, now).await?;
        }
        Ok(())
    }

    /// Runs until told to stop: who is silent, whose revocation came from elsewhere, and the
    /// collector's own certificate.
    ///
    /// # Errors
    /// The database was away at the start.
    pub async fn run(mut self, bell: Bell, stop: Stop) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut revocations = rows::revocations(&self.store).await?;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = stop.cancelled() => return Ok(()),
            }
            if let Err(error) = self.activate(&mut revocations, &bell, clock::now()).await {
                tracing::error!(error = format!("{error:#}"), "cannot look after hosts");
            }
        }
    }

    /// Notes that the collector is there again, and says how long it was away. Deadlines do not
    /// pass meanwhile: it could not have heard anybody.
    ///
    /// # Errors
    /// The database's.
    pub async fn thaw(&self, tx: &mut Tx, now: Timestamp) -> sqlx::Result<Duration> {
        let last = rows::collector_seen(&mut **tx).await?;
        let away = last.map_or(Duration::ZERO, |last| now.since(last));
        self.put_off(tx, now).await?;
        rows::set_collector_seen(tx, now).await?;
        Ok(away)
    }

    async fn activate(
        &mut self,
        revocations: &mut (i64, i64),
        bell: &Bell,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let known = rows::revocations(&self.store).await?;
        if std::mem::replace(revocations, known) != known {
            self.revoked.send_modify(|count| *count += 1);
        }
        if self.look(now).await? {
            bell.ring();
        }
        if now.since(self.forgot) >= FORGET_EVERY && self.forget(now).await? {
            self.forgot = now;
        }
        if now >= self.renew_at {
            let life = self.config.now().certificate_life.duration();
            let (own, key) = self.authority.certify_collector(life, now)?;
            self.identity.exchange(&own.chain, &key)?;
            measure::expiry("own", own.expires);
            self.renew_at = authority::renew_at(now, life);
            tracing::info!("renewed the collector's certificate");
        }
        Ok(())
    }

    /// Raises an alert for each host whose deadline has passed; says whether there was one.
    async fn look(&mut self, now: Timestamp) -> anyhow::Result<bool> {
        let overdue = rows::overdue(&self.store, now).await?;
        if overdue.is_empty() && now.since(self.noted) < NOTE_EVERY {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        let last = rows::collector_seen(&mut *tx).await?;
        // Another collector may have been there meanwhile, and its clock may be behind.
        let last = last.map(|last| last.max(self.noted));
        let away = last.map_or(Duration::ZERO, |last| deadline::away(last, now));
        if !away.is_zero() {
            self.put_off(&mut tx, now).await?;
        }
        rows::set_collector_seen(&mut tx, now).await?;
        rows::token::forget(&mut tx, now - TOKENS_KEPT).await?;
        let mut fell = false;
        for seen in &overdue {
            // It may have been heard since it was looked for.
            if rows::fall_silent(&mut tx, seen.host.id, now).await? {
                alerting::raise(&mut tx, &judge::silent(seen, now), now).await?;
                fell = true;
            }
        }
        tx.commit().await?;
        self.noted = now;
        if !away.is_zero() {
            let seconds = away.as_secs();
            tracing::warn!(
                seconds,
                "was not there; every host has time to be heard again"
            );
        }
        Ok(fell)
    }

    /// Gives every host as much time as if it had been heard now.
    async fn put_off(&self, tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
        rows::put_off(tx, now + self.config.now().silent_after.duration()).await
    }

    /// Keeps what agents found on their hosts.
    ///
    /// # Errors
    /// The database's.
    pub async fn doctors(
        &self,
        tx: &mut Tx,
        heard: &[Heard<Doctor>],
        now: Timestamp,
    ) -> sqlx::Result<()> {
        for one in heard {
            rows::finding::keep(tx, one.host.id, &one.report, now).await?;
        }
        Ok(())
    }
}
