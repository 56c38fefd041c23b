//! What hosts were told of revocations and when, and what each holds of them.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::{host_id, lineage, maybe_stamp};
use crate::intake::{Host, Said};
use crate::store::bulk::{Bulk, without_nul};
use crate::store::value::{fixed, stamp};
use crate::store::{Store, Tx};

/// Since when sessions are open of which a host does not know what opened them, in microseconds of UTC,
/// as JSON.
pub(super) const UNKNOWN: &str =
    "ALTER TABLE keys_holding ADD COLUMN unknown_sessions TEXT NOT NULL DEFAULT '[]'";

/// When a host held a generation first, by its own clock. Of what was held before it was kept it is two
/// minutes after it was heard, as far as clocks were taken to be apart.
pub(super) const HELD_THERE: &str = "ALTER TABLE keys_reached ADD COLUMN held_there BIGINT;
    UPDATE keys_reached SET held_there = held_at + 120000000";

/// What a host said last of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Holding {
    pub(in crate::keys) host: HostId,
    pub(in crate::keys) name: String,
    pub(in crate::keys) at: Timestamp,
    /// Which order of this database is in force there.
    pub(in crate::keys) generation: Option<u64>,
    pub(in crate::keys) revoked: i64,
    /// Why what was ordered does not hold. Safe for a terminal.
    pub(in crate::keys) trouble: Option<String>,
    /// How many lines of ours open accounts there, and why not all of them do. Safe for a terminal.
    pub(in crate::keys) managed: i64,
    pub(in crate::keys) unmanaged: Option<String>,
    /// Whether something is installed there that tells sshd.
    pub(in crate::keys) has_role: bool,
    /// What people were told of it.
    pub(in crate::keys) told: Option<String>,
    /// Since when sessions are open of which it does not know what opened them, by its own clock.
    pub(in crate::keys) unknown_sessions: Vec<Timestamp>,
}

/// A generation that a host was told of, or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Reached {
    pub(in crate::keys) host: String,
    pub(in crate::keys) generation: u64,
    pub(in crate::keys) said_at: Option<Timestamp>,
    pub(in crate::keys) held_at: Option<Timestamp>,
    /// The same by the clock of the host.
    pub(in crate::keys) held_there: Option<Timestamp>,
    pub(in crate::keys) digest: Option<[u8; 32]>,
}

/// Keeps what hosts were told.
pub(in crate::keys) async fn said(tx: &mut Tx, said: &[Said]) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO keys_reached (host, generation, host_name, said_at) VALUES ",
        columns: 4,
        after: " ON CONFLICT (host, generation) DO UPDATE SET \
            said_at = COALESCE(keys_reached.said_at, excluded.said_at)",
    }
    .execute(tx, said, |one, values| {
        values
            .bytes(&one.host.id.as_bytes()[..])
            .number(one.generation.cast_signed())
            .text(one.host.name.as_str())
            .number(one.at.as_micros());
    })
    .await
}

