//! Every certificate that was given or refused.

use std::net::IpAddr;

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::maybe_stamp;
use crate::keys::proof::Offered;
use crate::people::deed::{Deed, Kind, Wanted};
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// A certificate that was given, or that was not.
#[derive(Clone, Debug, Serialize)]
pub(in crate::keys) struct Certificate {
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) person: String,
    pub(in crate::keys) address: Option<IpAddr>,
    /// Of the key that it is for.
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) authority: Option<i64>,
    pub(in crate::keys) serial: Option<i64>,
    /// What sshd logs it as.
    pub(in crate::keys) name: String,
    pub(in crate::keys) principals: String,
    pub(in crate::keys) until: Option<Timestamp>,
    /// Why it was not given.
    pub(in crate::keys) refused: Option<String>,
    /// Since when it opens nothing: it was revoked, with its key or with its authority.
    pub(in crate::keys) void_at: Option<Timestamp>,
}

/// Keeps that a certificate was given, or was not.
pub(in crate::keys) async fn note(
    tx: &mut Tx,
    key: &Offered,
    one: &Certificate,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_certificate (at, person, address, fingerprint, authority, serial, name, \
         principals, until, refused, kind, wire) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(one.at.as_micros())
    .bind(one.person.clone())
    .bind(one.address.map(|address| address.to_string()))
    .bind(one.fingerprint.clone())
    .bind(one.authority)
    .bind(one.serial)
    .bind(one.name.clone())
    .bind(one.principals.clone())
    .bind(one.until.map(Timestamp::as_micros))
    .bind(one.refused.clone())
    .bind(key.kind.clone())
    .bind(key.wire.clone())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which certificates.
#[derive(Clone, Copy, Debug)]
pub(in crate::keys) enum Whose<'a> {
    Person(&'a str),
    Serial(i64),
    /// For this key.
    Key(&'a str),
}

/// A certificate that is not over yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::keys) struct Counting {
    /// Of the key that it is for, and that key's type.
    #[serde(skip)]
    pub(in crate::keys) fingerprint: String,
    #[serde(skip)]
    pub(in crate::keys) kind: String,
    pub(in crate::keys) serial: i64,
    pub(in crate::keys) person: String,
    /// What sshd logs it as.
    pub(in crate::keys) name: String,
    pub(in crate::keys) principals: String,
    pub(in crate::keys) until: Timestamp,
}

/// The certificates that are not over yet, the newest first.
pub(in crate::keys) async fn still(
    store: &Store,
    whose: Whose<'_>,
    now: Timestamp,
) -> sqlx::Result<Vec<Counting>> {
    let (person, serial, key) = match whose {
        Whose::Person(person) => (person, 0, ""),
        Whose::Serial(serial) => ("", serial, ""),
        Whose::Key(key) => ("", 0, key),
    };
    let rows = sqlx::query(
        "SELECT fingerprint, kind, serial, person, name, principals, until FROM keys_certificate \
         WHERE serial IS NOT NULL AND until > $1 AND person = CASE WHEN $2 = '' THEN person ELSE $2 END \
         AND serial = CASE WHEN $3 = 0 THEN serial ELSE $3 END \
         AND fingerprint = CASE WHEN $4 = '' THEN fingerprint ELSE $4 END ORDER BY id DESC",
    )
    .bind(now.as_micros())
    .bind(person.to_owned())
    .bind(serial)
    .bind(key.to_owned())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        Ok(Counting {
            fingerprint: row.try_get("fingerprint")?,
            kind: row.try_get("kind")?,
            serial: row.try_get("serial")?,
            person: row.try_get("person")?,
            name: row.try_get("name")?,
            principals: row.try_get("principals")?,
            until: stamp(row.try_get("until")?),
        })
    };
    rows.iter().map(one).collect()
}

/// The certificates of keys that are revoked which counted after this: the point of each one's
/// authority, and its serial.
pub(in crate::keys) async fn revoked(
    store: &Store,
    after: Timestamp,
) -> sqlx::Result<Vec<(Vec<u8>, u64)>> {
    let rows = sqlx::query(
        "SELECT DISTINCT a.public, a.id, c.serial FROM keys_certificate c \
         JOIN keys_authority a ON a.id = c.authority AND a.ended_at IS NULL \
         JOIN keys_revoked r ON r.fingerprint = c.fingerprint AND r.ended_at IS NULL \
         WHERE c.serial IS NOT NULL AND c.until > $1 ORDER BY a.id, c.serial",
    )
    .bind(after.as_micros())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let serial: i64 = row.try_get("serial")?;
        Ok((row.try_get("public")?, serial.unsigned_abs()))
    };
    rows.iter().map(one).collect()
}

const GIVEN: &str = "SELECT at, person, address, fingerprint, authority, serial, name, principals, until, \
         refused, (SELECT MIN(r.at) FROM keys_revoked r WHERE r.ended_at IS NULL \
          AND r.fingerprint = keys_certificate.fingerprint) AS revoked_at, \
         (SELECT a.ended_at FROM keys_authority a WHERE a.id = keys_certificate.authority) AS over_at \
         FROM keys_certificate WHERE at >= $1 AND at < $2 AND ($3 = '' OR person = $3) \
         ORDER BY at DESC, id DESC LIMIT $4";

/// The certificates that were given or refused, the newest first.
pub(in crate::keys) async fn certificates(
    store: &Store,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Certificate>> {
    let rows = wanted.rows(store, GIVEN).await?;
    let one = |row: &AnyRow| {
        let address: Option<String> = row.try_get("address")?;
        Ok(Certificate {
            at: stamp(row.try_get("at")?),
            person: row.try_get("person")?,
            address: address.and_then(|address| address.parse().ok()),
            fingerprint: row.try_get("fingerprint")?,
            authority: row.try_get("authority")?,
            serial: row.try_get("serial")?,
            name: row.try_get("name")?,
            principals: row.try_get("principals")?,
            until: row.try_get::<Option<i64>, _>("until")?.map(stamp),
            refused: row.try_get("refused")?,
            void_at: void(row)?,
        })
    };
    rows.iter().map(one).collect()
}

/// Since when it opens nothing, if it was given and that was before its own end.
fn void(row: &AnyRow) -> sqlx::Result<Option<Timestamp>> {
    let until = maybe_stamp(row, "until")?;
    let ends = [
        maybe_stamp(row, "revoked_at")?,
        maybe_stamp(row, "over_at")?,
    ];
    let first = ends.into_iter().flatten().min();
    Ok(first.filter(|at| until.is_some_and(|until| *at < until)))
}

/// The same as what people did.
///
/// # Errors
/// The database's.
pub(in crate::keys) async fn deeds(store: &Store, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
    let all = certificates(store, wanted).await?.into_iter();
    let deed = |one: Certificate| Deed {
        at: one.at,
        who: one.person,
        address: one.address,
        kind: Kind::Key,
        what: match one.refused {
            Some(_) => "was refused a certificate".to_owned(),
            None => "was given a certificate".to_owned(),
        },
        whom: one.fingerprint,
        detail: one.refused.unwrap_or(one.name),
    };
    Ok(all.map(deed).collect())
}

/// Forgets what was given or refused longer ago; what still counts is not forgotten.
pub(in crate::keys) async fn prune(tx: &mut Tx, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM keys_certificate WHERE id IN (SELECT id FROM keys_certificate \
         WHERE at < $1 AND COALESCE(until, 0) < $1 ORDER BY at LIMIT 500)",
    )
    .bind(before.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
