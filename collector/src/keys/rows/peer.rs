//! Peers of WireGuard, as hosts said last, and those that were taken away.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::peers::{Peer, Peers};
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

pub(in crate::keys) use super::taken::{Away, away, quiet, taken};
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

/// When one left, and whether with all of its interface; and since when its key is known to be too old.
pub(super) const LEFT: &str = "ALTER TABLE keys_peer ADD COLUMN gone_at BIGINT;
        ALTER TABLE keys_peer ADD COLUMN is_away BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_peer ADD COLUMN late_since BIGINT;
        CREATE TABLE keys_peer_told (incident TEXT PRIMARY KEY)";

/// What tells a peer of a host from the others: its interface and its key.
pub(in crate::keys) type Place = (String, String);

/// A peer that stands, or stood.
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
    /// When its key was first told of on this host.
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
    /// That it stands no more.
    pub(in crate::keys) left: Option<Left>,
    /// Since when its key is known to be too old by the policy.
    pub(in crate::keys) late_since: Option<Timestamp>,
}

/// That a peer stands no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Left {
    pub(in crate::keys) at: Timestamp,
    /// Whether all of its interface left: that says nothing of one of them.
    pub(in crate::keys) is_away: bool,
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
            left: None,
            late_since: None,
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
    received, sent, kept, is_new, batch, was, gone_at, is_away, late_since FROM keys_peer";

/// The peers of a host, those that left too.
pub(in crate::keys) async fn load(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE host = $1 ORDER BY interface, peer"
    ));
    let rows = sqlx::query(sql).bind(host.as_bytes().to_vec());
    rows.fetch_all(&mut **tx).await?.iter().map(one).collect()
}

/// The peers of all hosts that stand.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE gone_at IS NULL ORDER BY host_name, interface, peer"
    ));
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    rows.iter().map(one).collect()
}

/// The peers of all hosts that left with all of their interface, and are there when it is.
pub(in crate::keys) async fn resting(store: &Store) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE is_away = 1 AND gone_at IS NOT NULL ORDER BY host_name, interface, peer"
    ));
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    rows.iter().map(one).collect()
}

/// Where a peer stands that nobody has said to be right.
pub(in crate::keys) async fn new(tx: &mut Tx, peer: &str) -> sqlx::Result<Vec<Kept>> {
    let sql = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE peer = $1 AND is_new = 1 AND gone_at IS NULL ORDER BY host"
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
    let is_away = row.try_get::<i64, _>("is_away")? != 0;
    let gone_at = maybe_stamp(row, "gone_at")?;
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
        left: gone_at.map(|at| Left { at, is_away }),
        late_since: maybe_stamp(row, "late_since")?,
    })
}

/// Keeps a peer in the place of what was kept of it, but for since when it is too old.
pub(in crate::keys) async fn keep(tx: &mut Tx, peer: &Kept) -> sqlx::Result<()> {
    let news = peer.news.as_ref();
    sqlx::query(
        "INSERT INTO keys_peer (host, host_name, interface, peer, allowed, endpoint, first_at, \
         proved_at, received, sent, kept, is_new, batch, was, gone_at, is_away) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (host, interface, peer) DO UPDATE SET host_name = excluded.host_name, \
         allowed = excluded.allowed, endpoint = excluded.endpoint, first_at = excluded.first_at, \
         gone_at = excluded.gone_at, is_away = excluded.is_away, \
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
    .bind(peer.left.map(|left| left.at.as_micros()))
    .bind(i64::from(peer.left.is_some_and(|left| left.is_away)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets a peer that stood.
pub(in crate::keys) async fn lose(tx: &mut Tx, peer: &Kept) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_peer WHERE host = $1 AND interface = $2 AND peer = $3")
        .bind(peer.host.as_bytes().to_vec())
        .bind(peer.interface.clone())
        .bind(peer.peer.clone())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets what was taken away before `oldest`, but of those that are revoked still, and what left
/// before then.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    let left = sqlx::query("DELETE FROM keys_peer WHERE gone_at < $1").bind(oldest.as_micros());
    left.execute(&mut **tx).await?;
    sqlx::query(
        "DELETE FROM keys_peer_taken WHERE last_at < $1 AND over_at IS NULL AND peer NOT IN \
         (SELECT fingerprint FROM keys_revoked WHERE ended_at IS NULL)",
    )
    .bind(oldest.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps since when a peer's key is known to be too old, where that is not known yet; none: it is not.
pub(in crate::keys) async fn age(
    tx: &mut Tx,
    peer: &Kept,
    since: Option<Timestamp>,
) -> sqlx::Result<()> {
    let sql = match since {
        Some(_) => {
            "UPDATE keys_peer SET late_since = $4 \
             WHERE host = $1 AND interface = $2 AND peer = $3 AND late_since IS NULL"
        }
        None => {
            "UPDATE keys_peer SET late_since = $4 \
             WHERE host = $1 AND interface = $2 AND peer = $3"
        }
    };
    sqlx::query(sql)
        .bind(peer.host.as_bytes().to_vec())
        .bind(peer.interface.clone())
        .bind(peer.peer.clone())
        .bind(since.map(Timestamp::as_micros))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whoever has this key has time anew.
pub(in crate::keys) async fn spare(tx: &mut Tx, peer: &str) -> sqlx::Result<()> {
    let sql = "UPDATE keys_peer SET late_since = NULL WHERE peer = $1";
    let spared = sqlx::query(sql).bind(peer.to_owned());
    spared.execute(&mut **tx).await?;
    Ok(())
}

/// The incidents that are open of keys that grow old.
pub(in crate::keys) async fn told(store: &Store) -> sqlx::Result<BTreeSet<String>> {
    let sql = "SELECT incident FROM keys_peer_told";
    let told: Vec<String> = sqlx::query_scalar(sql).fetch_all(store.read()).await?;
    Ok(told.into_iter().collect())
}

/// Keeps that such an incident is open, or is over.
pub(in crate::keys) async fn tell(tx: &mut Tx, incident: &str, is_open: bool) -> sqlx::Result<()> {
    let sql = match is_open {
        true => {
            "INSERT INTO keys_peer_told (incident) VALUES ($1) ON CONFLICT (incident) DO NOTHING"
        }
        false => "DELETE FROM keys_peer_told WHERE incident = $1",
    };
    let told = sqlx::query(sql).bind(incident.to_owned());
    told.execute(&mut **tx).await?;
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
