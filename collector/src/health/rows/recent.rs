//! What was measured lately on one host: for the small graphs of its page.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::health::Value;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use crate::store::Store;
use crate::store::value::stamp;

/// One run of a check.
#[derive(Clone, Debug)]
pub(in crate::health) struct Sample {
    pub(in crate::health) check_name: String,
    pub(in crate::health) at: Timestamp,
    /// How long it took, in microseconds.
    pub(in crate::health) took: i64,
    /// What was measured; nothing where that cannot be read.
    pub(in crate::health) values: Vec<Value>,
}

/// The runs of a host's checks since then, by check and time, at most so many of the latest.
pub(in crate::health) async fn samples(
    store: &Store,
    host: HostId,
    since: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<Sample>> {
    let rows = sqlx::query(
        "SELECT check_name, at, took, measured FROM \
         (SELECT check_name, at, took, measured, id FROM health_sample \
          WHERE host = $1 AND at >= $2 ORDER BY id DESC LIMIT $3) AS latest \
         ORDER BY check_name, at, id",
    )
    .bind(host.as_bytes().to_vec())
    .bind(since.as_micros())
    .bind(limit)
    .fetch_all(store.read())
    .await?;
    rows.iter().map(sample).collect()
}

fn sample(row: &AnyRow) -> sqlx::Result<Sample> {
    let measured: Option<String> = row.try_get("measured")?;
    let values = measured.and_then(|text| serde_json::from_str(&text).ok());
    Ok(Sample {
        check_name: row.try_get("check_name")?,
        at: stamp(row.try_get("at")?),
        took: row.try_get("took")?,
        values: values.unwrap_or_default(),
    })
}