/// Keeps what a host says that it holds.
pub(in crate::keys) async fn holding(
    tx: &mut Tx,
    host: &Host,
    holding: &instruments::Holding,
    now: Timestamp,
) -> sqlx::Result<()> {
    let digest = holding.digest.map(|digest| digest.to_vec());
    let lineages = lineage::text(&holding.lineages);
    let unknown = holding.unknown_sessions.iter().map(|it| it.as_micros());
    let unknown = serde_json::to_string(&unknown.collect::<Vec<i64>>());
    let plain = |text: &Option<String>| {
        let text = text.as_deref().map(escaped);
        text.map(|it| without_nul(&it).into_owned())
    };
    sqlx::query(
        "INSERT INTO keys_holding \
         (host, host_name, at, generation, revoked, digest, trouble, managed, unmanaged, unshown, \
         lineages, kept, unknown_sessions) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (host) DO UPDATE SET \
         host_name = excluded.host_name, at = excluded.at, generation = excluded.generation, \
         revoked = excluded.revoked, digest = excluded.digest, trouble = excluded.trouble, \
         managed = excluded.managed, unmanaged = excluded.unmanaged, \
         unshown = excluded.unshown, lineages = excluded.lineages, kept = excluded.kept, \
         unknown_sessions = excluded.unknown_sessions",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.clone())
    .bind(now.as_micros())
    .bind(holding.generation.map(u64::cast_signed))
    .bind(i64::from(holding.revoked))
    .bind(digest.clone())
    .bind(plain(&holding.trouble))
    .bind(i64::from(holding.managed))
    .bind(plain(&holding.unmanaged))
    .bind(plain(&holding.unshown))
    .bind(lineages.clone())
    .bind(i64::from(holding.kept))
    .bind(unknown.map_err(|error| sqlx::Error::Encode(error.into()))?)
    .execute(&mut **tx)
    .await?;
    let generation = holding.generation.filter(|_| holding.trouble.is_none());
    let is_ours = lineage::is_ours(&lineages, &lineage::known(&mut **tx).await?);
    let Some(generation) = generation.filter(|_| is_ours) else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO keys_reached (host, generation, host_name, held_at, digest, held_there) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host, generation) DO UPDATE SET \
         held_at = COALESCE(keys_reached.held_at, excluded.held_at), \
         held_there = COALESCE(keys_reached.held_there, excluded.held_there), \
         digest = COALESCE(keys_reached.digest, excluded.digest)",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(generation.cast_signed())
    .bind(host.name.clone())
    .bind(now.as_micros())
    .bind(digest)
    .bind(holding.at.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What every host said last, by its name.
pub(in crate::keys) async fn holdings(store: &Store) -> sqlx::Result<HashMap<String, Holding>> {
    let known = lineage::known(store.read()).await?;
    let rows = sqlx::query(
        "SELECT h.host, h.host_name, h.at, h.generation, h.revoked, h.trouble, h.told, \
         h.managed, h.unmanaged, h.lineages, h.unknown_sessions, \
         (SELECT COUNT(*) FROM keys_reached r WHERE r.host = h.host AND r.held_at IS NOT NULL) AS times \
         FROM keys_holding h ORDER BY h.at",
    )
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let name: String = row.try_get("host_name")?;
        let generation: Option<i64> = row.try_get("generation")?;
        let is_ours = lineage::is_ours(&row.try_get::<String, _>("lineages")?, &known);
        let trouble: Option<String> = row.try_get("trouble")?;
        let unknown: String = row.try_get("unknown_sessions")?;
        let unknown: Vec<i64> =
            serde_json::from_str(&unknown).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let held = row.try_get::<i64, _>("times")? > 0;
        let unmanaged: Option<String> = row.try_get("unmanaged")?;
        let nobody = instruments::Holding::NOBODY;
        let mut said = trouble.iter().chain(&unmanaged);
        let nobody_there = said.any(|it| it.starts_with(nobody));
        let holding = Holding {
            // What held once can hold again.
            has_role: held || !nobody_there,
            host: host_id(row)?,
            name: name.clone(),
            at: stamp(row.try_get("at")?),
            generation: generation.map(i64::cast_unsigned).filter(|_| is_ours),
            revoked: row.try_get("revoked")?,
            trouble,
            managed: row.try_get("managed")?,
            unmanaged,
            told: row.try_get("told")?,
            unknown_sessions: unknown.into_iter().map(Timestamp::from_micros).collect(),
        };
        Ok((name, holding))
    };
    rows.iter().map(one).collect()
}

/// Keeps what people were told of what a host holds.
pub(in crate::keys) async fn told(
    tx: &mut Tx,
    host: HostId,
    told: Option<String>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_holding SET told = $2 WHERE host = $1")
        .bind(host.as_bytes().to_vec())
        .bind(told)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// What hosts were told or held from this generation on, the oldest first.
pub(in crate::keys) async fn since(store: &Store, generation: u64) -> sqlx::Result<Vec<Reached>> {
    let rows = sqlx::query(
        "SELECT host_name, generation, said_at, held_at, held_there, digest FROM keys_reached \
         WHERE generation >= $1 ORDER BY generation",
    )
    .bind(generation.cast_signed())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let digest: Option<Vec<u8>> = row.try_get("digest")?;
        Ok(Reached {
            host: row.try_get("host_name")?,
            generation: row.try_get::<i64, _>("generation")?.cast_unsigned(),
            said_at: maybe_stamp(row, "said_at")?,
            held_at: maybe_stamp(row, "held_at")?,
            held_there: maybe_stamp(row, "held_there")?,
            digest: digest.map(fixed).transpose()?,
        })
    };
    rows.iter().map(one).collect()
}

/// Forgets generations from before this, but for the last that each host held, and the first with which
/// it held that a key is revoked. They are counted in microseconds of UTC.
pub(super) async fn prune(tx: &mut Tx, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM keys_reached WHERE (host, generation) IN (SELECT r.host, r.generation \
         FROM keys_reached r WHERE r.generation < $1 AND EXISTS \
         (SELECT 1 FROM keys_reached l WHERE l.host = r.host AND l.generation > r.generation \
          AND l.held_at IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM keys_revoked k WHERE k.generation <= r.generation \
          AND k.generation > COALESCE((SELECT MAX(b.generation) FROM keys_reached b \
           WHERE b.host = r.host AND b.generation < r.generation AND b.held_at IS NOT NULL), -1)) \
         ORDER BY r.generation LIMIT 500)",
    )
    .bind(before.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets what a host held.
pub(super) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM keys_holding WHERE host = $1",
        "DELETE FROM keys_reached WHERE host = $1",
    ] {
        let forgotten = sqlx::query(sql).bind(host.as_bytes().to_vec());
        forgotten.execute(&mut **tx).await?;
    }
    Ok(())
}
