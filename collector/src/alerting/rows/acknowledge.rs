//! Who has taken an incident on.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::message::Acknowledged;
use crate::store::Tx;

/// Notes who has taken on the open incident with this code: its number, and whether nobody had
/// before. None: no incident with this code is open.
pub(in crate::alerting) async fn acknowledge(
    tx: &mut Tx,
    code: &str,
    new: &Acknowledged,
) -> sqlx::Result<Option<(i64, Result<(), Acknowledged>)>> {
    let row = sqlx::query(
        "UPDATE alerting_incident SET acked_at = COALESCE(acked_at, $1), \
         acked_by = COALESCE(acked_by, $2), ack_note = COALESCE(ack_note, $3) \
         WHERE code = $4 AND resolved_at IS NULL RETURNING id, acked_at, acked_by, ack_note",
    )
    .bind(new.at.as_micros())
    .bind(&new.by)
    .bind(&new.note)
    .bind(code)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let held = acknowledged(&row)?.filter(|held| held != new);
    Ok(Some((row.try_get("id")?, held.map_or(Ok(()), Err))))
}

/// Who has taken the incident of a row on.
pub(super) fn acknowledged(row: &AnyRow) -> sqlx::Result<Option<Acknowledged>> {
    let Some(at) = row.try_get::<Option<i64>, _>("acked_at")? else {
        return Ok(None);
    };
    let text = |column| {
        row.try_get::<Option<String>, _>(column)
            .map(Option::unwrap_or_default)
    };
    Ok(Some(Acknowledged {
        at: Timestamp::from_micros(at),
        by: text("acked_by")?,
        note: text("ack_note")?,
    }))
}

/// Has what is held back about an incident looked at again: it is not sent any more.
pub(in crate::alerting) async fn let_go(
    tx: &mut Tx,
    incident: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET state = 'pending', held_at = NULL, next_at = $1 \
         WHERE incident = $2 AND state = 'held' AND kind IN ('opened', 'risen')",
    )
    .bind(now.as_micros())
    .bind(incident)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
