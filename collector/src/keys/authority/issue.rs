//! What is given to whom: a certificate, or why not; both are kept.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use thiserror::Error;
use watchward_protocol::host_keys::Vouched;
use watchward_protocol::time::Timestamp;

use super::certificate::{Certifiable, Terms, Whom};
use super::{Authority, Grant, Whose, known_hosts, own};
use crate::keys::Policy;
use crate::keys::proof::Offered;
use crate::keys::rows::authority as rows;
use crate::keys::rows::certificate::{self as given, Certificate};
use crate::keys::rows::way;
use crate::people::Roles;
use crate::store::Tx;

/// How far a host's clock may be behind.
pub(super) const SLACK: Duration = Duration::from_secs(300);

/// Somebody who has proved who they are.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub(super) name: &'a str,
    pub(super) roles: &'a Roles,
    /// From where they ask; `None` behind a proxy, where nobody can say.
    pub(super) address: Option<IpAddr>,
    /// What they have to do on the page first.
    pub(super) unfinished: Option<&'static str>,
}

/// A certificate, and what it says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Issued {
    /// As it stands in a file `...-cert.pub`.
    pub(super) certificate: String,
    #[serde(skip)]
    authority: i64,
    pub(super) serial: i64,
    /// What sshd logs it as.
    pub(super) name: String,
    pub(super) principals: Vec<String>,
    /// From where alone it opens anything.
    pub(super) from: Vec<String>,
    pub(super) until: Timestamp,
    /// How hosts are known, each a line of `known_hosts`.
    pub(super) known_hosts: Vec<String>,
    /// What says that one of their authorities was trusted by the one before.
    pub(super) vouched: Vec<Vouched>,
}

/// Why somebody is given no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Refused {
    #[error(
        "the policy gives you no certificate: no [[keys.certificates]] is for your roles or name"
    )]
    Nobody,
    #[error("the policy gives no certificate to who is at {0}: it is given in {1} alone")]
    Elsewhere(IpAddr, String),
    #[error("{0} is not strong enough for a certificate: ssh-ed25519, ecdsa-* and sk-* are")]
    Weak(String),
    #[error("this key is revoked")]
    Revoked,
    #[error("hosts know this key already: a certificate is given for a new one")]
    Known,
    #[error("the authority itself is revoked: no certificate would open anything")]
    Void,
    #[error("{0}")]
    Unfinished(&'static str),
}

