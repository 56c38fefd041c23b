//! Wrong codes one after another: somebody knows a password, and tries what follows it.

use std::time::Duration;

use watchward_protocol::time::Timestamp;

use super::rows::event::{Event, Note};
use super::rows::guess;
use crate::store::Tx;

/// So many wrong codes in a row are no slip of the finger.
const MANY: i64 = 5;

/// They count together within this time.
const WITHIN: Duration = Duration::from_secs(86_400);

/// It is over when none came for so long.
const CALM: Duration = Duration::from_secs(3600);

/// For how long after it was told it is looked whether it is over.
const LOOKED_AT: Duration = Duration::from_secs(7 * 86_400);

/// An account whose codes somebody tries who knows its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guessed {
    /// Its name.
    pub name: String,
    /// How many wrong codes there were since the last right one, or since it was told last.
    pub tries: i64,
    /// When the first of them came.
    pub since: Timestamp,
    pub(super) account: i64,
}

/// For which accounts many wrong codes came in a row; each is told once, and again after as many
/// more. It stands in the trail that it was told.
///
/// # Errors
/// The database's.
pub async fn guessed(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<Guessed>> {
    let found = guess::guessed(tx, MANY, now - WITHIN).await?;
    for one in &found {
        let note = Note::of(Event::Guessed).about((one.account, one.name.as_str()));
        let note = note.saying(format!("{} in a row", one.tries));
        note.keep(tx, now).await?;
    }
    Ok(found)
}

/// For which accounts that is over.
///
/// # Errors
/// The database's.
pub async fn calm(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<String>> {
    guess::calm(tx, now - LOOKED_AT, now - CALM).await
}
