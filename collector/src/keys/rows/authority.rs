//! The authorities of people's certificates: which hosts are to trust, and which of them signs.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::maybe_stamp;
use crate::keys::authority::Seen;
use crate::keys::kept::OURS;
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

/// Several of them, one after the other: since when each signs, and since when hosts are not to trust
/// it any more.
pub(super) const ROTATED: &str = "ALTER TABLE keys_authority ADD COLUMN signs_at BIGINT;
        ALTER TABLE keys_authority ADD COLUMN ended_at BIGINT;
        ALTER TABLE keys_authority ADD COLUMN author TEXT NOT NULL DEFAULT '';
        UPDATE keys_authority SET signs_at = made_at;
        CREATE INDEX keys_certificate_authority ON keys_certificate (authority, serial)";

/// The one that vouches for another of hosts, and how.
pub(super) const VOUCHED: &str = "ALTER TABLE keys_authority ADD COLUMN vouched_by BIGINT;
        ALTER TABLE keys_authority ADD COLUMN vouched {bytes}";

/// Whose keys an authority certifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Whose {
    /// Those of people: hosts are to trust it.
    People,
    /// Those of hosts: clients are to trust it.
    Hosts,
}

impl Whose {
    /// What one of them is called behind its key.
    pub(in crate::keys) fn called(self, id: i64) -> String {
        match self {
            Self::People => format!("watchward-authority-{id}"),
            Self::Hosts => format!("watchward-hosts-{id}"),
        }
    }
}

/// An authority that is to be trusted.
#[derive(Debug)]
pub(in crate::keys) struct Kept {
    pub(in crate::keys) id: i64,
    /// The key's point (RFC 8032).
    pub(in crate::keys) public: Vec<u8>,
    pub(in crate::keys) sealed: Sealed,
    pub(in crate::keys) made_at: Timestamp,
    /// Since when it signs; none: its turn is yet to come.
    pub(in crate::keys) signs_at: Option<Timestamp>,
    /// Who asked for it; empty: the schedule.
    pub(in crate::keys) author: String,
}

/// Those that are to be trusted, the oldest first.
pub(in crate::keys) async fn live<'a, E>(executor: E, whose: Whose) -> sqlx::Result<Vec<Kept>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let rows = sqlx::query(
        "SELECT id, public, sealed, made_at, signs_at, author FROM keys_authority \
         WHERE ended_at IS NULL AND of_hosts = $1 ORDER BY id",
    )
    .bind(i64::from(whose == Whose::Hosts))
    .fetch_all(executor)
    .await?;
    rows.iter().map(kept).collect()
}

/// The one that signs: of those that do, the one that began last.
pub(in crate::keys) fn signing<T: Borrow<Kept>>(live: impl IntoIterator<Item = T>) -> Option<T> {
    let signs = live
        .into_iter()
        .filter(|one| one.borrow().signs_at.is_some());
    signs.max_by_key(|one| (one.borrow().signs_at, one.borrow().id))
}

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        id: row.try_get("id")?,
        public: row.try_get("public")?,
        sealed: Sealed::kept(row.try_get("sealed")?),
        made_at: stamp(row.try_get("made_at")?),
        signs_at: maybe_stamp(row, "signs_at")?,
        author: row.try_get("author")?,
    })
}

/// The number of the last that was made; 0: none ever was.
pub(in crate::keys) async fn last(tx: &mut Tx) -> sqlx::Result<i64> {
    let sql = "SELECT COALESCE(MAX(id), 0) FROM keys_authority";
    sqlx::query_scalar(sql).fetch_one(&mut **tx).await
}

/// Keeps a new authority, unless another collector has just kept one of that number; says whether it
/// did.
pub(in crate::keys) async fn add(tx: &mut Tx, new: Kept, whose: Whose) -> sqlx::Result<bool> {
    let kept = sqlx::query(
        "INSERT INTO keys_authority (id, public, sealed, made_at, signs_at, author, of_hosts, serial) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (id) DO NOTHING",
    )
    .bind(new.id)
    .bind(new.public)
    .bind(new.sealed.into_bytes())
    .bind(new.made_at.as_micros())
    .bind(new.signs_at.map(Timestamp::as_micros))
    .bind(new.author)
    .bind(i64::from(whose == Whose::Hosts))
    .execute(&mut **tx)
    .await?;
    Ok(kept.rows_affected() > 0)
}