impl Authority {
    /// Gives a certificate for a key, or says why not. Both are kept.
    ///
    /// # Errors
    /// The database's, or the authority's key cannot be unsealed.
    pub(super) async fn issue(
        &self,
        person: &Person<'_>,
        key: &Offered,
        now: Timestamp,
    ) -> anyhow::Result<Result<Issued, Refused>> {
        let mut tx = self.store.begin().await?;
        let policy = self.policy.now();
        let issued = match permit(&policy, person, key) {
            Err(refused) => Err(refused),
            Ok(_) if is_revoked(&mut tx, key).await? => Err(Refused::Revoked),
            Ok(_) if self.is_void(&mut tx).await? => Err(Refused::Void),
            // Or revoking this person would revoke somebody else's.
            Ok(_) if self.is_known(key).await? => Err(Refused::Known),
            Ok((grant, key)) => Ok(self.sign(&mut tx, (person, grant), key, now).await?),
        };
        given::note(&mut tx, key, &noted((person, key), &issued, now)).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Gives a certificate to somebody with these roles, of whom the caller has made sure that it is
    /// they: for a key as it stands in a file `.pub`, and as it stands in a file `-cert.pub`.
    ///
    /// # Errors
    /// It is refused; the database's; or the authority's key cannot be unsealed.
    pub async fn certify(
        &self,
        (name, roles): (&str, &Roles),
        key: &str,
        now: Timestamp,
    ) -> anyhow::Result<String> {
        let key = Offered::read(key).map_err(|why| anyhow!(why))?;
        let person = Person {
            name,
            roles,
            address: None,
            unfinished: None,
        };
        Ok(self.issue(&person, &key, now).await??.certificate)
    }

    async fn sign(
        &self,
        tx: &mut Tx,
        (person, grant): (&Person<'_>, &Grant),
        key: Certifiable<'_>,
        now: Timestamp,
    ) -> anyhow::Result<Issued> {
        let kept = self.signing(tx, Whose::People, now).await?;
        let serial = rows::next_serial(tx, kept.id).await?;
        let from: Vec<_> = grant.from.nets().collect();
        let until = now + grant.life().duration();
        let terms = Terms {
            serial: serial.unsigned_abs(),
            id: format!("{} watchward-{}-{serial}", person.name, kept.id),
            principals: &principals(person, grant),
            valid: (seconds(now - SLACK), seconds(until)),
            whom: Whom::Person {
                from: &from,
                forwarding: grant.forwarding,
            },
        };
        let whole = self.signed(&kept, key, &terms)?;
        Ok(Issued {
            certificate: format!("{} {}", key.kind(), STANDARD.encode(whole)),
            authority: kept.id,
            serial,
            name: terms.id,
            principals: terms.principals.to_vec(),
            from: from.iter().map(ToString::to_string).collect(),
            until,
            known_hosts: known_hosts(&self.store, &self.policy.now()).await?,
            vouched: self.vouched().await?,
        })
    }

    async fn is_void(&self, tx: &mut Tx) -> sqlx::Result<bool> {
        match rows::signing(rows::live(&mut **tx, Whose::People).await?) {
            Some(own) => rows::is_revoked(tx, &own.fingerprint()).await,
            None => Ok(false),
        }
    }

    async fn is_known(&self, key: &Offered) -> sqlx::Result<bool> {
        let name = key.fingerprint.clone().unwrap_or_default();
        let own = own(self.store.read()).await?;
        Ok(own.contains(&name) || way::is_known(&self.store, &name).await?)
    }
}

/// What allows it, and the key, if the policy does.
fn permit<'a>(
    policy: &'a Policy,
    person: &Person<'_>,
    key: &'a Offered,
) -> Result<(&'a Grant, Certifiable<'a>), Refused> {
    if let Some(why) = person.unfinished {
        return Err(Refused::Unfinished(why));
    }
    let mut grants = policy.certificates.iter();
    let grant = grants.find(|grant| grant.is_for(person.name, person.roles));
    let grant = grant.ok_or(Refused::Nobody)?;
    match person.address {
        Some(address) if !grant.from.has(address) => {
            let names: Vec<_> = grant.from.names().map(ToString::to_string).collect();
            Err(Refused::Elsewhere(address, names.join(", ")))
        }
        // The certificate opens nothing from elsewhere all the same.
        Some(_) | None => {
            let key = Certifiable::of(key).ok_or_else(|| Refused::Weak(key.kind.clone()))?;
            Ok((grant, key))
        }
    }
}

async fn is_revoked(tx: &mut Tx, key: &Offered) -> sqlx::Result<bool> {
    match &key.fingerprint {
        Some(fingerprint) => rows::is_revoked(tx, fingerprint).await,
        None => Ok(false),
    }
}

/// What a certificate is for: the roles that the table is for, and the person. A colon is in no
/// account's name, so that no account is opened by its name alone.
fn principals(person: &Person<'_>, grant: &Grant) -> Vec<String> {
    let roles = grant.roles.iter().filter(|role| person.roles.has(role));
    let roles = roles.map(|role| format!("role:{}", role.word()));
    roles.chain([format!("person:{}", person.name)]).collect()
}

fn noted(
    (person, key): (&Person<'_>, &Offered),
    issued: &Result<Issued, Refused>,
    at: Timestamp,
) -> Certificate {
    let given = issued.as_ref().ok();
    Certificate {
        at,
        person: person.name.to_owned(),
        address: person.address,
        fingerprint: key.fingerprint.clone().unwrap_or_default(),
        authority: given.map(|given| given.authority),
        serial: given.map(|given| given.serial),
        name: given.map(|given| given.name.clone()).unwrap_or_default(),
        principals: given.map_or_else(String::new, |given| given.principals.join(" ")),
        until: given.map(|given| given.until),
        refused: issued.as_ref().err().map(ToString::to_string),
        void_at: None,
    }
}

/// Seconds of UTC; never before 1970.
pub(super) fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0)
}
