//! The authority of hosts: what signs certificates of hosts' keys, so that no client has to be asked about one.

use std::collections::BTreeSet;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use watchward_daemon::config::Live;
use watchward_protocol::time::Timestamp;

use super::certificate::{Certifiable, Terms, Whom};
use super::issue::{SLACK, seconds};
use super::{Authority, Whose};
use crate::keys::Policy;
use crate::keys::proof::Offered;
use crate::keys::rows::authority::{self as rows, Kept};
use crate::keys::rows::host_key::{self, Certificate, SeenKey};
use crate::store::{Store, Tx};

/// What a host's certificate says.
#[derive(Debug)]
pub(in crate::keys) struct HostTerms<'a> {
    /// The name that the host is enrolled by.
    pub(in crate::keys) name: &'a str,
    pub(in crate::keys) principals: &'a [String],
    pub(in crate::keys) until: Timestamp,
}

impl Authority {
    /// What it is kept in, and the policy that it follows.
    pub(in crate::keys) fn rules(&self) -> (Store, Live<Policy>) {
        (self.store.clone(), self.policy.clone())
    }

    /// The authority that signs for hosts; of several collectors that make it, all take the same.
    pub(in crate::keys) async fn of_hosts(&self, now: Timestamp) -> anyhow::Result<Kept> {
        let live = rows::live(self.store.read(), Whose::Hosts).await?;
        if let Some(kept) = rows::signing(live) {
            return Ok(kept);
        }
        let mut tx = self.store.begin().await?;
        let kept = self.signing(&mut tx, Whose::Hosts, now).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// A certificate of a host's key.
    ///
    /// # Errors
    /// The database's; or none can be made for such a key.
    pub(in crate::keys) async fn certify_host(
        &self,
        tx: &mut Tx,
        (signing, key): (&Kept, &SeenKey),
        terms: &HostTerms<'_>,
        now: Timestamp,
    ) -> anyhow::Result<Certificate> {
        let offered = offered(key);
        let certifiable = Certifiable::of(&offered).context("no certificate is for such a key")?;
        let serial = rows::next_serial(tx, signing.id).await?;
        let said = Terms {
            serial: serial.unsigned_abs(),
            id: format!("{} watchward-{}-{serial}", terms.name, signing.id),
            principals: terms.principals,
            valid: (seconds(now - SLACK), seconds(terms.until)),
            whom: Whom::Host,
        };
        Ok(Certificate {
            fingerprint: key.fingerprint.clone(),
            authority: signing.id,
            serial,
            principals: terms.principals.to_vec(),
            since: now,
            until: terms.until,
            wire: self.signed(signing, certifiable, &said)?,
        })
    }

    /// The lines of `known_hosts` by which clients know hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT");
    /// none, where no host was certified yet.
    pub(super) async fn known_hosts(&self) -> sqlx::Result<Vec<String>> {
        let mut names: BTreeSet<String> = host_key::names(&self.store).await?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let policy = self.policy.now();
        let patterns = policy.hosts.iter().flat_map(|it| it.patterns());
        names.extend(patterns.map(str::to_owned));
        let names = names.into_iter().collect::<Vec<_>>().join(",");
        let live = rows::live(self.store.read(), Whose::Hosts).await?;
        let line = |kept: &Kept| {
            let key = STANDARD.encode(kept.wire());
            let id = kept.id;
            format!("@cert-authority {names} ssh-ed25519 {key} watchward-hosts-{id}")
        };
        Ok(live.iter().map(line).collect())
    }
}

/// Whether a certificate can be made for a host's key.
pub(in crate::keys) fn certifiable(key: &SeenKey) -> bool {
    Certifiable::of(&offered(key)).is_some()
}

fn offered(key: &SeenKey) -> Offered {
    Offered {
        kind: key.kind.clone(),
        fingerprint: Some(key.fingerprint.clone()),
        wire: key.wire.clone(),
    }
}
