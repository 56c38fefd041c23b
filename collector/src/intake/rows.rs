//! How far each lane of each host has been committed.

use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::time::Timestamp;

use crate::store::{Schema, Tx};

/// The trunk's own table.
pub const SCHEMA: Schema = Schema {
    room: "intake",
    steps: &["CREATE TABLE intake_high_water (
        host_id TEXT NOT NULL, lane TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        kept_at BIGINT NOT NULL, PRIMARY KEY (host_id, lane, epoch))"],
};

/// The last record of a lane that is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HighWater {
    /// Its number; 0 when there is none.
    pub(super) seq: u64,
    /// When the agent kept it.
    pub(super) kept_at: Timestamp,
}

/// How far a lane has been committed.
pub(super) async fn high_water(
    connection: &mut sqlx::AnyConnection,
    (host, lane, epoch): (HostId, Lane, Epoch),
) -> sqlx::Result<HighWater> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT seq, kept_at FROM intake_high_water \
         WHERE host_id = $1 AND lane = $2 AND epoch = $3",
    )
    .bind(host.to_string())
    .bind(lane.name())
    .bind(epoch.0.cast_signed())
    .fetch_optional(connection)
    .await?;
    let mark = |(seq, kept_at): (i64, i64)| HighWater {
        seq: seq.cast_unsigned(),
        kept_at: Timestamp::from_micros(kept_at),
    };
    Ok(found.map(mark).unwrap_or_default())
}

/// Moves a high-water mark. Says no when somebody else has moved it meanwhile.
pub(super) async fn advance(
    tx: &mut Tx,
    (host, lane, epoch): (HostId, Lane, Epoch),
    from: HighWater,
    to: HighWater,
) -> sqlx::Result<bool> {
    let sql = match from.seq {
        0 => {
            "INSERT INTO intake_high_water (host_id, lane, epoch, seq, kept_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (host_id, lane, epoch) DO NOTHING"
        }
        _ => {
            "UPDATE intake_high_water SET seq = $4, kept_at = $5 \
             WHERE host_id = $1 AND lane = $2 AND epoch = $3 AND seq = $6"
        }
    };
    let query = sqlx::query(sql)
        .bind(host.to_string())
        .bind(lane.name())
        .bind(epoch.0.cast_signed())
        .bind(to.seq.cast_signed())
        .bind(to.kept_at.as_micros());
    let query = match from.seq {
        0 => query,
        seq => query.bind(seq.cast_signed()),
    };
    Ok(query.execute(&mut **tx).await?.rows_affected() == 1)
}
