//! The alerting room's tables, and what opens, joins and ends an incident in them.

mod acknowledge;
mod counted;
mod deed;
mod happened;
mod outbox;
mod prune;
mod purse;
mod reading;
mod receipt;
mod silence;
mod summary;

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::message::{Code, Kind, Message};
use super::{Alert, Severity};
use crate::store::{Schema, Tx};

pub(super) use acknowledge::*;
pub(super) use counted::*;
pub use deed::deeds;
pub(super) use happened::history;
pub use happened::{Happened, after, last};
pub(super) use outbox::*;
pub(super) use prune::prune;
pub(super) use purse::*;
pub(super) use reading::*;
pub(super) use receipt::*;
pub(super) use silence::*;
pub(super) use summary::*;

/// The room's tables.
///
/// `alerting_notice` is what is to be told and not yet written as messages; `alerting_message` is
/// the outbox, whose rows stay as the record of who was told; `alerting_sender` says who is alive
/// of those that hold messages as leased. `silence` is what holds an incident back now,
/// `silenced_until` what did so before people were told. A message
/// that is told in a summary names it in `summary`; `paged_at` is when it was last sent and `held_at`
/// since when it is held back, for the budget; `sid` and `check_at` say how and when its provider is asked whether it has arrived.
pub const SCHEMA: Schema = Schema {
    room: "alerting",
    steps: &[
        "
CREATE TABLE alerting_incident (
    id {id}, key TEXT NOT NULL, code TEXT NOT NULL, severity BIGINT NOT NULL, host TEXT,
    subject TEXT NOT NULL, title TEXT NOT NULL, detail TEXT NOT NULL, advice TEXT NOT NULL,
    since BIGINT NOT NULL, opened_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
    repeats BIGINT NOT NULL, resolved_at BIGINT, resolution TEXT
);
CREATE UNIQUE INDEX alerting_incident_open ON alerting_incident (key) WHERE resolved_at IS NULL;
CREATE INDEX alerting_incident_code ON alerting_incident (code);
CREATE TABLE alerting_history (
    id {id}, incident BIGINT NOT NULL, at BIGINT NOT NULL, event TEXT NOT NULL, note TEXT NOT NULL,
    contact TEXT, channel TEXT, address TEXT
);
CREATE INDEX alerting_history_incident ON alerting_history (incident);
CREATE TABLE alerting_notice (
    id {id}, incident BIGINT NOT NULL, kind TEXT NOT NULL, severity BIGINT NOT NULL
);
CREATE TABLE alerting_message (
    id {id}, incident BIGINT NOT NULL, contact TEXT NOT NULL, channel TEXT NOT NULL,
    address TEXT NOT NULL, kind TEXT NOT NULL, severity BIGINT NOT NULL, state TEXT NOT NULL,
    owner TEXT, attempts BIGINT NOT NULL, asks BIGINT NOT NULL, maybe BIGINT NOT NULL,
    created_at BIGINT NOT NULL, next_at BIGINT NOT NULL, done_at BIGINT, note TEXT
);
CREATE INDEX alerting_message_live ON alerting_message (channel, next_at) WHERE done_at IS NULL;
CREATE INDEX alerting_message_incident ON alerting_message (incident);
CREATE TABLE alerting_sender (owner TEXT PRIMARY KEY, beat BIGINT NOT NULL)
",
        "
CREATE INDEX alerting_incident_resolved ON alerting_incident (resolved_at)
    WHERE resolved_at IS NOT NULL
",
        "
CREATE TABLE alerting_silence (
    id {id}, host TEXT, host_group TEXT, room TEXT, key TEXT, also_critical BIGINT NOT NULL,
    reason TEXT NOT NULL, author TEXT NOT NULL, created_at BIGINT NOT NULL, until BIGINT NOT NULL,
    ended_at BIGINT, ended_by TEXT
);
ALTER TABLE alerting_incident ADD COLUMN silence BIGINT;
ALTER TABLE alerting_incident ADD COLUMN silenced_until BIGINT;
ALTER TABLE alerting_incident ADD COLUMN silenced_by TEXT;
CREATE INDEX alerting_incident_silence ON alerting_incident (silence) WHERE silence IS NOT NULL
",
        "
ALTER TABLE alerting_message ADD COLUMN summary BIGINT;
ALTER TABLE alerting_message ADD COLUMN paged_at BIGINT;
ALTER TABLE alerting_message ADD COLUMN sid TEXT;
ALTER TABLE alerting_message ADD COLUMN check_at BIGINT;
ALTER TABLE alerting_message ADD COLUMN checks BIGINT;
CREATE INDEX alerting_message_paged ON alerting_message (contact, channel, paged_at)
    WHERE paged_at IS NOT NULL;
CREATE INDEX alerting_message_held ON alerting_message (channel, contact) WHERE state = 'held';
CREATE INDEX alerting_message_summary ON alerting_message (summary) WHERE summary IS NOT NULL;
CREATE INDEX alerting_message_check ON alerting_message (check_at) WHERE check_at IS NOT NULL;
CREATE TABLE alerting_purse (contact TEXT NOT NULL, channel TEXT NOT NULL, turns BIGINT NOT NULL,
    PRIMARY KEY (contact, channel))
",
        // For what waits before a message: PostgreSQL, before it has counted a table, reads all that
        // waits by a channel for each message instead, a hundred million rows in a storm.
        "
CREATE INDEX alerting_message_waits ON alerting_message (incident, contact, channel, id)
    WHERE done_at IS NULL
",
        "
ALTER TABLE alerting_message ADD COLUMN held_at BIGINT
",
        "
ALTER TABLE alerting_incident ADD COLUMN acked_at BIGINT;
ALTER TABLE alerting_incident ADD COLUMN acked_by TEXT;
ALTER TABLE alerting_incident ADD COLUMN ack_note TEXT
",
    ],
};

