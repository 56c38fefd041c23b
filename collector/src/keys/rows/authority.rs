//! The authority of people's certificates, and every certificate that was given or refused.

use std::net::IpAddr;

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::keys::proof::Offered;
use crate::people::deed::{Deed, Kind, Wanted};
use crate::sealing::Sealed;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// The tables. `serial` of an authority is that of the last certificate it signed. What was refused
/// has a reason and no serial.
pub(super) const TABLES: &str = "CREATE TABLE keys_authority (
            id BIGINT PRIMARY KEY, public {bytes} NOT NULL, sealed {bytes} NOT NULL,
            made_at BIGINT NOT NULL, serial BIGINT NOT NULL);
        CREATE TABLE keys_certificate (
            id {id}, at BIGINT NOT NULL, person TEXT NOT NULL, address TEXT,
            fingerprint TEXT NOT NULL, kind TEXT NOT NULL, wire {bytes} NOT NULL,
            authority BIGINT, serial BIGINT, name TEXT NOT NULL, principals TEXT NOT NULL,
            until BIGINT, refused TEXT);
        CREATE INDEX keys_certificate_at ON keys_certificate (at)";

/// An authority.
#[derive(Debug)]
pub(in crate::keys) struct Kept {
    pub(in crate::keys) id: i64,
    /// The key's point (RFC 8032).
    pub(in crate::keys) public: Vec<u8>,
    pub(in crate::keys) sealed: Sealed,
}

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
}

/// The authority that signs: the newest.
pub(in crate::keys) async fn newest<'a, E>(executor: E) -> sqlx::Result<Option<Kept>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let row = sqlx::query("SELECT id, public, sealed FROM keys_authority ORDER BY id DESC LIMIT 1")
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(kept).transpose()
}

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        id: row.try_get("id")?,
        public: row.try_get("public")?,
        sealed: Sealed::kept(row.try_get("sealed")?),
    })
}

/// Keeps a new authority, unless another collector has just kept one of that number.
pub(in crate::keys) async fn add(tx: &mut Tx, new: Kept, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_authority (id, public, sealed, made_at, serial) \
         VALUES ($1, $2, $3, $4, 0) ON CONFLICT (id) DO NOTHING",
    )
    .bind(new.id)
    .bind(new.public)
    .bind(new.sealed.into_bytes())
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps what an authority's secret is sealed as from now on, unless it was sealed anew meanwhile.
pub(in crate::keys) async fn reseal(
    tx: &mut Tx,
    id: i64,
    (old, new): (Sealed, Sealed),
) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_authority SET sealed = $2 WHERE id = $1 AND sealed = $3")
        .bind(id)
        .bind(new.into_bytes())
        .bind(old.into_bytes())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The next serial of an authority: each once.
pub(in crate::keys) async fn next_serial(tx: &mut Tx, authority: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "UPDATE keys_authority SET serial = serial + 1 WHERE id = $1 RETURNING serial",
    )
    .bind(authority)
    .fetch_one(&mut **tx)
    .await
}

/// Whether a key is revoked.
pub(in crate::keys) async fn is_revoked(tx: &mut Tx, fingerprint: &str) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM keys_revoked WHERE fingerprint = $1 AND ended_at IS NULL LIMIT 1",
    )
    .bind(fingerprint.to_owned())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.is_some())
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

/// The keys of a person's certificates that are not over yet, each with its fingerprint and type.
pub(in crate::keys) async fn still(
    store: &Store,
    person: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<(String, String, Vec<u8>)>> {
    let rows = sqlx::query(
        "SELECT DISTINCT fingerprint, kind, wire FROM keys_certificate \
         WHERE person = $1 AND until > $2 ORDER BY fingerprint",
    )
    .bind(person.to_owned())
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let (fingerprint, kind) = (row.try_get("fingerprint")?, row.try_get("kind")?);
        Ok((fingerprint, kind, row.try_get("wire")?))
    };
    rows.iter().map(one).collect()
}

const GIVEN: &str = "SELECT at, person, address, fingerprint, authority, serial, name, principals, until, refused \
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
        })
    };
    rows.iter().map(one).collect()
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
