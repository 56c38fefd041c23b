//! Peers of WireGuard, as hosts said last, and those that were taken away.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::peers::{Peer, Peers, Taken};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::{host_id, maybe_stamp};
use crate::intake::Host;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// The tables. `keys_peers` is one row for each host that told, with the generation of revocations that
/// it looked with; `keys_peer` the peers, and `keys_peer_taken` those that were taken away. What a host
/// says of time (`proved_at`, `first_at` and `last_at` of what was taken away) is by its clock.
pub(super) const TABLES: &str = "CREATE TABLE keys_peers (
            host {bytes} PRIMARY KEY, host_name TEXT NOT NULL, at BIGINT NOT NULL,
            generation BIGINT, omitted BIGINT NOT NULL, trouble TEXT);
        CREATE TABLE keys_peer (
            host {bytes} NOT NULL, interface TEXT NOT NULL, peer TEXT NOT NULL,
            host_name TEXT NOT NULL, allowed TEXT NOT NULL, endpoint TEXT, first_at BIGINT NOT NULL,
            proved_at BIGINT, received BIGINT NOT NULL, sent BIGINT NOT NULL, kept TEXT,
            is_new BIGINT NOT NULL, PRIMARY KEY (host, interface, peer));
        CREATE INDEX keys_peer_peer ON keys_peer (peer);
        CREATE TABLE keys_peer_taken (
            host {bytes} NOT NULL, interface TEXT NOT NULL, peer TEXT NOT NULL,
            host_name TEXT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
            times BIGINT NOT NULL, over_at BIGINT, PRIMARY KEY (host, interface, peer));
        CREATE INDEX keys_peer_taken_peer ON keys_peer_taken (peer)";

/// With which others a new peer is told, and what it was allowed before; and whether a host has ever
/// told what stands, and not only why it cannot look.
pub(super) const GATHERED: &str =
    "ALTER TABLE keys_peer ADD COLUMN batch BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_peer ADD COLUMN was TEXT;
        ALTER TABLE keys_peers ADD COLUMN has_looked BIGINT NOT NULL DEFAULT 1";

/// From how many interfaces of a host it is kept that a peer was taken away.
const INTERFACES: i64 = 16;

/// What tells a peer of a host from the others: its interface and its key.
pub(in crate::keys) type Place = (String, String);

/// A peer that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Kept {
    pub(in crate::keys) host: HostId,
    pub(in crate::keys) name: String,
    /// Safe for a terminal.
    pub(in crate::keys) interface: String,
    /// Its public key.
    pub(in crate::keys) peer: String,
    /// Which addresses it may have inside.
    pub(in crate::keys) allowed: String,
    /// From where it was heard last.
    pub(in crate::keys) endpoint: Option<String>,
    /// When it was first told of.
    pub(in crate::keys) first_at: Timestamp,
    /// When it last proved who it is.
    pub(in crate::keys) proved_at: Option<Timestamp>,
    /// How many bytes came, and went.
    pub(in crate::keys) received: i64,
    pub(in crate::keys) sent: i64,
    /// Why it stands although it is revoked. Safe for a terminal.
    pub(in crate::keys) kept: Option<String>,
    /// What is new about it, while nobody has said that it is right.
    pub(in crate::keys) news: Option<News>,
}

/// What is new about a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct News {
    /// What became new at once is told at once: the moment of the first of them.
    pub(in crate::keys) batch: Timestamp,
    /// Which addresses it could have before, if it was there.
    pub(in crate::keys) was: Option<String>,
}

impl Kept {
    /// One that a host tells of for the first time.
    pub(in crate::keys) fn appear(host: &Host, told: &Peer, now: Timestamp) -> Self {
        let allowed: Vec<_> = told.allowed.iter().map(ToString::to_string).collect();
        Self {
            host: host.id,
            name: host.name.clone(),
            interface: escaped(&told.interface),
            peer: told.key.to_string(),
            allowed: allowed.join(", "),
            endpoint: told.endpoint.map(|it| it.to_string()),
            first_at: now,
            proved_at: told.proved_at,
            received: told.received.cast_signed(),
            sent: told.sent.cast_signed(),
            kept: told.kept.as_deref().map(escaped),
            news: None,
        }
    }

    pub(in crate::keys) fn place(&self) -> Place {
        (self.interface.clone(), self.peer.clone())
    }
}

/// What a host said last of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Said {
    /// When that was heard.
    pub(in crate::keys) at: Timestamp,
    /// With which generation it looked; none: it looked before anything was revoked, or cannot look.
    pub(in crate::keys) generation: Option<u64>,
    pub(in crate::keys) omitted: i64,
    /// Why it does not know. Safe for a terminal.
    pub(in crate::keys) trouble: Option<String>,
}

