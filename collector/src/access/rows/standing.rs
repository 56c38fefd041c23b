//! Incidents that stand until nothing more has come for a while.

use watchward_protocol::time::Timestamp;

use crate::store::Tx;
use crate::store::value::stamp;

/// An incident that stands.
#[derive(Clone, Debug)]
pub(in crate::access) struct Standing {
    /// The alert's key.
    pub(in crate::access) key: String,
    /// Since when.
    pub(in crate::access) since: Timestamp,
    /// How often it has happened.
    pub(in crate::access) count: i64,
    /// How often it had when people were told.
    pub(in crate::access) told: i64,
    /// When it is over, if nothing more comes.
    pub(in crate::access) over_at: Timestamp,
    /// What is said then.
    pub(in crate::access) ending: String,
}

/// The one with this key.
pub(in crate::access) async fn find(tx: &mut Tx, key: &str) -> sqlx::Result<Option<Standing>> {
    let found: Option<(i64, i64, i64, i64, String)> = sqlx::query_as(
        "SELECT since, count, told, over_at, ending FROM access_standing WHERE key = $1",
    )
    .bind(key)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.map(|(since, count, told, over_at, ending)| Standing {
        key: key.to_owned(),
        since: stamp(since),
        count,
        told,
        over_at: stamp(over_at),
        ending,
    }))
}

/// Keeps how one stands.
pub(in crate::access) async fn keep(tx: &mut Tx, standing: &Standing) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO access_standing (key, since, count, told, over_at, ending) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key) DO UPDATE SET \
         count = excluded.count, told = excluded.told, over_at = excluded.over_at, \
         ending = excluded.ending",
    )
    .bind(standing.key.as_str())
    .bind(standing.since.as_micros())
    .bind(standing.count)
    .bind(standing.told)
    .bind(standing.over_at.as_micros())
    .bind(standing.ending.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes those that are over out, some hundred at a time: their keys, and what is to be said.
pub(in crate::access) async fn take_over(
    tx: &mut Tx,
    now: Timestamp,
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "DELETE FROM access_standing WHERE key IN \
         (SELECT key FROM access_standing WHERE over_at <= $1 ORDER BY over_at LIMIT 500) \
         RETURNING key, ending",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await
}
