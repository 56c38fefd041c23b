//! Enrolment tokens: kept only as hashes.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::store::{Store, Tx};

/// Adds a token that can be used until it expires.
pub(in crate::hosts) async fn add(
    tx: &mut Tx,
    hash: &str,
    host: &str,
    (now, expires): (Timestamp, Timestamp),
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO host_token (hash, host, created_at, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(hash)
    .bind(host)
    .bind(now.as_micros())
    .bind(expires.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a token can be used, as far as reading tells.
pub(in crate::hosts) async fn is_good(
    store: &Store,
    hash: &str,
    host: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT expires_at FROM host_token \
         WHERE hash = $1 AND host = $2 AND used_at IS NULL AND expires_at > $3",
    )
    .bind(hash)
    .bind(host)
    .bind(now.as_micros())
    .fetch_optional(store.read())
    .await?;
    Ok(found.is_some())
}

/// Uses a token up; no when it is unknown, used, expired, or another host's.
pub(in crate::hosts) async fn use_up(
    tx: &mut Tx,
    hash: &str,
    host: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE host_token SET used_at = $3 \
         WHERE hash = $1 AND host = $2 AND used_at IS NULL AND expires_at > $3",
    )
    .bind(hash)
    .bind(host)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A token as people see it: never its secret.
#[derive(Debug, Serialize)]
pub(in crate::hosts) struct TokenRow {
    host: String,
    created_at: i64,
    expires_at: i64,
    /// When a host enrolled with it; not, if none has.
    used_at: Option<i64>,
}

/// The tokens that are remembered, also those that are used or have expired, the newest first.
pub(in crate::hosts) async fn known(store: &Store) -> sqlx::Result<Vec<TokenRow>> {
    let rows = sqlx::query(
        "SELECT host, created_at, expires_at, used_at FROM host_token \
         ORDER BY created_at DESC LIMIT 1000",
    )
    .fetch_all(store.read())
    .await?;
    let token = |row: AnyRow| {
        Ok(TokenRow {
            host: row.try_get(0)?,
            created_at: row.try_get(1)?,
            expires_at: row.try_get(2)?,
            used_at: row.try_get(3)?,
        })
    };
    rows.into_iter().map(token).collect()
}

/// Forgets tokens that were of no use any more at that time.
pub(in crate::hosts) async fn forget(tx: &mut Tx, before: Timestamp) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM host_token WHERE expires_at < $1")
        .bind(before.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