/// Keeps what a host says; the peers themselves apart.
pub(in crate::keys) async fn say(
    tx: &mut Tx,
    host: &Host,
    told: &Peers,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_peers (host, host_name, at, generation, omitted, trouble, has_looked) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (host) DO UPDATE SET \
         host_name = excluded.host_name, at = excluded.at, generation = excluded.generation, \
         omitted = excluded.omitted, trouble = excluded.trouble, \
         has_looked = CASE WHEN keys_peers.has_looked = 1 THEN 1 ELSE excluded.has_looked END",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.clone())
    .bind(now.as_micros())
    .bind(told.generation.map(u64::cast_signed))
    .bind(i64::from(told.omitted))
    .bind(told.trouble.as_deref().map(escaped))
    .bind(i64::from(told.trouble.is_none()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a host has told before what stands.
pub(in crate::keys) async fn is_known(tx: &mut Tx, host: HostId) -> sqlx::Result<bool> {
    let sql = "SELECT COUNT(*) FROM keys_peers WHERE host = $1 AND has_looked = 1";
    let found = sqlx::query_scalar(sql).bind(host.as_bytes().to_vec());
    let found: i64 = found.fetch_one(&mut **tx).await?;
    Ok(found > 0)
}

/// What every host said last, by its name.
pub(in crate::keys) async fn said(store: &Store) -> sqlx::Result<BTreeMap<String, Said>> {
    let sql =
        "SELECT host_name, at, generation, omitted, trouble FROM keys_peers ORDER BY host_name, at";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| {
        let generation: Option<i64> = row.try_get("generation")?;
        let said = Said {
            at: stamp(row.try_get("at")?),
            generation: generation.map(i64::cast_unsigned),
            omitted: row.try_get("omitted")?,
            trouble: row.try_get("trouble")?,
        };
        Ok((row.try_get("host_name")?, said))
    };
    rows.iter().map(one).collect()
}

const COLUMNS: &str = "SELECT host, host_name, interface, peer, allowed, endpoint, first_at, proved_at, \
    received, sent, kept, is_new, batch, was FROM keys_peer";

/// The peers of a host.
pub(in crate::keys) async fn load(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE host = $1 ORDER BY interface, peer"
    ));
    let rows = sqlx::query(sql).bind(host.as_bytes().to_vec());
    rows.fetch_all(&mut **tx).await?.iter().map(one).collect()
}

/// The peers of all hosts.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY host_name, interface, peer"));
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    rows.iter().map(one).collect()
}

/// Where a peer stands that nobody has said to be right.
pub(in crate::keys) async fn new(tx: &mut Tx, peer: &str) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE peer = $1 AND is_new = 1 ORDER BY host"
    ));
    let rows = sqlx::query(sql).bind(peer.to_owned());
    rows.fetch_all(&mut **tx).await?.iter().map(one).collect()
}

fn one(row: &AnyRow) -> sqlx::Result<Kept> {
    let is_new = row.try_get::<i64, _>("is_new")? != 0;
    let news = News {
        batch: stamp(row.try_get("batch")?),
        was: row.try_get("was")?,
    };
    Ok(Kept {
        host: host_id(row)?,
        name: row.try_get("host_name")?,
        interface: row.try_get("interface")?,
        peer: row.try_get("peer")?,
        allowed: row.try_get("allowed")?,
        endpoint: row.try_get("endpoint")?,
        first_at: stamp(row.try_get("first_at")?),
        proved_at: maybe_stamp(row, "proved_at")?,
        received: row.try_get("received")?,
        sent: row.try_get("sent")?,
        kept: row.try_get("kept")?,
        news: is_new.then_some(news),
    })
}

