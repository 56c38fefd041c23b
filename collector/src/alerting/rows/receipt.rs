//! Whether what a provider took has arrived: which messages are to be asked for.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::message::{Channel, Message};
use super::{outbox, reading};
use crate::store::{Store, Tx};

/// A message that the provider took, and how it is asked for.
#[derive(Clone, Debug)]
pub(in crate::alerting) struct Taken {
    /// What the provider calls it.
    pub(in crate::alerting) sid: String,
    /// How often it was asked for.
    pub(in crate::alerting) checks: i64,
    /// When it was taken.
    pub(in crate::alerting) at: Timestamp,
    check_at: i64,
}

/// Has the provider asked for a message from then on.
pub(in crate::alerting) async fn expect(
    tx: &mut Tx,
    id: i64,
    sid: &str,
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE alerting_message SET sid = $1, check_at = $2, checks = 0 WHERE id = $3")
        .bind(sid)
        .bind(at.as_micros())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Messages that are to be asked for now.
pub(in crate::alerting) async fn expected(
    store: &Store,
    channel: Channel,
    now: Timestamp,
    limit: usize,
) -> sqlx::Result<Vec<(Message, Taken)>> {
    let text = format!(
        "{} WHERE m.check_at <= $1 AND m.channel = $2 ORDER BY m.check_at LIMIT $3",
        outbox::MESSAGES
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(now.as_micros())
        .bind(channel.name())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(store.read())
        .await?;
    rows.iter()
        .map(|row| {
            let taken = Taken {
                sid: row.try_get("sid")?,
                checks: row.try_get("checks")?,
                at: reading::time(row, "done_at")?,
                check_at: row.try_get("check_at")?,
            };
            Ok((reading::message(row)?, taken))
        })
        .collect()
}

/// Puts off the next time that a message is asked for, for ever if there is none; false if somebody
/// else was faster.
pub(in crate::alerting) async fn put_off(
    tx: &mut Tx,
    id: i64,
    taken: &mut Taken,
    to: Option<Timestamp>,
) -> sqlx::Result<bool> {
    let to = to.map(Timestamp::as_micros);
    let done = sqlx::query(
        "UPDATE alerting_message SET check_at = $1, checks = checks + 1 \
         WHERE id = $2 AND check_at = $3",
    )
    .bind(to)
    .bind(id)
    .bind(taken.check_at)
    .execute(&mut **tx)
    .await?;
    taken.check_at = to.unwrap_or_default();
    Ok(done.rows_affected() == 1)
}

/// Notes that a message which was taken never arrived.
pub(in crate::alerting) async fn lose(tx: &mut Tx, id: i64, note: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE alerting_message SET state = 'failed', note = $1 WHERE id = $2")
        .bind(note)
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
