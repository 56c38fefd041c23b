//! What happens to keys, for whoever watches.

use serde::Serialize;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::reading::Change;
use super::rows::change;
use crate::store::Store;

/// A change as it is shown: safe for a terminal, because what a stranger typed is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Grows with each that comes.
    pub id: i64,
    /// When it was noticed.
    pub at: Timestamp,
    /// The host's name.
    pub host: String,
    /// What happened: `appeared`, `gone`, `weak`, `overdue`, `accepted by ada`, ...
    pub what: String,
    /// The account that it opens; nothing for what the host itself is known by.
    pub account: Option<String>,
    /// The key, if it is one: its kind and fingerprint.
    pub key: Option<String>,
    /// File and line.
    pub place: String,
    /// Its comment.
    pub comment: String,
}

/// What happened after the change with this id, in the order it came; what was there at a host's
/// first look is no change.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, id: i64, limit: u32) -> sqlx::Result<Vec<Seen>> {
    let changes = change::after(store, id, i64::from(limit)).await?;
    Ok(changes.into_iter().map(Seen::from).collect())
}

/// The id of the change that came last; `0` if there is none.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    change::last(store).await
}

impl From<Change> for Seen {
    fn from(change: Change) -> Self {
        let escaped = |text: &str| Foreign::from(text).to_string();
        let opening = change.opening;
        let key = opening.key.as_ref();
        let line = opening.line.map(|line| format!(":{line}"));
        Self {
            id: change.id,
            at: change.at,
            host: change.host,
            what: escaped(&change.what),
            account: change.account.map(|account| account.to_string()),
            key: key.map(|key| format!("{} {}", escaped(&key.kind), escaped(&key.fingerprint))),
            place: format!("{}{}", escaped(&opening.file), line.unwrap_or_default()),
            comment: opening.comment.to_string(),
        }
    }
}
