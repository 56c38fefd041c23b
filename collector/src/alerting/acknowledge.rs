//! Somebody takes an incident on: nobody else is told of it, unless it becomes worse or is over.

use watchward_protocol::time::Timestamp;

use super::message::Acknowledged;
use super::{rows, wording};
use crate::store::Store;

/// How much is kept of what somebody says about it, in characters.
const NOTE: usize = 200;

/// What acknowledging came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acknowledging {
    Done,
    /// Somebody else had, or the same person.
    Already(Acknowledged),
    /// No incident with this code is open.
    NotOpen,
}

/// Acknowledges the open incident with this code. What has not been sent of it yet is not sent any
/// more; what is being sent just then still arrives.
///
/// # Errors
/// The database's.
pub(super) async fn acknowledge(
    store: &Store,
    code: &str,
    (by, note): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<Acknowledging> {
    let new = Acknowledged {
        at: now,
        by: wording::safe(by),
        note: wording::cut(&wording::safe(note.trim()), NOTE),
    };
    let mut tx = store.begin().await?;
    let found = rows::acknowledge(&mut tx, &code.to_uppercase(), &new).await?;
    let Some((incident, before)) = found else {
        return Ok(Acknowledging::NotOpen);
    };
    if let Err(before) = before {
        return Ok(Acknowledging::Already(before));
    }
    let line = new.to_string();
    rows::remember(&mut tx, incident, now, ("acknowledged", &line), None).await?;
    rows::let_go(&mut tx, incident, now).await?;
    tx.commit().await?;
    tracing::info!(
        incident = code,
        author = new.by,
        note = new.note,
        "acknowledged"
    );
    Ok(Acknowledging::Done)
}
