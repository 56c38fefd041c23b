//! What is held back beyond somebody's budget, and the summaries that tell of it.

use std::collections::BTreeMap;

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::Severity;
use super::super::budget::{self, Held, Page, Share};
use super::super::message::{Channel, Digest, Kind, Message, State};
use super::super::wording;
use super::reading;
use crate::store::{Store, Tx};

/// What tells the shares apart, as [`Share::of`] does.
const CRITICAL: &str = "CASE WHEN severity = 2 AND kind <> 'resolved' THEN 1 ELSE 0 END";

/// How many incidents a summary names.
const NAMED: usize = 50;

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
        "SELECT m.id, m.paged_at, m.severity, m.kind, i.key FROM alerting_message m \
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
            Ok(Page {
                id: row.try_get("id")?,
                at: reading::time(row, "paged_at")?,
                share: Share::of(kind, reading::severity(row)?),
                key: row.try_get("key")?,
                is_summary: kind == Kind::Summary,
            })
        })
        .collect()
}

/// Holds messages back for a summary.
pub(in crate::alerting) async fn hold_back(
    tx: &mut Tx,
    id: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET state = 'held', next_at = $1 \
         WHERE id = $2 AND state IN ('pending', 'unknown') AND done_at IS NULL",
    )
    .bind(now.as_micros())
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is held back by a channel, for each person and share.
pub(in crate::alerting) async fn held_back(
    store: &Store,
    channel: Channel,
) -> sqlx::Result<Vec<Held>> {
    let text = format!(
        "SELECT contact, CAST({CRITICAL} AS BIGINT) AS critical, COUNT(*) AS held, \
         COUNT(CASE WHEN kind = 'resolved' THEN 1 END) AS ends, MIN(next_at) AS since \
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
                share: match row.try_get::<i64, _>("critical")? {
                    0 => Share::Rest,
                    _ => Share::Critical,
                },
                count,
                only_ends: row.try_get::<i64, _>("ends")? == count,
                since: reading::time(row, "since")?,
            })
        })
        .collect()
}

/// Makes one summary of what is held back of a share, due at once; if it is one message alone, it
/// is that message that is due. False if nothing is held back any more.
pub(in crate::alerting) async fn fold(
    tx: &mut Tx,
    way: Way<'_>,
    share: Share,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let critical = i64::from(share == Share::Critical);
    let mine = format!("state = 'held' AND contact = $1 AND channel = $2 AND {CRITICAL} = $3");
    let text = format!(
        "SELECT id, incident, address, severity, (SELECT COUNT(*) FROM alerting_message \
         WHERE {mine}) AS held FROM alerting_message WHERE {mine} \
         ORDER BY CASE WHEN kind = 'resolved' THEN 1 ELSE 0 END, severity DESC, id LIMIT 1"
    );
    let worst = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(way.contact)
        .bind(way.channel.name())
        .bind(critical)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(worst) = worst else {
        return Ok(false);
    };
    if worst.try_get::<i64, _>("held")? == 1 {
        let alone = "UPDATE alerting_message SET state = 'pending', paged_at = $1 WHERE id = $2";
        let alone = sqlx::query(alone)
            .bind(now.as_micros())
            .bind(worst.try_get::<i64, _>("id")?);
        alone.execute(&mut **tx).await?;
        return Ok(true);
    }
    let summary: i64 = sqlx::query_scalar(
        "INSERT INTO alerting_message (incident, contact, channel, address, kind, severity, \
         state, attempts, asks, maybe, created_at, next_at, paged_at) \
         VALUES ($1, $2, $3, $4, 'summary', $5, 'pending', 0, 0, 0, $6, $6, $6) RETURNING id",
    )
    .bind(worst.try_get::<i64, _>("incident")?)
    .bind(way.contact)
    .bind(way.channel.name())
    .bind(worst.try_get::<String, _>("address")?)
    .bind(worst.try_get::<i64, _>("severity")?)
    .bind(now.as_micros())
    .fetch_one(&mut **tx)
    .await?;
    let text = format!("UPDATE alerting_message SET state = 'folded', summary = $4 WHERE {mine}");
    sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(way.contact)
        .bind(way.channel.name())
        .bind(critical)
        .bind(summary)
        .execute(&mut **tx)
        .await?;
    drop_ends(tx, summary, now).await?;
    Ok(true)
}

