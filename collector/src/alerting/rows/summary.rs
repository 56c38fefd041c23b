//! The summaries that tell of what was held back beyond somebody's budget.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::message::{Digest, Kind, Message, State};
use super::super::ranking::{self, Standing};
use super::super::{Severity, kinds, wording};
use super::purse::{CRITICAL, Way};
use super::reading;
use crate::store::Tx;

/// How many incidents a summary names.
const NAMED: usize = 50;

/// A message that is held back.
struct Waiting {
    id: i64,
    incident: i64,
    address: String,
    severity: Severity,
    kind: Kind,
    key: String,
}

impl Waiting {
    fn read(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            incident: row.try_get("incident")?,
            address: row.try_get("address")?,
            severity: reading::severity(row)?,
            kind: reading::kind(row)?,
            key: row.try_get("key")?,
        })
    }

    fn standing(&self) -> Standing {
        Standing {
            is_end: self.kind == Kind::Resolved,
            severity: self.severity,
            kind: kinds::kind(&self.key),
            id: self.id,
        }
    }
}

/// Makes one summary of what is held back for somebody, the critical or the rest, due at once; if it
/// is one message alone, it is that message that is due. False if nothing is held back any more.
pub(in crate::alerting) async fn fold(
    tx: &mut Tx,
    way: Way<'_>,
    critical: bool,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let critical = i64::from(critical);
    let mine = format!("state = 'held' AND contact = $1 AND channel = $2 AND {CRITICAL} = $3");
    let text = format!(
        "SELECT m.id, m.incident, m.address, m.severity, m.kind, i.key \
         FROM (SELECT * FROM alerting_message WHERE {mine}) m \
         JOIN alerting_incident i ON i.id = m.incident"
    );
    let held = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(way.contact)
        .bind(way.channel.name())
        .bind(critical)
        .fetch_all(&mut **tx)
        .await?;
    let mut held: Vec<_> = held.iter().map(Waiting::read).collect::<Result<_, _>>()?;
    ranking::sort(&mut held, Waiting::standing);
    let Some(worst) = held.first() else {
        return Ok(false);
    };
    if held.len() == 1 {
        let alone = "UPDATE alerting_message SET state = 'pending', paged_at = $1, next_at = $1, \
             note = NULL WHERE id = $2";
        let alone = sqlx::query(alone).bind(now.as_micros()).bind(worst.id);
        alone.execute(&mut **tx).await?;
        return Ok(true);
    }
    // That something critical is over is not critical.
    let severity = match critical {
        0 => worst.severity.min(Severity::Warning),
        _ => worst.severity,
    };
    let summary: i64 = sqlx::query_scalar(
        "INSERT INTO alerting_message (incident, contact, channel, address, kind, severity, \
         state, attempts, asks, maybe, created_at, next_at, paged_at) \
         VALUES ($1, $2, $3, $4, 'summary', $5, 'pending', 0, 0, 0, $6, $6, $6) RETURNING id",
    )
    .bind(worst.incident)
    .bind(way.contact)
    .bind(way.channel.name())
    .bind(&worst.address)
    .bind(severity.rank())
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

/// What a summary tells of, the worst first.
pub(in crate::alerting) async fn digest(tx: &mut Tx, summary: i64) -> sqlx::Result<Digest> {
    let rows = sqlx::query(
        "SELECT m.id, m.incident, m.address, m.kind, m.severity, m.created_at, i.key, i.code, \
         i.title, i.host, \
         CAST(CASE WHEN i.resolved_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS over \
         FROM alerting_message m JOIN alerting_incident i ON i.id = m.incident \
         WHERE m.summary = $1",
    )
    .bind(summary)
    .fetch_all(&mut **tx)
    .await?;
    let rows = rows.iter().map(|row| Ok((Waiting::read(row)?, row)));
    let mut rows: Vec<_> = rows.collect::<sqlx::Result<_>>()?;
    ranking::sort(&mut rows, |(one, _)| one.standing());
    let mut digest = Digest {
        since: Timestamp::from_micros(i64::MAX),
        ..Digest::default()
    };
    for (one, row) in rows {
        let Standing { is_end, kind, .. } = one.standing();
        let over = row.try_get::<i64, _>("over")? != 0;
        digest.since = digest.since.min(reading::time(row, "created_at")?);
        digest.ended += usize::from(is_end);
        if !is_end {
            digest.begin(kind, over);
        }
        if digest.worst.len() < NAMED {
            let (code, title): (String, String) = (row.try_get("code")?, row.try_get("title")?);
            let host: Option<String> = row.try_get("host")?;
            let label = if over { "over" } else { one.severity.name() };
            let what = wording::placed(&title, host.as_deref());
            digest.worst.push(format!("{code} {label} {what}"));
        }
    }
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
    let event = match state {
        State::Failed => "failed",
        State::Written => "written",
        State::Pending
        | State::Held
        | State::Folded
        | State::Leased
        | State::Unknown
        | State::Delivered
        | State::Dropped => "told",
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
         AND i.resolved_at IS NULL AND i.acked_at IS NULL AND NOT EXISTS (SELECT 1 FROM alerting_message o \
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
