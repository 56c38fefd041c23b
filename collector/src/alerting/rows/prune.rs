//! Forgets incidents that have long been over, with all that was told of them.

use watchward_protocol::time::Timestamp;

use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::turn::Turn;

/// How many incidents are forgotten at a time.
const BATCH: u32 = 100;

/// Forgets incidents that were over before `oldest`, as many as a turn takes, and silences; says how
/// many incidents.
///
/// One stays while a message about it may still be sent. So do the newest, and the one that
/// something happened to last: SQLite gives the number after theirs, and whoever watches counts on
/// it.
pub(in crate::alerting) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<usize> {
    let turn = Turn::begin();
    let mut all = 0;
    loop {
        let gone = some(tx, oldest).await?;
        all += gone;
        if !turn.goes_on(BATCH.into(), gone as u64) {
            break;
        }
    }
    super::prune_silences(tx, oldest).await?;
    Ok(all)
}

async fn some(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<usize> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "SELECT i.id FROM alerting_incident i WHERE i.resolved_at < $1 \
         AND i.id < (SELECT MAX(id) FROM alerting_incident) \
         AND i.id <> (SELECT incident FROM alerting_history ORDER BY id DESC LIMIT 1) \
         AND NOT EXISTS (SELECT 1 FROM alerting_notice n WHERE n.incident = i.id) \
         AND NOT EXISTS (SELECT 1 FROM alerting_message m \
             WHERE m.incident = i.id AND m.done_at IS NULL) \
         ORDER BY i.resolved_at LIMIT $2",
    )
    .bind(oldest.as_micros())
    .bind(i64::from(BATCH))
    .fetch_all(&mut **tx)
    .await?;
    for before in [
        "DELETE FROM alerting_message WHERE incident IN (VALUES ",
        "DELETE FROM alerting_history WHERE incident IN (VALUES ",
        "DELETE FROM alerting_incident WHERE id IN (VALUES ",
    ] {
        Bulk {
            before,
            columns: 1,
            after: ")",
        }
        .execute(tx, &gone, |id, values| {
            values.number(*id);
        })
        .await?;
    }
    Ok(gone.len())
}
