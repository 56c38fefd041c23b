//! The outbox's rows: written from notices, leased, recorded, and taken over from the dead.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::Severity;
use super::super::judge::New;
use super::super::message::{Channel, Kind, Message, State};
use super::reading;
use crate::store::{Store, Tx};

/// Something that people are to be told.
#[derive(Clone, Copy, Debug)]
pub(in crate::alerting) struct Notice {
    pub(in crate::alerting) incident: i64,
    pub(in crate::alerting) kind: Kind,
}

/// Whether there are notices.
pub(in crate::alerting) async fn has_notices(store: &Store) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT id FROM alerting_notice LIMIT 1")
        .fetch_optional(store.read())
        .await?;
    Ok(found.is_some())
}

/// Takes notices away, the most severe and then the oldest first, to write them as messages in the
/// same transaction.
pub(in crate::alerting) async fn take_notices(
    tx: &mut Tx,
    limit: i64,
) -> sqlx::Result<Vec<Notice>> {
    let rows = sqlx::query(
        "DELETE FROM alerting_notice WHERE id IN \
         (SELECT id FROM alerting_notice ORDER BY severity DESC, id LIMIT $1) \
         RETURNING id, incident, kind",
    )
    .bind(limit)
    .fetch_all(&mut **tx)
    .await?;
    let mut notices = Vec::new();
    for row in &rows {
        let notice = Notice {
            incident: row.try_get("incident")?,
            kind: reading::kind(row)?,
        };
        notices.push((row.try_get::<i64, _>("id")?, notice));
    }
    notices.sort_by_key(|(id, _)| *id);
    Ok(notices.into_iter().map(|(_, notice)| notice).collect())
}

/// Writes a message into the outbox.
pub(in crate::alerting) async fn add(
    tx: &mut Tx,
    incident: i64,
    new: &New,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alerting_message (incident, contact, channel, address, kind, severity, \
         state, attempts, asks, maybe, created_at, next_at) \
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', 0, 0, 0, $7, $8)",
    )
    .bind(incident)
    .bind(&new.contact)
    .bind(new.channel.name())
    .bind(&new.address)
    .bind(new.kind.name())
    .bind(new.severity.rank())
    .bind(now.as_micros())
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Makes a message that has not reached anybody tell of a higher severity; false if it is being sent.
pub(in crate::alerting) async fn sharpen(tx: &mut Tx, id: i64, to: Severity) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE alerting_message SET severity = $1, state = 'pending', held_at = NULL, \
         note = NULL \
         WHERE id = $2 AND state IN ('pending', 'held') AND maybe = 0",
    )
    .bind(to.rank())
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Has everything that waits in an incident looked at again at once.
pub(in crate::alerting) async fn hasten(
    tx: &mut Tx,
    incident: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET next_at = $1 \
         WHERE incident = $2 AND done_at IS NULL AND state IN ('pending', 'unknown')",
    )
    .bind(now.as_micros())
    .bind(incident)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What [`reading::message`] reads; a condition follows.
pub(super) const MESSAGES: &str = "SELECT i.key, i.code, i.severity AS incident_severity, i.host, i.subject, i.title, \
     i.detail, i.advice, i.since, i.opened_at, i.last_at, i.repeats, i.resolved_at, \
     i.resolution, i.silenced_until, i.silenced_by, i.acked_at, i.acked_by, i.ack_note, m.id AS message_id, m.incident, m.contact, \
     m.channel, m.address, m.kind, m.severity, m.state, m.attempts, m.asks, m.maybe, \
     m.created_at, m.done_at, m.sid, m.check_at, m.checks, \
     CAST(CASE WHEN EXISTS (SELECT 1 FROM alerting_message e WHERE e.incident = m.incident \
         AND e.contact = m.contact AND e.channel = m.channel AND e.id < m.id \
         AND (e.state IN ('delivered', 'written') OR e.maybe = 1)) THEN 1 ELSE 0 END AS BIGINT) AS told, \
     CAST(CASE WHEN EXISTS (SELECT 1 FROM alerting_message e WHERE e.incident = m.incident \
         AND e.contact = m.contact AND e.channel = m.channel AND e.summary IS NOT NULL) \
         THEN 1 ELSE 0 END AS BIGINT) AS folded, \
     (SELECT MIN(e.id) FROM alerting_message e WHERE e.incident = m.incident \
         AND e.contact = m.contact AND e.channel = m.channel) AS root \
     FROM alerting_message m JOIN alerting_incident i ON i.id = m.incident";

