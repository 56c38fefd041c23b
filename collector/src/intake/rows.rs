//! How far each lane of each host has been committed.

use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};

use crate::store::{Schema, Tx};

/// The trunk's own table.
pub const SCHEMA: Schema = Schema {
    room: "intake",
    steps: &["CREATE TABLE intake_high_water (
        host_id TEXT NOT NULL, lane TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        PRIMARY KEY (host_id, lane, epoch))"],
};

/// The last number that is committed; 0 when there is none.
pub(super) async fn high_water(
    connection: &mut sqlx::AnyConnection,
    host: HostId,
    lane: Lane,
    epoch: Epoch,
) -> sqlx::Result<u64> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM intake_high_water WHERE host_id = $1 AND lane = $2 AND epoch = $3",
    )
    .bind(host.to_string())
    .bind(lane.name())
    .bind(epoch.0.cast_signed())
    .fetch_optional(connection)
    .await?;
    Ok(found.map_or(0, i64::cast_unsigned))
}

/// Moves a high-water mark. Says no when somebody else has moved it meanwhile.
pub(super) async fn advance(
    tx: &mut Tx,
    key: (HostId, Lane, Epoch),
    from: u64,
    to: u64,
) -> sqlx::Result<bool> {
    let (host, lane, epoch) = key;
    let sql = match from {
        0 => {
            "INSERT INTO intake_high_water (host_id, lane, epoch, seq) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (host_id, lane, epoch) DO NOTHING"
        }
        _ => {
            "UPDATE intake_high_water SET seq = $4 \
             WHERE host_id = $1 AND lane = $2 AND epoch = $3 AND seq = $5"
        }
    };
    let query = sqlx::query(sql)
        .bind(host.to_string())
        .bind(lane.name())
        .bind(epoch.0.cast_signed())
        .bind(to.cast_signed());
    let query = if from == 0 {
        query
    } else {
        query.bind(from.cast_signed())
    };
    Ok(query.execute(&mut **tx).await?.rows_affected() == 1)
}
