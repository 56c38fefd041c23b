//! What was sent to somebody lately, for the budget, and what is held back beyond it.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::budget::{Held, Page, Share};
use super::super::message::Channel;
use super::reading;
use crate::store::{Store, Tx};

/// What is told in the summary of what is critical, as [`Share::is_critical`] says.
pub(super) const CRITICAL: &str = "CASE WHEN severity = 2 AND kind <> 'resolved' THEN 1 ELSE 0 END";

/// One person by one channel.
#[derive(Clone, Copy, Debug)]
pub(in crate::alerting) struct Way<'a> {
    pub(in crate::alerting) contact: &'a str,
    pub(in crate::alerting) channel: Channel,
}

/// What was sent this way since then. Another collector that wants to know it waits until this
/// transaction ends, so that both together stay within the budget.
pub(in crate::alerting) async fn pages(
    tx: &mut Tx,
    way: Way<'_>,
    since: Timestamp,
) -> sqlx::Result<Vec<Page>> {
    sqlx::query(
        "INSERT INTO alerting_purse (contact, channel, turns) VALUES ($1, $2, 1) \
         ON CONFLICT (contact, channel) DO UPDATE SET turns = alerting_purse.turns + 1",
    )
    .bind(way.contact)
    .bind(way.channel.name())
    .execute(&mut **tx)
    .await?;
    let rows = sqlx::query(
        "SELECT m.id, m.paged_at, m.severity, m.kind, m.held_at, i.key FROM alerting_message m \
         JOIN alerting_incident i ON i.id = m.incident \
         WHERE m.contact = $1 AND m.channel = $2 AND m.paged_at > $3",
    )
    .bind(way.contact)
    .bind(way.channel.name())
    .bind(since.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter()
        .map(|row| {
            let kind = reading::kind(row)?;
            let key: String = row.try_get("key")?;
            Ok(Page {
                id: row.try_get("id")?,
                at: reading::time(row, "paged_at")?,
                share: Share::of(kind, reading::severity(row)?, &key),
                key,
                kind,
                was_held: row.try_get::<Option<i64>, _>("held_at")?.is_some(),
            })
        })
        .collect()
}

/// Holds a message back for a summary; `note` says why, and until when.
pub(in crate::alerting) async fn hold_back(
    tx: &mut Tx,
    id: i64,
    note: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET state = 'held', held_at = $1, note = $2 \
         WHERE id = $3 AND state IN ('pending', 'unknown') AND done_at IS NULL",
    )
    .bind(now.as_micros())
    .bind(note)
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is held back by a channel, for each person: what is critical, and the rest.
pub(in crate::alerting) async fn held_back(
    store: &Store,
    channel: Channel,
) -> sqlx::Result<Vec<Held>> {
    let text = format!(
        "SELECT contact, CAST({CRITICAL} AS BIGINT) AS critical, COUNT(*) AS held, \
         COUNT(CASE WHEN kind = 'resolved' THEN 1 END) AS ends, \
         MIN(COALESCE(held_at, next_at)) AS since \
         FROM alerting_message WHERE state = 'held' AND channel = $1 \
         GROUP BY contact, {CRITICAL} ORDER BY 2 DESC, 1"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(channel.name())
        .fetch_all(store.read())
        .await?;
    rows.iter()
        .map(|row| {
            let count: i64 = row.try_get("held")?;
            Ok(Held {
                contact: row.try_get("contact")?,
                critical: row.try_get::<i64, _>("critical")? != 0,
                count,
                only_ends: row.try_get::<i64, _>("ends")? == count,
                since: reading::time(row, "since")?,
            })
        })
        .collect()
}
