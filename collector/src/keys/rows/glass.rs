//! What every host said last to each break-glass key.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::maybe_stamp;
use crate::keys::proof::Glass;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// The table. `told` is the detail of the incident that is open; none, while there is none.
pub(super) const TABLE: &str = "CREATE TABLE keys_glass (
    fingerprint TEXT NOT NULL, host_name TEXT NOT NULL, wanted_at BIGINT NOT NULL, asked_at BIGINT,
    opened_at BIGINT, shut_at BIGINT, opens TEXT NOT NULL, lacks TEXT NOT NULL, note TEXT NOT NULL,
    told TEXT, PRIMARY KEY (fingerprint, host_name))";

/// All of them, by host.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<Vec<Glass>> {
    let rows = sqlx::query(
        "SELECT fingerprint, host_name, wanted_at, asked_at, opened_at, shut_at, opens, lacks, note, \
         told FROM keys_glass ORDER BY fingerprint, host_name",
    )
    .fetch_all(store.read())
    .await?;
    rows.iter().map(one).collect()
}

fn one(row: &AnyRow) -> sqlx::Result<Glass> {
    let wrong = |error: serde_json::Error| sqlx::Error::Decode(error.into());
    Ok(Glass {
        fingerprint: row.try_get("fingerprint")?,
        host: row.try_get("host_name")?,
        wanted_at: stamp(row.try_get("wanted_at")?),
        asked_at: maybe_stamp(row, "asked_at")?,
        opened_at: maybe_stamp(row, "opened_at")?,
        shut_at: maybe_stamp(row, "shut_at")?,
        opens: serde_json::from_str(row.try_get("opens")?).map_err(wrong)?,
        lacks: serde_json::from_str(row.try_get("lacks")?).map_err(wrong)?,
        note: row.try_get("note")?,
        told: row.try_get("told")?,
    })
}

/// Keeps what a host said, and what people were told of it.
pub(in crate::keys) async fn keep(tx: &mut Tx, one: &Glass) -> sqlx::Result<()> {
    let wrong = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    sqlx::query(
        "INSERT INTO keys_glass (fingerprint, host_name, wanted_at, asked_at, opened_at, shut_at, \
         opens, lacks, note, told) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (fingerprint, host_name) DO UPDATE SET asked_at = excluded.asked_at, \
         opened_at = excluded.opened_at, shut_at = excluded.shut_at, opens = excluded.opens, \
         lacks = excluded.lacks, note = excluded.note, told = excluded.told",
    )
    .bind(one.fingerprint.clone())
    .bind(one.host.clone())
    .bind(one.wanted_at.as_micros())
    .bind(micros(one.asked_at))
    .bind(micros(one.opened_at))
    .bind(micros(one.shut_at))
    .bind(serde_json::to_string(&one.opens).map_err(wrong)?)
    .bind(serde_json::to_string(&one.lacks).map_err(wrong)?)
    .bind(one.note.clone())
    .bind(one.told.clone())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A key is not to open this host any more.
pub(in crate::keys) async fn forget(tx: &mut Tx, one: &Glass) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_glass WHERE fingerprint = $1 AND host_name = $2")
        .bind(one.fingerprint.clone())
        .bind(one.host.clone())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
