//! Reads incidents and messages back from their rows.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::Severity;
use super::super::judge::Told;
use super::super::message::{Channel, Code, Incident, Kind, Message, State};
use crate::store::question::Question;
use crate::store::{Store, Tx};

/// A word or number in a column that this version does not know.
pub(super) fn unknown(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("alerting: the column {column} has an unknown value").into())
}

pub(super) fn severity(row: &AnyRow) -> sqlx::Result<Severity> {
    Severity::ranked(row.try_get("severity")?).ok_or_else(|| unknown("severity"))
}

pub(super) fn kind(row: &AnyRow) -> sqlx::Result<Kind> {
    Kind::named(&row.try_get::<String, _>("kind")?).ok_or_else(|| unknown("kind"))
}

fn channel(row: &AnyRow) -> sqlx::Result<Channel> {
    Channel::named(&row.try_get::<String, _>("channel")?).ok_or_else(|| unknown("channel"))
}

fn state(row: &AnyRow) -> sqlx::Result<State> {
    State::named(&row.try_get::<String, _>("state")?).ok_or_else(|| unknown("state"))
}

pub(super) fn time(row: &AnyRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}

/// An incident as SELECT * gives it; `id_column` is where its number is.
pub(super) fn incident(
    row: &AnyRow,
    id_column: &str,
    severity: Severity,
) -> sqlx::Result<Incident> {
    let resolved_at: Option<i64> = row.try_get("resolved_at")?;
    let resolution: Option<String> = row.try_get("resolution")?;
    let silenced_until: Option<i64> = row.try_get("silenced_until")?;
    let silenced_by: Option<String> = row.try_get("silenced_by")?;
    Ok(Incident {
        id: row.try_get(id_column)?,
        code: Code::from(row.try_get::<String, _>("code")?),
        key: row.try_get("key")?,
        severity,
        host: row.try_get("host")?,
        subject: row.try_get("subject")?,
        title: row.try_get("title")?,
        detail: row.try_get("detail")?,
        advice: row.try_get("advice")?,
        since: time(row, "since")?,
        opened_at: time(row, "opened_at")?,
        last_at: time(row, "last_at")?,
        repeats: row.try_get("repeats")?,
        acknowledged: super::acknowledged(row)?,
        silenced: silenced_until.map(Timestamp::from_micros).zip(silenced_by),
        resolved: resolved_at
            .map(|at| (Timestamp::from_micros(at), resolution.unwrap_or_default())),
    })
}

/// The incident with this number.
pub(in crate::alerting) async fn incident_by_id(tx: &mut Tx, id: i64) -> sqlx::Result<Incident> {
    let row = sqlx::query("SELECT * FROM alerting_incident WHERE id = $1")
        .bind(id)
        .fetch_one(&mut **tx)
        .await?;
    incident(&row, "id", severity(&row)?)
}

/// Which incidents are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(in crate::alerting) struct Wanted {
    /// Whether they are open, or over.
    pub(in crate::alerting) open: Option<bool>,
    /// The host that they are about.
    pub(in crate::alerting) host: Option<String>,
    /// Their code.
    pub(in crate::alerting) code: Option<String>,
    /// They came before the one with this number.
    pub(in crate::alerting) before: Option<i64>,
}

impl Wanted {
    fn question(&self) -> Question {
        let mut question = Question::default();
        question.add_fixed(self.open.map(|open| match open {
            true => "resolved_at IS NULL",
            false => "resolved_at IS NOT NULL",
        }));
        question.add("host = ", self.host.clone());
        question.add("code = ", self.code.clone());
        question.add("id < ", self.before);
        question
    }
}

/// At most so many incidents, the newest first.
pub(in crate::alerting) async fn incidents(
    store: &Store,
    wanted: &Wanted,
    limit: i64,
) -> sqlx::Result<Vec<Incident>> {
    let text = ("SELECT * FROM alerting_incident", " ORDER BY id DESC");
    let rows = wanted.question().ask(store, text, limit).await?;
    rows.iter()
        .map(|row| incident(row, "id", severity(row)?))
        .collect()
}

/// How many there are of them.
pub(in crate::alerting) async fn count(store: &Store, wanted: &Wanted) -> sqlx::Result<i64> {
    let text = ("SELECT COUNT(*) FROM alerting_incident", "");
    let rows = wanted.question().ask(store, text, 1).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// A message as its record shows it.
pub(in crate::alerting) struct Sent {
    pub(in crate::alerting) told: Told,
    pub(in crate::alerting) attempts: i64,
    pub(in crate::alerting) created_at: i64,
    pub(in crate::alerting) done_at: Option<i64>,
    pub(in crate::alerting) note: Option<String>,
}

/// All messages of an incident, the oldest first.
pub(in crate::alerting) async fn sent<'a, E>(executor: E, incident: i64) -> sqlx::Result<Vec<Sent>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let rows = sqlx::query("SELECT * FROM alerting_message WHERE incident = $1 ORDER BY id")
        .bind(incident)
        .fetch_all(executor)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Sent {
                told: Told {
                    id: row.try_get("id")?,
                    contact: row.try_get("contact")?,
                    channel: channel(row)?,
                    address: row.try_get("address")?,
                    kind: kind(row)?,
                    severity: severity(row)?,
                    state: state(row)?,
                    maybe: row.try_get::<i64, _>("maybe")? != 0,
                },
                attempts: row.try_get("attempts")?,
                created_at: row.try_get("created_at")?,
                done_at: row.try_get("done_at")?,
                note: row.try_get("note")?,
            })
        })
        .collect()
}

/// A message that is due, with its incident: what [`due`](super::due) selects.
pub(super) fn message(row: &AnyRow) -> sqlx::Result<Message> {
    let of_incident = Severity::ranked(row.try_get("incident_severity")?);
    Ok(Message {
        id: row.try_get("message_id")?,
        incident: incident(
            row,
            "incident",
            of_incident.ok_or_else(|| unknown("severity"))?,
        )?,
        contact: row.try_get("contact")?,
        channel: channel(row)?,
        address: row.try_get("address")?,
        kind: kind(row)?,
        severity: severity(row)?,
        state: state(row)?,
        attempts: row.try_get("attempts")?,
        asks: row.try_get("asks")?,
        maybe: row.try_get::<i64, _>("maybe")? != 0,
        told: row.try_get::<i64, _>("told")? != 0,
        root: row.try_get("root")?,
        created_at: time(row, "created_at")?,
        folded: row.try_get::<i64, _>("folded")? != 0,
        digest: None,
        link: None,
    })
}
