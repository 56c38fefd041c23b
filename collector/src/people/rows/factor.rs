//! Second factors, sealed, and the hashes of the codes for when a phone is lost.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::sealing::Sealed;
use crate::store::{Store, Tx};

/// A second factor, which its owner has shown that they have.
#[derive(Clone, Debug)]
pub(in crate::people) struct Factor {
    pub(in crate::people) secret: Sealed,
    /// The newest step of which a code was used.
    pub(in crate::people) last_step: i64,
    pub(in crate::people) made_at: Timestamp,
}

/// The second factor of this account.
pub(in crate::people) async fn factor<'a, E>(
    executor: E,
    account: i64,
) -> sqlx::Result<Option<Factor>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let row =
        sqlx::query("SELECT secret, last_step, made_at FROM people_factor WHERE account = $1")
            .bind(account)
            .fetch_optional(executor)
            .await?;
    row.map(|row| {
        Ok(Factor {
            secret: Sealed::kept(row.try_get(0)?),
            last_step: row.try_get(1)?,
            made_at: Timestamp::from_micros(row.try_get(2)?),
        })
    })
    .transpose()
}

/// Whether this account has any second factor: codes from a phone, or a security key.
pub(in crate::people) async fn exists(tx: &mut Tx, account: i64) -> sqlx::Result<bool> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM people_factor WHERE account = $1) \
         + (SELECT COUNT(*) FROM people_security_key WHERE account = $1)",
    )
    .bind(account)
    .fetch_one(&mut **tx)
    .await?;
    Ok(count > 0)
}

/// How many recovery codes are left to this account.
pub(in crate::people) async fn recovery(store: &Store, account: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM people_recovery WHERE account = $1")
        .bind(account)
        .fetch_one(store.read())
        .await
}

/// Keeps a second factor of which the code of this step was used; `false` if there is one.
pub(in crate::people) async fn confirm(
    tx: &mut Tx,
    account: i64,
    secret: Sealed,
    (step, now): (i64, Timestamp),
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO people_factor (account, secret, last_step, made_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (account) DO NOTHING",
    )
    .bind(account)
    .bind(secret.into_bytes())
    .bind(step)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the same secret, sealed anew.
pub(in crate::people) async fn reseal(
    tx: &mut Tx,
    account: i64,
    (old, new): (Sealed, Sealed),
) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_factor SET secret = $2 WHERE account = $1 AND secret = $3")
        .bind(account)
        .bind(new.into_bytes())
        .bind(old.into_bytes())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Uses the code of a step; `false` if a code of this step or a later one was used before.
pub(in crate::people) async fn use_step(
    tx: &mut Tx,
    account: i64,
    step: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE people_factor SET last_step = $2 \
         WHERE account = $1 AND last_step < $2",
    )
    .bind(account)
    .bind(step)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets every second factor of an account, and its recovery codes.
pub(in crate::people) async fn forget_all(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_security_key WHERE account = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    forget(tx, account).await
}

/// Forgets the codes of a phone, and the recovery codes.
pub(in crate::people) async fn forget(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    for table in [
        "DELETE FROM people_factor WHERE account = $1",
        "DELETE FROM people_recovery WHERE account = $1",
    ] {
        sqlx::query(table).bind(account).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Keeps a recovery code's hash.
pub(in crate::people) async fn add_recovery(
    tx: &mut Tx,
    account: i64,
    hash: &[u8; 32],
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO people_recovery (account, hash) VALUES ($1, $2)")
        .bind(account)
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Uses a recovery code; `false` if it is none, or was used.
pub(in crate::people) async fn use_recovery(
    tx: &mut Tx,
    account: i64,
    hash: &[u8; 32],
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM people_recovery WHERE account = $1 AND hash = $2")
        .bind(account)
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Every account with a second factor, and its secret.
pub(in crate::people) async fn all(store: &Store) -> sqlx::Result<Vec<(i64, Sealed)>> {
    let rows = sqlx::query("SELECT account, secret FROM people_factor ORDER BY account")
        .fetch_all(store.read())
        .await?;
    let all = rows.iter();
    all.map(|row| Ok((row.try_get(0)?, Sealed::kept(row.try_get(1)?))))
        .collect()
}
