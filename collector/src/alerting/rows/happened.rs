//! The history of incidents, for whoever looks at one or watches all.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::super::Severity;
use super::reading;
use crate::store::Store;

/// Something that happened to an incident, or to a message about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// Its number: later ones are higher.
    #[serde(skip)]
    pub row: i64,
    /// `incident`, or `message` if it is about telling somebody.
    #[serde(skip)]
    pub kind: &'static str,
    /// When, in microseconds of UTC.
    pub at: i64,
    /// The incident's code.
    pub id: String,
    /// The incident's title, now.
    pub title: String,
    /// The incident's severity, now.
    pub severity: Severity,
    /// The incident's host, if it is about one.
    pub host: Option<String>,
    /// What happened: `opened`, `risen`, `repeated`, `acknowledged`, `resolved`, `silenced`, `silence over`,
    /// `nobody told`; of a message `told`, `written`, `arrived`, `delayed`, `not told`, `failed`.
    pub event: String,
    /// `open` or `over`; of a message `delivered`, `written` (into the folder,
    /// and sent to nobody), `waiting`, `dropped` or `failed`.
    pub state: &'static str,
    /// The title then, why it is over, or what the provider said.
    pub detail: String,
    /// Who was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// By what: `email` or `sms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

const COLUMNS: &str = "SELECT h.id AS row_id, h.at, h.event, h.note, h.contact, h.channel, \
     h.address, i.code, i.title, i.severity, i.host \
     FROM alerting_history h JOIN alerting_incident i ON i.id = h.incident";

/// What happened after this row, the oldest first; without how often something was repeated, which
/// whoever watches need not see.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, row: i64, limit: u32) -> sqlx::Result<Vec<Happened>> {
    let text =
        format!("{COLUMNS} WHERE h.id > $1 AND h.event <> 'repeated' ORDER BY h.id LIMIT $2");
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(row)
        .bind(i64::from(limit))
        .fetch_all(store.read())
        .await?;
    rows.iter().map(happened).collect()
}

/// The row of what happened last; zero if nothing has.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM alerting_history")
        .fetch_one(store.read())
        .await
}

/// What happened to one incident, the oldest first.
pub(in crate::alerting) async fn history(
    store: &Store,
    incident: i64,
) -> sqlx::Result<Vec<Happened>> {
    let text = format!("{COLUMNS} WHERE h.incident = $1 ORDER BY h.id");
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(incident)
        .fetch_all(store.read())
        .await?;
    rows.iter().map(happened).collect()
}

fn happened(row: &AnyRow) -> sqlx::Result<Happened> {
    let event: String = row.try_get("event")?;
    let contact: Option<String> = row.try_get("contact")?;
    Ok(Happened {
        row: row.try_get("row_id")?,
        kind: if contact.is_some() {
            "message"
        } else {
            "incident"
        },
        at: row.try_get("at")?,
        id: row.try_get("code")?,
        title: row.try_get("title")?,
        severity: reading::severity(row)?,
        host: row.try_get("host")?,
        state: match event.as_str() {
            "told" | "arrived" => "delivered",
            "written" => "written",
            "delayed" => "waiting",
            "not told" => "dropped",
            "failed" => "failed",
            "resolved" => "over",
            _ => "open",
        },
        event,
        detail: row.try_get("note")?,
        contact,
        channel: row.try_get("channel")?,
        to: row.try_get("address")?,
    })
}