/// From now on this one signs; says whether it did not yet.
pub(in crate::keys) async fn sign(tx: &mut Tx, id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let sql = "UPDATE keys_authority SET signs_at = $2 \
        WHERE id = $1 AND signs_at IS NULL AND ended_at IS NULL";
    let done = sqlx::query(sql)
        .bind(id)
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// From now on hosts are not to trust this one; says whether they were until now.
pub(in crate::keys) async fn end(tx: &mut Tx, id: i64, now: Timestamp) -> sqlx::Result<bool> {
    let sql = "UPDATE keys_authority SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    let done = sqlx::query(sql)
        .bind(id)
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Until when the last certificate of each authority counts.
pub(in crate::keys) async fn counting(tx: &mut Tx) -> sqlx::Result<BTreeMap<i64, Timestamp>> {
    let rows = sqlx::query(
        "SELECT authority, MAX(until) AS until FROM keys_certificate \
         WHERE authority IS NOT NULL AND until IS NOT NULL GROUP BY authority",
    )
    .fetch_all(&mut **tx)
    .await?;
    let one = |row: &AnyRow| Ok((row.try_get("authority")?, stamp(row.try_get("until")?)));
    rows.iter().map(one).collect()
}

/// All that there ever were: the number and the key's point of each.
pub(in crate::keys) async fn ever(
    store: &Store,
    whose: Whose,
) -> sqlx::Result<Vec<(i64, Vec<u8>)>> {
    let rows = sqlx::query("SELECT id, public FROM keys_authority WHERE of_hosts = $1 ORDER BY id")
        .bind(i64::from(whose == Whose::Hosts))
        .fetch_all(store.read())
        .await?;
    let one = |row: &AnyRow| Ok((row.try_get("id")?, row.try_get("public")?));
    rows.iter().map(one).collect()
}

/// Keeps that the one before vouches for this one, with its signature.
pub(in crate::keys) async fn vouch(
    tx: &mut Tx,
    id: i64,
    (by, signature): (i64, Vec<u8>),
) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_authority SET vouched_by = $2, vouched = $3 WHERE id = $1")
        .bind(id)
        .bind(by)
        .bind(signature)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Those that are to be trusted for hosts, by whom each is vouched for, and the signature.
pub(in crate::keys) async fn vouched(store: &Store) -> sqlx::Result<Vec<(i64, i64, Vec<u8>)>> {
    sqlx::query_as(
        "SELECT id, vouched_by, vouched FROM keys_authority WHERE of_hosts = 1 \
         AND ended_at IS NULL AND vouched IS NOT NULL AND vouched_by IS NOT NULL ORDER BY id",
    )
    .fetch_all(store.read())
    .await
}

/// Where hosts have told of this authority: where it stands for the whole host, where a line of ours
/// does, and where one was ordered. What users write into files of their own is not waited for.
pub(in crate::keys) async fn seen(store: &Store, fingerprint: &str) -> sqlx::Result<Vec<Seen>> {
    let sql = "SELECT host_name, account FROM keys_managed WHERE fingerprint = $1";
    let rows = sqlx::query(sql)
        .bind(fingerprint.to_owned())
        .fetch_all(store.read())
        .await?;
    let one = |row: &AnyRow| {
        let account: String = row.try_get("account")?;
        Ok((row.try_get("host_name")?, account.into_bytes()))
    };
    let ordered: BTreeSet<(String, Vec<u8>)> = rows.iter().map(one).collect::<sqlx::Result<_>>()?;
    let rows = sqlx::query(
        "SELECT host_name, holder, file FROM keys_opening \
         WHERE fingerprint = $1 AND means = 1 AND gone_at IS NULL",
    )
    .bind(fingerprint.to_owned())
    .fetch_all(store.read())
    .await?;
    let mut all = Vec::new();
    for row in &rows {
        let (host, holder): (String, Vec<u8>) = (row.try_get("host_name")?, row.try_get("holder")?);
        let is_ours = row.try_get::<&str, _>("file")?.starts_with(OURS);
        if is_ours || holder.is_empty() || ordered.contains(&(host.clone(), holder.clone())) {
            all.push(Seen { host, holder });
        }
    }
    Ok(all)
}

/// Where a line was ordered that trusts this authority, and the host has not said that it holds it: what
/// stands there may be on trial, and gone again in a minute.
pub(in crate::keys) async fn unheld(store: &Store, fingerprint: &str) -> sqlx::Result<Vec<Seen>> {
    let rows = sqlx::query(
        "SELECT m.host_name, m.account FROM keys_managed m \
         LEFT JOIN keys_holding h ON h.host_name = m.host_name \
         WHERE m.fingerprint = $1 AND COALESCE(h.generation, 0) < m.generation",
    )
    .bind(fingerprint.to_owned())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let account: String = row.try_get("account")?;
        Ok(Seen {
            host: row.try_get("host_name")?,
            holder: account.into_bytes(),
        })
    };
    rows.iter().map(one).collect()
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
