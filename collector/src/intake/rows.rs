//! How far each lane of each host has been committed.

use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::time::Timestamp;

use crate::store::{Schema, Tx};

/// The trunk's own table. `moved_at` is when a mark was moved last, by the collector's clock.
pub const SCHEMA: Schema = Schema {
    room: "intake",
    steps: &[
        "CREATE TABLE intake_high_water (
        host_id TEXT NOT NULL, lane TEXT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
        kept_at BIGINT NOT NULL, PRIMARY KEY (host_id, lane, epoch))",
        "ALTER TABLE intake_high_water ADD COLUMN moved_at BIGINT NOT NULL DEFAULT 0",
    ],
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
    (from, to): (HighWater, HighWater),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let sql = match from.seq {
        0 => {
            "INSERT INTO intake_high_water (host_id, lane, epoch, seq, kept_at, moved_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host_id, lane, epoch) DO NOTHING"
        }
        _ => {
            "UPDATE intake_high_water SET seq = $4, kept_at = $5, moved_at = $6 \
             WHERE host_id = $1 AND lane = $2 AND epoch = $3 AND seq = $7"
        }
    };
    let query = sqlx::query(sql)
        .bind(host.to_string())
        .bind(lane.name())
        .bind(epoch.0.cast_signed())
        .bind(to.seq.cast_signed())
        .bind(to.kept_at.as_micros())
        .bind(now.as_micros());
    let query = match from.seq {
        0 => query,
        seq => query.bind(seq.cast_signed()),
    };
    Ok(query.execute(&mut **tx).await?.rows_affected() == 1)
}

/// Forgets marks of former lives of spools that were last moved before `oldest`, a thousand at a
/// time; says how many. The mark that was moved last of a host's lane stays, however long ago that
/// was: without it the host would seem to have lost all that came before.
///
/// # Errors
/// The database's.
pub async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM intake_high_water WHERE (host_id, lane, epoch) IN \
         (SELECT m.host_id, m.lane, m.epoch FROM intake_high_water m \
          WHERE m.moved_at < $1 AND EXISTS (SELECT 1 FROM intake_high_water n \
          WHERE n.host_id = m.host_id AND n.lane = m.lane AND n.moved_at > m.moved_at) LIMIT 1000)",
    )
    .bind(oldest.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets how far a host's lanes had come.
///
/// # Errors
/// The database's.
pub async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM intake_high_water WHERE host_id = $1")
        .bind(host.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[tokio::test]
    async fn only_marks_of_former_lives_are_forgotten() {
        for store in testing::stores(&[SCHEMA]).await {
            let host = HostId::from_bytes([1; 16]);
            let at = Timestamp::from_micros;
            let mark = |seq| HighWater {
                seq,
                kept_at: at(5),
            };
            let mut tx = store.begin().await.unwrap();
            for (lane, epoch, moved) in [
                (Lane::Access, 1, 10),
                (Lane::Access, 2, 20),
                (Lane::Access, 3, 90),
                (Lane::Health, 1, 10),
            ] {
                let key = (host, lane, Epoch(epoch));
                let moves = (HighWater::default(), mark(1));
                assert!(advance(&mut tx, key, moves, at(moved)).await.unwrap());
            }
            assert_eq!(prune(&mut tx, at(20)).await.unwrap(), 1);
            let key = (host, Lane::Access, Epoch(2));
            let moves = (mark(1), mark(2));
            assert!(advance(&mut tx, key, moves, at(95)).await.unwrap());
            assert_eq!(prune(&mut tx, at(100)).await.unwrap(), 1);
            for (lane, epoch, seq) in [
                (Lane::Access, 1, 0),
                (Lane::Access, 2, 2),
                (Lane::Access, 3, 0),
                (Lane::Health, 1, 1),
            ] {
                let kept = high_water(&mut tx, (host, lane, Epoch(epoch)))
                    .await
                    .unwrap();
                assert_eq!(kept.seq, seq, "{lane:?} {epoch}");
            }
            forget(&mut tx, host).await.unwrap();
            let key = (host, Lane::Health, Epoch(1));
            assert_eq!(high_water(&mut tx, key).await.unwrap().seq, 0);
        }
    }
}
