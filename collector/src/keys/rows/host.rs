//! Hosts and holders, and everything of a host at once.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::Epoch;
use watchward_protocol::time::Timestamp;

use super::{change, holder_bytes, host_id, opening, whose};
use crate::intake::Host;
use crate::keys::inventory::{Inventory, Known, Whose};
use crate::keys::policy::Policy;
use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::value::stamp;

/// A host that is not to be judged again by time alone.
const NEVER: i64 = i64::MAX;

/// Everything that is kept of a host, held until the transaction ends: another collector that wants
/// it waits. A host that nothing is kept of begins.
pub(in crate::keys) async fn load(tx: &mut Tx, host: &Host) -> sqlx::Result<Inventory> {
    let listed_at: Option<i64> = sqlx::query_scalar(
        "INSERT INTO keys_host (host, host_name, next_at) VALUES ($1, $2, $3) \
         ON CONFLICT (host) DO UPDATE SET host_name = excluded.host_name RETURNING listed_at",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.as_str())
    .bind(NEVER)
    .fetch_one(&mut **tx)
    .await?;
    let rows = sqlx::query("SELECT * FROM keys_holder WHERE host = $1")
        .bind(host.id.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    Ok(Inventory {
        host: host.clone(),
        listed_at: listed_at.map(stamp),
        holders: rows.iter().map(holder).collect::<sqlx::Result<_>>()?,
        openings: opening::load(tx, host.id).await?,
        notes: Vec::new(),
        retired: Vec::new(),
    })
}

fn holder(row: &AnyRow) -> sqlx::Result<(Whose, Known)> {
    let troubles: String = row.try_get("troubles")?;
    let known = Known {
        first_at: stamp(row.try_get("first_at")?),
        at: stamp(row.try_get("at")?),
        heard_at: stamp(row.try_get("heard_at")?),
        epoch: Epoch(row.try_get::<i64, _>("epoch")?.cast_unsigned()),
        seq: row.try_get::<i64, _>("seq")?.cast_unsigned(),
        omitted: u32::try_from(row.try_get::<i64, _>("omitted")?).unwrap_or(u32::MAX),
        troubles: serde_json::from_str(&troubles).unwrap_or_default(),
        touched: false,
    };
    Ok((whose(row.try_get("holder")?), known))
}

/// Keeps what has changed since it was loaded, and gives numbers to what is new.
pub(in crate::keys) async fn save(
    tx: &mut Tx,
    inventory: &mut Inventory,
    now: Timestamp,
) -> sqlx::Result<()> {
    let host = inventory.host.id;
    if inventory.holders.values().any(|known| known.touched) || !inventory.retired.is_empty() {
        let sql =
            "UPDATE keys_host SET listed_at = $1, told_at = COALESCE(told_at, $3) WHERE host = $2";
        sqlx::query(sql)
            .bind(inventory.listed_at.map(Timestamp::as_micros))
            .bind(host.as_bytes().to_vec())
            .bind(inventory.listed_at.map(|_| now.as_micros()))
            .execute(&mut **tx)
            .await?;
    }
    for gone in inventory.retired.drain(..) {
        sqlx::query("DELETE FROM keys_holder WHERE host = $1 AND holder = $2")
            .bind(host.as_bytes().to_vec())
            .bind(holder_bytes(&gone).to_vec())
            .execute(&mut **tx)
            .await?;
    }
    keep_holders(tx, host, &mut inventory.holders).await?;
    opening::keep(tx, &inventory.host, &mut inventory.openings).await?;
    opening::forget(tx, &inventory.clear()).await?;
    let notes: Vec<_> = std::mem::take(&mut inventory.notes);
    let notes = notes.into_iter().filter_map(|note| {
        let kept = inventory.openings.get(&note.place)?;
        Some((kept.id, note.what))
    });
    change::insert(tx, &notes.collect::<Vec<_>>(), now).await
}

async fn keep_holders(
    tx: &mut Tx,
    host: HostId,
    holders: &mut BTreeMap<Whose, Known>,
) -> sqlx::Result<()> {
    let touched: Vec<_> = holders.iter().filter(|(_, known)| known.touched).collect();
    Bulk {
        before: "INSERT INTO keys_holder \
            (host, holder, first_at, at, heard_at, epoch, seq, omitted, troubles) VALUES ",
        columns: 9,
        after: " ON CONFLICT (host, holder) DO UPDATE SET at = excluded.at, \
            heard_at = excluded.heard_at, epoch = excluded.epoch, seq = excluded.seq, \
            omitted = excluded.omitted, troubles = excluded.troubles",
    }
    .execute(tx, &touched, |(whose, known), values| {
        let troubles = serde_json::to_string(&known.troubles).unwrap_or_default();
        values
            .bytes(&host.as_bytes()[..])
            .bytes(holder_bytes(whose))
            .number(known.first_at.as_micros())
            .number(known.at.as_micros())
            .number(known.heard_at.as_micros())
            .number(known.epoch.0.cast_signed())
            .number(known.seq.cast_signed())
            .number(i64::from(known.omitted))
            .text(troubles.as_str());
    })
    .await?;
    for known in holders.values_mut() {
        known.touched = false;
    }
    Ok(())
}

/// Says when a host is to be judged again by time alone.
pub(in crate::keys) async fn wait(
    tx: &mut Tx,
    host: HostId,
    until: Option<Timestamp>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_host SET next_at = $1 WHERE host = $2")
        .bind(until.map_or(NEVER, Timestamp::as_micros))
        .bind(host.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Says that a host is to be judged at that time, if not before.
pub(in crate::keys) async fn hasten(
    tx: &mut Tx,
    host: HostId,
    until: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_host SET next_at = $1 WHERE host = $2 AND next_at > $1")
        .bind(until.as_micros())
        .bind(host.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Has every host judged again if they were judged by another policy.
pub(in crate::keys) async fn note_policy(tx: &mut Tx, policy: &Policy) -> sqlx::Result<()> {
    // Beware: its groups are written as their names, but judged by who is in them.
    let digest = Sha256::digest(format!("{policy:?}"));
    let noted = sqlx::query(
        "INSERT INTO keys_policy (id, policy) VALUES (1, $1) ON CONFLICT (id) DO UPDATE \
         SET policy = excluded.policy WHERE keys_policy.policy <> excluded.policy",
    )
    .bind(digest.to_vec())
    .execute(&mut **tx)
    .await?;
    if noted.rows_affected() > 0 {
        sqlx::query("UPDATE keys_host SET next_at = 0")
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Some hundred hosts that are to be judged now.
pub(in crate::keys) async fn due(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<Host>> {
    let rows = sqlx::query(
        "SELECT host, host_name FROM keys_host WHERE next_at <= $1 ORDER BY next_at LIMIT 200",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(host).collect()
}

/// The hosts that this key, or this file, opens something on.
pub(in crate::keys) async fn with(tx: &mut Tx, key: &str) -> sqlx::Result<Vec<Host>> {
    let rows = sqlx::query(
        "SELECT DISTINCT o.host, o.host_name FROM keys_opening o \
         WHERE o.fingerprint = $1 OR (o.fingerprint IS NULL AND o.file = $1) \
         UNION SELECT s.host, h.host_name FROM keys_stray s JOIN keys_host h ON h.host = s.host \
         WHERE s.fingerprint = $1",
    )
    .bind(key)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(host).collect()
}

fn host(row: &AnyRow) -> sqlx::Result<Host> {
    Ok(Host {
        id: host_id(row)?,
        name: row.try_get("host_name")?,
    })
}
