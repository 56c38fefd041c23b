//! Who got the report of which week.

use watchward_protocol::time::Timestamp;

use crate::store::{Schema, Tx};

/// The table: `week` is its end, `again_at` when somebody may try again, `done_at` when it was sent or
/// refused.
pub(crate) const SCHEMA: Schema = Schema {
    room: "report",
    steps: &["CREATE TABLE report_letter (
        week BIGINT NOT NULL, address TEXT NOT NULL, again_at BIGINT NOT NULL, done_at BIGINT,
        note TEXT NOT NULL, PRIMARY KEY (week, address))"],
};

/// Takes it on to send a report until then; says whether nobody has sent it, nor is about to.
pub(super) async fn take(
    tx: &mut Tx,
    (week, address): (Timestamp, &str),
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<bool> {
    let taken = sqlx::query(
        "INSERT INTO report_letter (week, address, again_at, note) VALUES ($1, $2, $4, '') \
         ON CONFLICT (week, address) DO UPDATE SET again_at = excluded.again_at \
         WHERE report_letter.done_at IS NULL AND report_letter.again_at <= $3",
    )
    .bind(week.as_micros())
    .bind(address.to_owned())
    .bind(now.as_micros())
    .bind(until.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Keeps what became of it.
pub(super) async fn note(
    tx: &mut Tx,
    (week, address): (Timestamp, &str),
    (note, done_at): (&str, Option<Timestamp>),
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE report_letter SET note = $3, done_at = $4 WHERE week = $1 AND address = $2",
    )
    .bind(week.as_micros())
    .bind(address.to_owned())
    .bind(note.to_owned())
    .bind(done_at.map(Timestamp::as_micros))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
