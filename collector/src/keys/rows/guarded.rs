//! Until when what was told of guarded keys stands.

use watchward_protocol::time::Timestamp;

use crate::store::Tx;

/// The table.
pub(super) const TABLE: &str = "CREATE TABLE keys_guarded (
    incident TEXT PRIMARY KEY, over_at BIGINT NOT NULL)";

/// Has an incident stand until then, if it does not for longer.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    incident: &str,
    over_at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_guarded (incident, over_at) VALUES ($1, $2) \
         ON CONFLICT (incident) DO UPDATE SET over_at = excluded.over_at",
    )
    .bind(incident.to_owned())
    .bind(over_at.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets those that are over, and says which.
pub(in crate::keys) async fn over(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<String>> {
    let mut over: Vec<String> =
        sqlx::query_scalar("DELETE FROM keys_guarded WHERE over_at <= $1 RETURNING incident")
            .bind(now.as_micros())
            .fetch_all(&mut **tx)
            .await?;
    over.sort_unstable();
    Ok(over)
}
