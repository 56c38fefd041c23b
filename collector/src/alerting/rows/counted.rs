//! How much there is: open incidents and messages that wait, for monitoring.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::store::Store;

/// How many incidents are open, by the rank of their severity.
pub(in crate::alerting) async fn open_by_severity(store: &Store) -> sqlx::Result<Vec<(i64, i64)>> {
    sqlx::query_as(
        "SELECT severity, COUNT(*) FROM alerting_incident WHERE resolved_at IS NULL \
         GROUP BY severity",
    )
    .fetch_all(store.read())
    .await
}

/// What waits to be told by a channel.
#[derive(Clone, Debug)]
pub(in crate::alerting) struct Waiting {
    pub(in crate::alerting) channel: String,
    pub(in crate::alerting) count: i64,
    /// When the oldest was written, held back or not.
    pub(in crate::alerting) oldest: Option<Timestamp>,
}

/// What waits, by channel.
pub(in crate::alerting) async fn waiting(
    store: &Store,
    now: Timestamp,
) -> sqlx::Result<Vec<Waiting>> {
    let rows = sqlx::query(
        "SELECT channel, COUNT(*) AS waiting, MIN(CASE WHEN created_at <= $1 THEN created_at END) \
         AS oldest \
         FROM alerting_message WHERE done_at IS NULL GROUP BY channel",
    )
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    rows.iter()
        .map(|row| {
            let oldest: Option<i64> = row.try_get("oldest")?;
            Ok(Waiting {
                channel: row.try_get("channel")?,
                count: row.try_get("waiting")?,
                oldest: oldest.map(Timestamp::from_micros),
            })
        })
        .collect()
}
