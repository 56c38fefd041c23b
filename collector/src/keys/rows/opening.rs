//! Openings: one row each, as they stand or stood.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::keys::{Means, Opening, PublicKey};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::{MEANS, change, holder_bytes, maybe_stamp, whose};
use crate::intake::Host;
use crate::keys::inventory::{Identity, Place};
use crate::keys::kept::Kept;
use crate::keys::rotation::{Due, Used};
use crate::store::bulk::{Bulk, Values};
use crate::store::value::{code, fixed, stamp, variant};
use crate::store::{Store, Tx};

/// Everything that a host has and had.
pub(super) async fn load(tx: &mut Tx, host: HostId) -> sqlx::Result<BTreeMap<Place, Kept>> {
    let rows = sqlx::query("SELECT * FROM keys_opening WHERE host = $1")
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter()
        .map(|row| Ok((place(row)?, kept(row)?)))
        .collect()
}

fn place(row: &AnyRow) -> sqlx::Result<Place> {
    let identity = Identity(fixed(row.try_get("identity")?)?);
    Ok((whose(row.try_get("holder")?), identity))
}

/// An opening as it is kept.
pub(super) fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        id: row.try_get("id")?,
        opening: opening(row)?,
        copies: small(row, "copies")?.unwrap_or(1),
        new: row.try_get::<i64, _>("is_new")? == 1,
        approved: row.try_get::<Vec<u8>, _>("approved")?.into(),
        was: row.try_get("was")?,
        first_at: stamp(row.try_get("first_at")?),
        seen_at: stamp(row.try_get("seen_at")?),
        gone_at: maybe_stamp(row, "gone_at")?,
        gone_by: maybe_stamp(row, "gone_by")?,
        due_at: maybe_stamp(row, "due_at")?,
        warn_at: maybe_stamp(row, "warn_at")?,
        weak: row.try_get("weak")?,
        ordered: false,
        touched: false,
    })
}

fn opening(row: &AnyRow) -> sqlx::Result<Opening> {
    let principals: Vec<u8> = row.try_get("principals")?;
    let principals = principals
        .split(|byte| *byte == 0)
        .filter(|it| !it.is_empty());
    Ok(Opening {
        means: variant(&MEANS, row.try_get("means")?)?,
        key: key(row)?,
        file: row.try_get("file")?,
        line: small(row, "line")?,
        comment: row.try_get::<Vec<u8>, _>("comment")?.into(),
        options: row.try_get::<Vec<u8>, _>("options")?.into(),
        principals: principals.map(Foreign::from).collect(),
        not_before: maybe_stamp(row, "not_before")?,
        not_after: maybe_stamp(row, "not_after")?,
        condition: row.try_get("condition")?,
    })
}

fn key(row: &AnyRow) -> sqlx::Result<Option<PublicKey>> {
    let Some(fingerprint) = row.try_get("fingerprint")? else {
        return Ok(None);
    };
    Ok(Some(PublicKey {
        kind: row.try_get::<Option<_>, _>("kind")?.unwrap_or_default(),
        bits: small(row, "bits")?.unwrap_or(0),
        fingerprint,
        wire: Vec::new(),
    }))
}

