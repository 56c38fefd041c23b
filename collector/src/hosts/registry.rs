//! Which hosts may talk to us: enrolment by a one-time token, renewal, revocation.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::{Hosts, authority, judge, rows};
use crate::alerting;
use crate::intake::{self, Credentials, Enrol, Host, Refusal, Registry};
use crate::store::Tx;

/// A name that a host may have: letters, digits, `-`, `.`, `_`, at most 253.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with(['-', '.'])
}

/// Why incidents of a host are over.
const REVOKED: &str = "the host was revoked";

/// How many bytes a token's secret has.
const SECRET: usize = 32;

/// How a token's secret is kept.
pub(super) fn hash(secret: &[u8]) -> String {
    Sha256::digest(secret)
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

impl Hosts {
    /// A one-time token for a host, as `watchward-agent enroll` takes it.
    pub(super) async fn token(
        &self,
        host: &str,
        expires: Timestamp,
        now: Timestamp,
    ) -> anyhow::Result<String> {
        let secret: [u8; SECRET] = rand::random();
        let mut tx = self.store.begin().await?;
        rows::token::add(&mut tx, &hash(&secret), host, (now, expires)).await?;
        tx.commit().await?;
        let bytes = secret
            .iter()
            .chain(&self.authority.fingerprint())
            .copied()
            .collect::<Vec<_>>();
        Ok(bytes
            .iter()
            .fold("wwt1-".to_owned(), |text, byte| format!("{text}{byte:02x}")))
    }

    /// Revokes the host of this name; says whether there was one.
    pub(super) async fn revoke(&self, name: &str, now: Timestamp) -> anyhow::Result<bool> {
        let mut tx = self.store.begin().await?;
        let gone = self.retire(&mut tx, name, now).await?;
        if gone > 0 {
            // Nobody tells any more whether it is over.
            alerting::resolve_of_host(&mut tx, name, REVOKED, now).await?;
        }
        tx.commit().await?;
        self.revoked.send_modify(|count| *count += 1);
        Ok(gone > 0)
    }

    /// Revokes whatever host has this name, and ends what is open about it. Says how many there were.
    async fn retire(&self, tx: &mut Tx, name: &str, now: Timestamp) -> sqlx::Result<usize> {
        let gone = rows::revoke(tx, name, now).await?;
        for id in &gone {
            let host = Host {
                id: *id,
                name: name.to_owned(),
            };
            alerting::resolve(tx, &judge::key(&host), REVOKED, now).await?;
            if let Some(act) = self.on_revoke {
                act(tx, *id, now).await?;
            }
            tracing::warn!(host.id = %id, host.name = name, "revoked a host");
        }
        Ok(gone.len())
    }

    /// Forgets some of what is too old; says whether that is all.
    pub(super) async fn forget(&self, now: Timestamp) -> sqlx::Result<bool> {
        let oldest = now - self.config.now().keep.duration();
        let mut tx = self.store.begin().await?;
        let gone = rows::forget(&mut tx, oldest).await?;
        for host in &gone {
            intake::forget(&mut tx, *host).await?;
        }
        let marks = intake::prune(&mut tx, oldest).await?;
        tx.commit().await?;
        Ok(gone.is_empty() && marks == 0)
    }

    /// Says so in the log, at most once a second: strangers can ask as often as they like.
    fn refuse(&self, ask: &Enrol, now: Timestamp) -> Refusal {
        let last = Timestamp::from_micros(self.refused.load(Ordering::Relaxed));
        let lately = last <= now && now.since(last) < Duration::from_secs(1);
        if !lately {
            self.refused.store(now.as_micros(), Ordering::Relaxed);
            let name = Foreign::from(ask.name.as_str()).shortened(64);
            tracing::warn!(
                host.name = name,
                from = shown(ask),
                "refused an enrolment token"
            );
        }
        NO_TOKEN
    }

    fn certify(&self, host: &Host, request: &[u8], now: Timestamp) -> anyhow::Result<Given> {
        let life = self.config.now().certificate_life.duration();
        let signed = self.authority.certify(host, request, life, now)?;
        let renew_at = authority::renew_at(now, life);
        let authorities = self.authority.pem().to_owned();
        let credentials = Credentials {
            chain: signed.chain,
            authorities,
            renew_at,
        };
        Ok(Given {
            credentials,
            expires: signed.expires,
        })
    }
}

/// Where somebody who enrols comes from.
fn shown(ask: &Enrol) -> String {
    ask.from.map(|from| from.to_string()).unwrap_or_default()
}

struct Given {
    credentials: Credentials,
    expires: Timestamp,
}

/// One answer for every token that is not good: a stranger learns nothing from it.
const NO_TOKEN: Refusal = Refusal(
    "this token is unknown, used, expired, or made for another host name; \
     make a new one with: watchward token create HOST",
);
const NO_REQUEST: Refusal = Refusal("this is no certificate signing request");

#[tonic::async_trait]
impl Registry for Hosts {
    async fn admit(&self, id: HostId) -> anyhow::Result<Option<Host>> {
        rows::live(&self.store, id)
            .await
            .context("cannot look the host up")
    }

    async fn enrol(
        &self,
        ask: Enrol,
        now: Timestamp,
    ) -> anyhow::Result<Result<Credentials, Refusal>> {
        // Whoever has no token costs neither a signature nor the one who writes.
        let possible = is_name(&ask.name) && ask.secret.len() == SECRET;
        let token = hash(&ask.secret);
        if !possible || !rows::token::is_good(&self.store, &token, &ask.name, now).await? {
            return Ok(Err(self.refuse(&ask, now)));
        }
        let host = Host {
            id: HostId::from_bytes(rand::random()),
            name: ask.name.clone(),
        };
        let Ok(given) = self.certify(&host, &ask.request, now) else {
            return Ok(Err(NO_REQUEST));
        };
        let mut tx = self.store.begin().await?;
        if !rows::token::use_up(&mut tx, &token, &host.name, now).await? {
            return Ok(Err(self.refuse(&ask, now)));
        }
        let replaced = self.retire(&mut tx, &host.name, now).await?;
        let deadline = now + self.config.now().silent_after.duration();
        rows::add_host(&mut tx, &host, (now, deadline), given.expires).await?;
        tx.commit().await?;
        if replaced > 0 {
            self.revoked.send_modify(|count| *count += 1);
        }
        let from = shown(&ask);
        tracing::info!(host.id = %host.id, host.name, from, replaced, "enrolled a host");
        Ok(Ok(given.credentials))
    }

    async fn renew(
        &self,
        host: &Host,
        request: &[u8],
        now: Timestamp,
    ) -> anyhow::Result<Result<Credentials, Refusal>> {
        let Ok(given) = self.certify(host, request, now) else {
            return Ok(Err(NO_REQUEST));
        };
        let mut tx = self.store.begin().await?;
        rows::set_expiry(&mut tx, host.id, given.expires).await?;
        tx.commit().await?;
        Ok(Ok(given.credentials))
    }

    fn revoked(&self) -> watch::Receiver<u64> {
        self.revoked.subscribe()
    }
}