/// Keeps a peer in the place of what was kept of it.
pub(in crate::keys) async fn keep(tx: &mut Tx, peer: &Kept) -> sqlx::Result<()> {
    let news = peer.news.as_ref();
    sqlx::query(
        "INSERT INTO keys_peer (host, host_name, interface, peer, allowed, endpoint, first_at, \
         proved_at, received, sent, kept, is_new, batch, was) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (host, interface, peer) DO UPDATE SET host_name = excluded.host_name, \
         allowed = excluded.allowed, endpoint = excluded.endpoint, first_at = excluded.first_at, \
         proved_at = excluded.proved_at, received = excluded.received, sent = excluded.sent, \
         kept = excluded.kept, is_new = excluded.is_new, batch = excluded.batch, \
         was = excluded.was",
    )
    .bind(peer.host.as_bytes().to_vec())
    .bind(peer.name.clone())
    .bind(peer.interface.clone())
    .bind(peer.peer.clone())
    .bind(peer.allowed.clone())
    .bind(peer.endpoint.clone())
    .bind(peer.first_at.as_micros())
    .bind(peer.proved_at.map(Timestamp::as_micros))
    .bind(peer.received)
    .bind(peer.sent)
    .bind(peer.kept.clone())
    .bind(i64::from(peer.news.is_some()))
    .bind(news.map_or(0, |news| news.batch.as_micros()))
    .bind(news.and_then(|news| news.was.clone()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets a peer that stands no more.
pub(in crate::keys) async fn gone(tx: &mut Tx, peer: &Kept) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_peer WHERE host = $1 AND interface = $2 AND peer = $3")
        .bind(peer.host.as_bytes().to_vec())
        .bind(peer.interface.clone())
        .bind(peer.peer.clone())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// A peer that was taken away, from a host and an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Away {
    pub(in crate::keys) name: String,
    pub(in crate::keys) interface: String,
    pub(in crate::keys) first_at: Timestamp,
    pub(in crate::keys) last_at: Timestamp,
    /// How often: whatever is put back is taken away again.
    pub(in crate::keys) times: i64,
}

/// Keeps that a revoked peer was taken away, and until when it is told if it was put back; says how
/// often it was. What a host makes up is nothing: keys that nobody revoked, interfaces without number.
pub(in crate::keys) async fn taken(
    tx: &mut Tx,
    host: &Host,
    taken: &Taken,
    over_at: Timestamp,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "INSERT INTO keys_peer_taken (host, host_name, interface, peer, first_at, last_at, times) \
         SELECT $1, $2, $3, $4, $5, $5, 1 WHERE \
         EXISTS (SELECT 1 FROM keys_revoked WHERE fingerprint = $4 AND ended_at IS NULL) AND \
         (SELECT COUNT(*) FROM keys_peer_taken \
          WHERE host = $1 AND peer = $4 AND interface <> $3) < $7 \
         ON CONFLICT (host, interface, peer) DO UPDATE SET \
         host_name = excluded.host_name, last_at = excluded.last_at, \
         times = keys_peer_taken.times + 1, over_at = $6 RETURNING times",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.clone())
    .bind(escaped(&taken.interface))
    .bind(taken.key.to_string())
    .bind(taken.at.as_micros())
    .bind(over_at.as_micros())
    .bind(INTERFACES)
    .fetch_optional(&mut **tx)
    .await
}

/// From where a peer was taken away.
pub(in crate::keys) async fn away(store: &Store, peer: &str) -> sqlx::Result<Vec<Away>> {
    let rows = sqlx::query(
        "SELECT host_name, interface, first_at, last_at, times FROM keys_peer_taken \
         WHERE peer = $1 ORDER BY host_name, interface",
    )
    .bind(peer.to_owned())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        Ok(Away {
            name: row.try_get("host_name")?,
            interface: row.try_get("interface")?,
            first_at: stamp(row.try_get("first_at")?),
            last_at: stamp(row.try_get("last_at")?),
            times: row.try_get("times")?,
        })
    };
    rows.iter().map(one).collect()
}

/// Those that were put back, and not for a while: each host, interface and key.
pub(in crate::keys) async fn quiet(
    tx: &mut Tx,
    now: Timestamp,
) -> sqlx::Result<Vec<(HostId, String, String)>> {
    let rows = sqlx::query(
        "UPDATE keys_peer_taken SET over_at = NULL WHERE over_at <= $1 RETURNING host, interface, peer",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    let one = |row: &AnyRow| {
        Ok((
            host_id(row)?,
            row.try_get("interface")?,
            row.try_get("peer")?,
        ))
    };
    rows.iter().map(one).collect()
}

/// Forgets what was taken away before `oldest`, but of those that are revoked still.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM keys_peer_taken WHERE last_at < $1 AND over_at IS NULL AND peer NOT IN \
         (SELECT fingerprint FROM keys_revoked WHERE ended_at IS NULL)",
    )
    .bind(oldest.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets what a host said.
pub(super) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM keys_peers WHERE host = $1",
        "DELETE FROM keys_peer WHERE host = $1",
        "DELETE FROM keys_peer_taken WHERE host = $1",
    ] {
        let forgotten = sqlx::query(sql).bind(host.as_bytes().to_vec());
        forgotten.execute(&mut **tx).await?;
    }
    Ok(())
}