fn small(row: &AnyRow, column: &str) -> sqlx::Result<Option<u32>> {
    let number: Option<i64> = row.try_get(column)?;
    Ok(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
}

/// Keeps what has changed, and gives numbers to what is new. What logins have written stays.
pub(super) async fn keep(
    tx: &mut Tx,
    host: &Host,
    openings: &mut BTreeMap<Place, Kept>,
) -> sqlx::Result<()> {
    let touched: Vec<_> = openings.iter().filter(|(_, kept)| kept.touched).collect();
    let rows = Bulk {
        before: "INSERT INTO keys_opening (host, holder, identity, host_name, means, kind, bits, \
            fingerprint, file, line, copies, comment, options, approved, principals, not_before, \
            not_after, condition, is_new, was, first_at, seen_at, gone_at, gone_by, due_at, warn_at, weak, \
            uses) \
            VALUES ",
        columns: 28,
        after: " ON CONFLICT (host, holder, identity) DO UPDATE SET kind = excluded.kind, \
            bits = excluded.bits, fingerprint = excluded.fingerprint, file = excluded.file, \
            line = excluded.line, copies = excluded.copies, comment = excluded.comment, \
            options = excluded.options, approved = excluded.approved, \
            principals = excluded.principals, not_before = excluded.not_before, \
            not_after = excluded.not_after, condition = excluded.condition, is_new = excluded.is_new, was = excluded.was, \
            first_at = excluded.first_at, seen_at = excluded.seen_at, \
            gone_at = excluded.gone_at, gone_by = excluded.gone_by, due_at = excluded.due_at, \
            warn_at = excluded.warn_at, \
            weak = excluded.weak RETURNING id, holder, identity",
    }
    .fetch(tx, &touched, |(place, kept), values| {
        values
            .bytes(&host.id.as_bytes()[..])
            .bytes(holder_bytes(&place.0))
            .bytes(&place.1.0[..])
            .text(host.name.as_str());
        bind_opening(kept, values);
        bind_times(kept, values);
    })
    .await?;
    for row in &rows {
        if let Some(kept) = openings.get_mut(&place(row)?) {
            kept.id = row.try_get("id")?;
            kept.touched = false;
        }
    }
    Ok(())
}

/// Forgets those with these numbers, and what happened to them.
pub(super) async fn forget(tx: &mut Tx, openings: &[i64]) -> sqlx::Result<()> {
    Bulk {
        before: "DELETE FROM keys_opening WHERE id IN (VALUES ",
        columns: 1,
        after: ")",
    }
    .execute(tx, openings, |opening, values| {
        values.number(*opening);
    })
    .await?;
    change::forget(tx, openings).await
}

fn bind_opening(kept: &Kept, values: &mut Values) {
    let opening = &kept.opening;
    let key = opening.key.as_ref();
    let names: Vec<_> = opening.principals.iter().map(Foreign::as_bytes).collect();
    values
        .number(code(&MEANS, &opening.means))
        .text(key.map(|key| key.kind.as_str()))
        .number(key.map(|key| i64::from(key.bits)))
        .text(key.map(|key| key.fingerprint.as_str()))
        .text(opening.file.as_str())
        .number(opening.line.map(i64::from))
        .number(i64::from(kept.copies))
        .bytes(opening.comment.as_bytes())
        .bytes(opening.options.as_bytes())
        .bytes(kept.approved.as_bytes())
        .bytes(&names.join(&0)[..])
        .number(opening.not_before.map(Timestamp::as_micros))
        .number(opening.not_after.map(Timestamp::as_micros))
        .text(opening.condition.as_deref());
}

fn bind_times(kept: &Kept, values: &mut Values) {
    values
        .number(i64::from(kept.new))
        .text(kept.was.as_deref())
        .number(kept.first_at.as_micros())
        .number(kept.seen_at.as_micros())
        .number(kept.gone_at.map(Timestamp::as_micros))
        .number(kept.gone_by.map(Timestamp::as_micros))
        .number(kept.due_at.map(Timestamp::as_micros))
        .number(kept.warn_at.map(Timestamp::as_micros))
        .text(kept.weak.as_deref())
        .number(0);
}

/// The keys by which sshd of the host of this name proves itself, as on the wire.
pub(in crate::keys) async fn host_keys(store: &Store, host: &str) -> sqlx::Result<Vec<Vec<u8>>> {
    let sql = "SELECT DISTINCT w.wire FROM keys_opening o \
        JOIN keys_wire w ON w.fingerprint = o.fingerprint \
        WHERE o.host_name = $1 AND o.means = $2 AND o.gone_at IS NULL";
    sqlx::query_scalar(sql)
        .bind(host.to_owned())
        .bind(code(&MEANS, &Means::HostKey))
        .fetch_all(store.read())
        .await
}

/// Every key that is to be replaced before then and that no machine's schedule replaces, with the first
/// day of it.
pub(in crate::keys) async fn due(store: &Store, before: Timestamp) -> sqlx::Result<Vec<Due>> {
    let sql = "SELECT fingerprint, MIN(due_at) AS at, MIN(warn_at) AS warn_at, \
        COUNT(DISTINCT host) AS hosts, MIN(host_name) AS host_name FROM keys_opening \
        WHERE gone_at IS NULL AND due_at < $1 AND fingerprint IS NOT NULL AND means IN (0, 1) \
        AND fingerprint NOT IN (SELECT fingerprint FROM keys_managed) \
        GROUP BY fingerprint ORDER BY at LIMIT 1000";
    let rows = sqlx::query(sql).bind(before.as_micros());
    let rows = rows.fetch_all(store.read()).await?;
    rows.iter().map(due_one).collect()
}

fn due_one(row: &AnyRow) -> sqlx::Result<Due> {
    Ok(Due {
        fingerprint: row.try_get("fingerprint")?,
        at: stamp(row.try_get("at")?),
        warn_at: maybe_stamp(row, "warn_at")?,
        hosts: row.try_get("hosts")?,
        host: row.try_get("host_name")?,
    })
}

/// When agents' certificates will not have been renewed in time: those of one day together.
pub(in crate::keys) async fn agents(store: &Store, before: Timestamp) -> sqlx::Result<Vec<Due>> {
    let sql = "SELECT '' AS fingerprint, MIN(due_at) AS at, MIN(warn_at) AS warn_at, \
        COUNT(DISTINCT host) AS hosts, MIN(host_name) AS host_name FROM keys_opening \
        WHERE gone_at IS NULL AND due_at < $1 AND means = 6 \
        GROUP BY due_at / 86400000000 ORDER BY at LIMIT 1000";
    let rows = sqlx::query(sql).bind(before.as_micros());
    let rows = rows.fetch_all(store.read()).await?;
    rows.iter().map(due_one).collect()
}

/// Where a key was used last since then, and from where: host, account, when, address.
pub(in crate::keys) async fn used_since(
    store: &Store,
    fingerprint: &str,
    since: Timestamp,
) -> sqlx::Result<Vec<Used>> {
    let sql = "SELECT host_name, holder, used_at, used_from FROM keys_opening \
        WHERE fingerprint = $1 AND used_at > $2 ORDER BY host_name, used_at LIMIT 100";
    let rows = sqlx::query(sql)
        .bind(fingerprint.to_owned())
        .bind(since.as_micros());
    let one = |row: &AnyRow| {
        Ok(Used {
            host: row.try_get("host_name")?,
            account: row.try_get::<Vec<u8>, _>("holder")?.into(),
            at: stamp(row.try_get("used_at")?),
            from: row.try_get("used_from")?,
        })
    };
    let rows = rows.fetch_all(store.read()).await?;
    rows.iter().map(one).collect()
}