/// Joins the open incident with this alert's key: its number and how severe it was until now.
pub(super) async fn join(
    tx: &mut Tx,
    alert: &Alert,
    now: Timestamp,
) -> sqlx::Result<Option<(i64, Severity)>> {
    let row = sqlx::query(
        "UPDATE alerting_incident SET repeats = repeats + 1, last_at = $1, title = $2, \
         detail = $3, advice = $4 WHERE key = $5 AND resolved_at IS NULL RETURNING id, severity",
    )
    .bind(now.as_micros())
    .bind(&alert.title)
    .bind(&alert.detail)
    .bind(&alert.advice)
    .bind(&alert.key)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok((row.try_get("id")?, severity(&row)?)))
        .transpose()
}

/// Whether an incident is open that says what this alert does.
pub(super) async fn says<'a, E>(executor: E, alert: &Alert) -> sqlx::Result<bool>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM alerting_incident WHERE key = $1 AND resolved_at IS NULL \
         AND title = $2 AND detail = $3 AND advice = $4 AND severity >= $5",
    )
    .bind(alert.key.clone())
    .bind(alert.title.clone())
    .bind(alert.detail.clone())
    .bind(alert.advice.clone())
    .bind(alert.severity.rank())
    .fetch_optional(executor)
    .await?;
    Ok(found.is_some())
}

/// Whether an incident has this code that is open, or was so after `recent`.
pub(super) async fn is_taken(tx: &mut Tx, code: &Code, recent: Timestamp) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM alerting_incident \
         WHERE code = $1 AND (resolved_at IS NULL OR resolved_at > $2) LIMIT 1",
    )
    .bind(code.as_str())
    .bind(recent.as_micros())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.is_some())
}

/// Opens an incident: its number, severity and repeats, which differ from the alert's and zero if
/// somebody else has opened it since.
pub(super) async fn open(
    tx: &mut Tx,
    alert: &Alert,
    code: &Code,
    now: Timestamp,
) -> sqlx::Result<(i64, Severity, i64)> {
    let row = sqlx::query(
        "INSERT INTO alerting_incident (key, code, severity, host, subject, title, detail, \
         advice, since, opened_at, last_at, repeats) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0) \
         ON CONFLICT (key) WHERE resolved_at IS NULL DO UPDATE SET \
         repeats = alerting_incident.repeats + 1, last_at = excluded.last_at, \
         title = excluded.title, detail = excluded.detail, advice = excluded.advice \
         RETURNING id, severity, repeats",
    )
    .bind(&alert.key)
    .bind(code.as_str())
    .bind(alert.severity.rank())
    .bind(&alert.host)
    .bind(&alert.title)
    .bind(&alert.title)
    .bind(&alert.detail)
    .bind(&alert.advice)
    .bind(alert.since.as_micros())
    .bind(now.as_micros())
    .bind(now.as_micros())
    .fetch_one(&mut **tx)
    .await?;
    Ok((row.try_get("id")?, severity(&row)?, row.try_get("repeats")?))
}

/// The keys of the incidents that are open about a host.
pub(super) async fn open_of_host(tx: &mut Tx, host: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT key FROM alerting_incident WHERE host = $1 AND resolved_at IS NULL ORDER BY id",
    )
    .bind(host)
    .fetch_all(&mut **tx)
    .await
}

/// Makes an incident more severe; whoever took it on took on something else.
pub(super) async fn rise(tx: &mut Tx, incident: i64, to: Severity) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE alerting_incident SET severity = $1, acked_at = NULL, acked_by = NULL, \
         ack_note = NULL WHERE id = $2",
    )
    .bind(to.rank())
    .bind(incident)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends the open incident with this key: its number, severity and repeats.
pub(super) async fn close(
    tx: &mut Tx,
    key: &str,
    why: &str,
    now: Timestamp,
) -> sqlx::Result<Option<(i64, Severity, i64)>> {
    let row = sqlx::query(
        "UPDATE alerting_incident SET resolved_at = $1, resolution = $2 \
         WHERE key = $3 AND resolved_at IS NULL RETURNING id, severity, repeats",
    )
    .bind(now.as_micros())
    .bind(why)
    .bind(key)
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok((row.try_get("id")?, severity(&row)?, row.try_get("repeats")?)))
        .transpose()
}

/// Writes a line into an incident's history: what, a note, and to whom if it is about a message.
pub(super) async fn remember(
    tx: &mut Tx,
    incident: i64,
    now: Timestamp,
    (event, note): (&str, &str),
    about: Option<&Message>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO alerting_history (incident, at, event, note, contact, channel, address) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(incident)
    .bind(now.as_micros())
    .bind(event)
    .bind(note)
    .bind(about.map(|message| message.contact.as_str()))
    .bind(about.map(|message| message.channel.name()))
    .bind(about.map(|message| message.address.as_str()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Says that people are to be told.
pub(super) async fn announce(
    tx: &mut Tx,
    incident: i64,
    kind: Kind,
    severity: Severity,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO alerting_notice (incident, kind, severity) VALUES ($1, $2, $3)")
        .bind(incident)
        .bind(kind.name())
        .bind(severity.rank())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
