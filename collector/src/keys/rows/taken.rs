//! Peers of WireGuard that were taken away because they are revoked.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::peers::Taken;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::host_id;
use crate::intake::Host;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// From how many interfaces of a host it is kept that a peer was taken away.
const INTERFACES: i64 = 16;

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
