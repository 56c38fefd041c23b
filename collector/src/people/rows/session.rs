//! Sessions: of their secrets only hashes.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::role::Roles;
use super::time;
use crate::store::{Store, Tx};

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Their account's number.
    pub account: i64,
    /// Their account's name.
    pub name: String,
    /// What they may.
    pub roles: Roles,
    /// Whether they have to choose a password before anything else.
    pub must_change: bool,
    pub(in crate::people) hash: [u8; 32],
}

/// Begins a session.
pub(in crate::people) async fn begin(
    tx: &mut Tx,
    hash: &[u8; 32],
    account: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO people_session (hash, account, created_at, seen_at) VALUES ($1, $2, $3, $3)",
    )
    .bind(hash.to_vec())
    .bind(account)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The session with this hash that began and was used after these times, and when it was used last.
pub(in crate::people) async fn session(
    store: &Store,
    hash: [u8; 32],
    (began, used): (Timestamp, Timestamp),
) -> sqlx::Result<Option<(Session, Timestamp)>> {
    let row = sqlx::query(
        "SELECT a.id, a.name, a.must_change, a.roles, s.seen_at \
         FROM people_session s JOIN people_account a ON a.id = s.account \
         WHERE s.hash = $1 AND s.created_at > $2 AND s.seen_at > $3",
    )
    .bind(hash.to_vec())
    .bind(began.as_micros())
    .bind(used.as_micros())
    .fetch_optional(store.read())
    .await?;
    row.map(|row| {
        let session = Session {
            account: row.try_get(0)?,
            name: row.try_get(1)?,
            must_change: row.try_get::<i64, _>(2)? != 0,
            roles: Roles::kept(&row.try_get::<String, _>(3)?),
            hash,
        };
        Ok((session, time(&row, "seen_at")?))
    })
    .transpose()
}

/// Notes that a session is in use.
pub(in crate::people) async fn seen(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_session SET seen_at = $2 WHERE hash = $1")
        .bind(hash.to_vec())
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends a session.
pub(in crate::people) async fn end(tx: &mut Tx, hash: &[u8; 32]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_session WHERE hash = $1")
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends all sessions of an account.
pub(in crate::people) async fn end_all(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_session WHERE account = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