/// Of what is over already, the summary says that too.
async fn drop_ends(tx: &mut Tx, summary: i64, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET state = 'dropped', done_at = $1, \
         note = 'its end was told in the same summary' \
         WHERE kind = 'resolved' AND state IN ('pending', 'held') AND EXISTS \
         (SELECT 1 FROM alerting_message f WHERE f.summary = $2 AND f.kind <> 'resolved' \
          AND f.incident = alerting_message.incident AND f.contact = alerting_message.contact \
          AND f.channel = alerting_message.channel)",
    )
    .bind(now.as_micros())
    .bind(summary)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a summary tells of.
pub(in crate::alerting) async fn digest(tx: &mut Tx, summary: i64) -> sqlx::Result<Digest> {
    let rows = sqlx::query(
        "SELECT m.kind, m.severity, m.created_at, i.key, i.code, i.title, i.host, \
         CAST(CASE WHEN i.resolved_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS over \
         FROM alerting_message m JOIN alerting_incident i ON i.id = m.incident \
         WHERE m.summary = $1 ORDER BY CASE WHEN m.kind = 'resolved' THEN 1 ELSE 0 END, \
         m.severity DESC, m.id",
    )
    .bind(summary)
    .fetch_all(&mut **tx)
    .await?;
    let mut digest = Digest {
        since: Timestamp::from_micros(i64::MAX),
        ..Digest::default()
    };
    let mut kinds = BTreeMap::<String, usize>::new();
    for row in &rows {
        let key: String = row.try_get("key")?;
        let is_end = reading::kind(row)? == Kind::Resolved;
        let over = row.try_get::<i64, _>("over")? != 0;
        *kinds.entry(budget::kind(&key).to_owned()).or_default() += 1;
        digest.since = digest.since.min(reading::time(row, "created_at")?);
        digest.begun += usize::from(!is_end);
        digest.over += usize::from(!is_end && over);
        digest.ended += usize::from(is_end);
        if digest.worst.len() < NAMED {
            let (code, title): (String, String) = (row.try_get("code")?, row.try_get("title")?);
            let host: Option<String> = row.try_get("host")?;
            let label = if over {
                "over"
            } else {
                reading::severity(row)?.name()
            };
            let what = wording::placed(&title, host.as_deref());
            digest.worst.push(format!("{code} {label} {what}"));
        }
    }
    digest.kinds = kinds.into_iter().collect();
    digest
        .kinds
        .sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Ok(digest)
}

/// Records for all that a summary tells of what became of it.
pub(in crate::alerting) async fn settle(
    tx: &mut Tx,
    summary: &Message,
    (state, note): (State, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_message SET state = $1, done_at = $2, note = $3 WHERE summary = $4",
    )
    .bind(state.name())
    .bind(now.as_micros())
    .bind(note)
    .bind(summary.id)
    .execute(&mut **tx)
    .await?;
    let event = if state == State::Failed {
        "failed"
    } else {
        "told"
    };
    sqlx::query(
        "INSERT INTO alerting_history (incident, at, event, note, contact, channel, address) \
         SELECT incident, $1, $2, $3, contact, channel, address FROM alerting_message \
         WHERE summary = $4",
    )
    .bind(now.as_micros())
    .bind(event)
    .bind(note)
    .bind(summary.id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Tells what a summary tells of by the other channel too, where that was not done yet.
pub(in crate::alerting) async fn elsewhere(
    tx: &mut Tx,
    summary: &Message,
    address: &str,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alerting_message (incident, contact, channel, address, kind, severity, \
         state, attempts, asks, maybe, created_at, next_at) \
         SELECT m.incident, m.contact, $1, $2, 'opened', m.severity, 'pending', 0, 0, 0, $3, $3 \
         FROM alerting_message m JOIN alerting_incident i ON i.id = m.incident \
         WHERE m.summary = $4 AND m.kind <> 'resolved' AND m.severity > $5 \
         AND i.resolved_at IS NULL AND NOT EXISTS (SELECT 1 FROM alerting_message o \
             WHERE o.incident = m.incident AND o.contact = m.contact AND o.channel = $1)",
    )
    .bind(summary.channel.other().name())
    .bind(address)
    .bind(now.as_micros())
    .bind(summary.id)
    .bind(Severity::Info.rank())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