/// What is due by a channel: what begins before what ends, critical first, oldest first. A message
/// waits for those before it to the same person about the same incident; a summary for nothing.
///
/// What is due later than `horizon` was written by a clock that has since been set back: now it is.
pub(in crate::alerting) async fn due(
    store: &Store,
    channel: Channel,
    now: Timestamp,
    horizon: Timestamp,
    limit: usize,
) -> sqlx::Result<Vec<Message>> {
    // What is only read of some is not read of all that wait: they are found first.
    let text = format!(
        "{MESSAGES} WHERE m.id IN (SELECT w.id FROM alerting_message w \
         WHERE w.done_at IS NULL AND w.channel = $1 \
         AND w.state IN ('pending', 'unknown') AND (w.next_at <= $2 OR w.next_at > $3) \
         AND (w.kind = 'summary' OR NOT EXISTS (SELECT 1 FROM alerting_message e \
             WHERE e.incident = w.incident AND e.contact = w.contact AND e.channel = w.channel \
             AND e.id < w.id AND e.done_at IS NULL)) \
         ORDER BY CASE WHEN w.kind = 'resolved' THEN 1 ELSE 0 END, w.severity DESC, w.id \
         LIMIT $4) \
         ORDER BY CASE WHEN m.kind = 'resolved' THEN 1 ELSE 0 END, m.severity DESC, m.id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(channel.name())
        .bind(now.as_micros())
        .bind(horizon.as_micros())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(store.read())
        .await?;
    rows.iter().map(reading::message).collect()
}

/// Leases a message, to send it now if `paged`; false if somebody else was faster.
pub(in crate::alerting) async fn lease(
    tx: &mut Tx,
    message: &Message,
    owner: &str,
    paged: Option<Timestamp>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE alerting_message SET state = 'leased', owner = $1, attempts = attempts + 1, \
         paged_at = COALESCE($5, paged_at) \
         WHERE id = $2 AND attempts = $3 AND state = $4 AND done_at IS NULL",
    )
    .bind(owner)
    .bind(message.id)
    .bind(message.attempts)
    .bind(message.state.name())
    .bind(paged.map(Timestamp::as_micros))
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What becomes of a message.
#[derive(Clone, Debug)]
pub(in crate::alerting) struct Change<'a> {
    pub(in crate::alerting) state: State,
    pub(in crate::alerting) maybe: bool,
    pub(in crate::alerting) asks: i64,
    /// When it is due again, or when it was done with.
    pub(in crate::alerting) at: Timestamp,
    pub(in crate::alerting) note: &'a str,
}

/// Writes what became of a message that `owner` leased, or that nobody leased; false if somebody
/// else has taken it over.
pub(in crate::alerting) async fn change(
    tx: &mut Tx,
    message: &Message,
    owner: Option<&str>,
    change: &Change<'_>,
) -> sqlx::Result<bool> {
    let held = if owner.is_some() {
        State::Leased
    } else {
        message.state
    };
    let done = (!change.state.is_live()).then(|| change.at.as_micros());
    let written = sqlx::query(
        "UPDATE alerting_message SET state = $1, maybe = $2, asks = $3, next_at = $4, \
         done_at = $5, note = $6, owner = NULL \
         WHERE id = $7 AND attempts = $8 AND state = $9 AND COALESCE(owner, '') = $10",
    )
    .bind(change.state.name())
    .bind(i64::from(change.maybe))
    .bind(change.asks)
    .bind(change.at.as_micros())
    .bind(done)
    .bind(change.note)
    .bind(message.id)
    .bind(message.attempts)
    .bind(held.name())
    .bind(owner.unwrap_or_default())
    .execute(&mut **tx)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Says that `owner` is alive.
pub(in crate::alerting) async fn beat(tx: &mut Tx, owner: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alerting_sender (owner, beat) VALUES ($1, 1) \
         ON CONFLICT (owner) DO UPDATE SET beat = alerting_sender.beat + 1",
    )
    .bind(owner)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Who else holds leases or has said that it is alive, and how often it said so.
pub(in crate::alerting) async fn holders(
    store: &Store,
    but: &str,
) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "SELECT owner, MAX(beat) FROM (SELECT owner, beat FROM alerting_sender UNION ALL \
         SELECT owner, -1 FROM alerting_message WHERE done_at IS NULL AND state = 'leased') one \
         WHERE owner <> $1 GROUP BY owner",
    )
    .bind(but)
    .fetch_all(store.read())
    .await
}

/// Takes over what a dead holder leased: nobody knows whether it was sent.
pub(in crate::alerting) async fn take_over(
    tx: &mut Tx,
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<u64> {
    let taken = sqlx::query(
        "UPDATE alerting_message SET state = 'unknown', maybe = 1, owner = NULL, next_at = $1 \
         WHERE done_at IS NULL AND state = 'leased' AND owner = $2",
    )
    .bind(now.as_micros())
    .bind(owner)
    .execute(&mut **tx)
    .await?;
    forget(tx, owner).await?;
    Ok(taken.rows_affected())
}

/// Forgets a holder that has ended.
pub(in crate::alerting) async fn forget(tx: &mut Tx, owner: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM alerting_sender WHERE owner = $1")
        .bind(owner)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
