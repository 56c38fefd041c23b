//! What happened to openings.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::store::bulk::Bulk;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// Keeps what happened: each with the number of the opening.
pub(super) async fn insert(
    tx: &mut Tx,
    notes: &[(i64, String)],
    now: Timestamp,
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO keys_change (opening, at, what) VALUES ",
        columns: 3,
        after: "",
    }
    .execute(tx, notes, |(opening, what), values| {
        values
            .number(*opening)
            .number(now.as_micros())
            .text(what.as_str());
    })
    .await
}

/// Forgets what happened to openings that are forgotten.
pub(super) async fn forget(tx: &mut Tx, openings: &[i64]) -> sqlx::Result<()> {
    Bulk {
        before: "DELETE FROM keys_change WHERE opening IN (VALUES ",
        columns: 1,
        after: ")",
    }
    .execute(tx, openings, |opening, values| {
        values.number(*opening);
    })
    .await
}

/// What happened to an opening, in order; at most the last hundred.
pub(in crate::keys) async fn of(
    store: &Store,
    opening: i64,
) -> sqlx::Result<Vec<(Timestamp, String)>> {
    let rows = sqlx::query(
        "SELECT at, what FROM keys_change WHERE opening = $1 ORDER BY id DESC LIMIT 100",
    )
    .bind(opening)
    .fetch_all(store.read())
    .await?;
    let one = |row: &sqlx::any::AnyRow| Ok((stamp(row.try_get("at")?), row.try_get("what")?));
    rows.iter().rev().map(one).collect()
}
