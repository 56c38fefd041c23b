//! What happened to openings.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::opening::kept;
use super::whose;
use crate::keys::inventory::FOUND;
use crate::keys::reading::Change;
use crate::store::bulk::Bulk;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// Keeps what happened: each with the number of the opening.
pub(in crate::keys) async fn insert(
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
    let one = |row: &AnyRow| Ok((stamp(row.try_get("at")?), row.try_get("what")?));
    rows.iter().rev().map(one).collect()
}

/// What happened to openings after the change with this id, in the order it came, each with what it
/// happened to. What was there at a host's first look is no change.
pub(in crate::keys) async fn after(
    store: &Store,
    id: i64,
    limit: i64,
) -> sqlx::Result<Vec<Change>> {
    let rows = sqlx::query(
        "SELECT change.id AS change_id, change.at AS change_at, change.what, opening.* \
         FROM keys_change AS change JOIN keys_opening AS opening ON opening.id = change.opening \
         WHERE change.id > $1 AND change.what <> $2 ORDER BY change.id LIMIT $3",
    )
    .bind(id)
    .bind(FOUND)
    .bind(limit)
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        Ok(Change {
            id: row.try_get("change_id")?,
            at: stamp(row.try_get("change_at")?),
            what: row.try_get("what")?,
            host: row.try_get("host_name")?,
            account: whose(row.try_get("holder")?).account().cloned(),
            opening: kept(row)?.opening,
        })
    };
    rows.iter().map(one).collect()
}

/// The id of the change that came last; `0` if there is none.
pub(in crate::keys) async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM keys_change")
        .fetch_one(store.read())
        .await
}
