//! The authority of people's certificates: whoever signs in with password and code is given one that
//! opens hosts for some hours. Its key is sealed, and signs nothing else.

mod alerts;
mod api;
mod certificate;
mod grant;
mod hosts;
mod hosts_alerts;
mod hosts_rotate;
mod hosts_step;
mod issue;
mod login;
mod logins;
mod page;
mod rotate;
mod schedule;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use watchward_daemon::config::Live;
use watchward_protocol::time::Timestamp;
use zeroize::Zeroizing;

use super::Policy;
use super::proof::fingerprint;
use super::revocation::Revocations;
pub(super) use super::rows::authority::Whose;
use super::rows::authority::{self as rows, Kept};
use super::rows::certificate as given;
use crate::sealing::Sealing;
use crate::store::{Store, Tx};
use certificate::{Certifiable, Terms};

pub(super) use alerts::entries;
pub use api::routes;
pub use grant::{Grant, Life};
pub(super) use hosts::{HostTerms, certifiable, known_hosts};
pub(super) use hosts_alerts::entries as entries_of_hosts;
pub(super) use hosts_rotate::leans;
pub(super) use hosts_step::Lean;
pub use login::pages;
pub use logins::Login;
pub(super) use logins::{managed, principal_role};
pub use rotate::run;
pub use schedule::{HostsSchedule, Schedule};
pub(super) use step::Seen;

/// So far no host's clock is behind.
const BEHIND: Duration = Duration::from_secs(86_400);

/// Gives certificates.
#[derive(Clone, Debug)]
pub struct Authority {
    store: Store,
    sealing: Sealing,
    policy: Live<Policy>,
    revocations: Revocations,
}

impl Authority {
    /// The authority in this store, sealed by that; hosts hear of another through these.
    pub fn new(
        store: Store,
        sealing: Sealing,
        policy: Live<Policy>,
        revocations: Revocations,
    ) -> Self {
        Self {
            store,
            sealing,
            policy,
            revocations,
        }
    }

    /// Seals their keys with the newest master key.
    ///
    /// # Errors
    /// The database's. A key that cannot be unsealed is logged, and signs nothing.
    pub async fn reseal(&self) -> anyhow::Result<()> {
        let mut all = rows::live(self.store.read(), Whose::People).await?;
        all.extend(rows::live(self.store.read(), Whose::Hosts).await?);
        for kept in all {
            if self.sealing.is_current(&kept.sealed) {
                continue;
            }
            let what = what(kept.id);
            match self.sealing.unseal(&what, &kept.sealed) {
                Ok(secret) => {
                    let new = self.sealing.seal(&what, &secret)?;
                    let mut tx = self.store.begin().await?;
                    rows::reseal(&mut tx, kept.id, (kept.sealed, new)).await?;
                    tx.commit().await?;
                }
                Err(shut) => tracing::error!(what, error = %shut, "nobody is given a certificate"),
            }
        }
        Ok(())
    }

    /// The keys that hosts are to trust, each as a line of `TrustedUserCAKeys`; the first is made when
    /// somebody asks for the first time.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn lines(&self, now: Timestamp) -> anyhow::Result<Vec<String>> {
        let mut tx = self.store.begin().await?;
        self.signing(&mut tx, Whose::People, now).await?;
        let live = rows::live(&mut *tx, Whose::People).await?;
        tx.commit().await?;
        let line = |kept: &Kept| {
            let key = STANDARD.encode(kept.wire());
            format!("ssh-ed25519 {key} {}", Whose::People.called(kept.id))
        };
        Ok(live.iter().map(line).collect())
    }

    /// The authority that signs; of several collectors that make the first, all take the same.
    async fn signing(&self, tx: &mut Tx, whose: Whose, now: Timestamp) -> anyhow::Result<Kept> {
        if let Some(kept) = rows::signing(rows::live(&mut **tx, whose).await?) {
            return Ok(kept);
        }
        self.make(tx, whose, (Some(now), ""), now).await?;
        let kept = rows::signing(rows::live(&mut **tx, whose).await?);
        kept.context("the authority is gone that was kept just now")
    }

    /// Makes another, which signs from then on, or when its turn comes; says whether it did, and no
    /// other collector.
    async fn make(
        &self,
        tx: &mut Tx,
        whose: Whose,
        (signs_at, author): (Option<Timestamp>, &str),
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let id = rows::last(tx).await? + 1;
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed);
        let pair = pair.map_err(|_| anyhow!("cannot make a key"))?;
        let new = Kept {
            id,
            public: pair.public_key().as_ref().to_vec(),
            sealed: self.sealing.seal(&what(id), &*seed)?,
            made_at: now,
            signs_at,
            author: author.to_owned(),
        };
        Ok(rows::add(tx, new, whose).await?)
    }

    /// The certificate that an authority gives for a key.
    fn signed(
        &self,
        kept: &Kept,
        key: Certifiable<'_>,
        terms: &Terms<'_>,
    ) -> anyhow::Result<Vec<u8>> {
        let body = certificate::body(key, terms, (&kept.wire(), rand::random()));
        let secret = self.sealing.unseal(&what(kept.id), &kept.sealed)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&secret, &kept.public)
            .map_err(|_| anyhow!("the authority's key is broken"))?;
        let signature = pair.sign(&body);
        Ok(certificate::signed(body, signature.as_ref()))
    }
}

impl Kept {
    /// Its public key as on the wire.
    pub(super) fn wire(&self) -> Vec<u8> {
        certificate::ed25519(&self.public)
    }

    /// What tells it from all others.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(&self.wire())
    }
}

/// The fingerprints of the authorities that hosts are to trust.
pub(super) async fn own<'a, E>(executor: E) -> sqlx::Result<Vec<String>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let live = rows::live(executor, Whose::People).await?;
    Ok(live.iter().map(Kept::fingerprint).collect())
}

/// The fingerprints of those that clients are to trust for hosts.
pub(super) async fn own_of_hosts<'a, E>(executor: E) -> sqlx::Result<Vec<String>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let live = rows::live(executor, Whose::Hosts).await?;
    Ok(live.iter().map(Kept::fingerprint).collect())
}

/// Whether this is, or was, an authority of certificates.
pub(super) async fn was_ever(store: &Store, name: &str) -> sqlx::Result<bool> {
    for whose in [Whose::People, Whose::Hosts] {
        let all = rows::ever(store, whose).await?;
        let is_it = |point: &Vec<u8>| fingerprint(&certificate::ed25519(point)) == name;
        if all.iter().any(|(_, point)| is_it(point)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Their keys as on the wire, the oldest first.
pub(super) async fn trusted<'a, E>(executor: E) -> sqlx::Result<Vec<Vec<u8>>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let live = rows::live(executor, Whose::People).await?;
    Ok(live.iter().map(Kept::wire).collect())
}

/// The certificates of keys that are revoked, but for those that count nowhere any more: each with its
/// authority's key as on the wire, and its serial.
pub(super) async fn revoked(store: &Store, now: Timestamp) -> sqlx::Result<Vec<(Vec<u8>, u64)>> {
    let all = given::revoked(store, now - BEHIND).await?.into_iter();
    let wire = |(point, serial): (Vec<u8>, u64)| (certificate::ed25519(&point), serial);
    Ok(all.map(wire).collect())
}

/// What an authority's key is sealed for.
fn what(id: i64) -> String {
    format!("authority of certificates {id}")
}
