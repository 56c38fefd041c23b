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
}

/// The lines of `known_hosts` by which clients know hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): of the
/// authorities, where some host was certified, and of what is revoked.
pub(in crate::keys) async fn known_hosts(
    store: &Store,
    policy: &Policy,
) -> sqlx::Result<Vec<String>> {
    let mut names: BTreeSet<String> = host_key::names(store).await?;
    let mut lines = Vec::new();
    if !names.is_empty() {
        let patterns = policy.hosts.iter().flat_map(|it| it.patterns());
        names.extend(patterns.map(str::to_owned));
        let names = names.into_iter().collect::<Vec<_>>().join(",");
        let live = rows::live(store.read(), Whose::Hosts).await?;
        let line = |kept: &Kept| {
            let key = STANDARD.encode(kept.wire());
            let name = Whose::Hosts.called(kept.id);
            format!("@cert-authority {names} ssh-ed25519 {key} {name}")
        };
        lines.extend(live.iter().map(line));
    }
    let revoked = host_key::revoked(store).await?;
    // Its certificates, too, and what it signed; whatever a host is called.
    lines.extend(revoked.iter().filter_map(|(name, wire)| {
        let kind = kind(wire)?;
        let key = STANDARD.encode(wire);
        Some(format!("@revoked * {kind} {key} {name}"))
    }));
    Ok(lines)
}

/// The type of a key as on the wire (RFC 4253, section 6.6).
fn kind(wire: &[u8]) -> Option<&str> {
    let (length, rest) = wire.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let kind = std::str::from_utf8(rest.get(..length)?).ok()?;
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-.@".contains(&it);
    (!kind.is_empty() && kind.bytes().all(plain)).then_some(kind)
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
