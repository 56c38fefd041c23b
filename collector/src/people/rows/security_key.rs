//! Security keys, of which only the public halves are known, and what one of them was asked.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::time;
use crate::store::{Store, Tx};

/// A security key of somebody's.
#[derive(Clone, Debug)]
pub struct SecurityKey {
    /// Its number.
    pub id: i64,
    /// What its owner calls it.
    pub name: String,
    /// Since when it counts.
    pub made_at: Timestamp,
    /// When somebody signed in with it last.
    pub used_at: Option<Timestamp>,
    /// Its public half, as the library writes it.
    pub(in crate::people) credential: String,
}

impl SecurityKey {
    /// How many an account may have.
    pub const MOST: usize = 8;
}

/// The security keys of an account, the oldest first.
pub(in crate::people) async fn of<'a, E>(
    executor: E,
    account: i64,
) -> sqlx::Result<Vec<SecurityKey>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let rows = sqlx::query(
        "SELECT id, name, credential, made_at, used_at FROM people_security_key \
         WHERE account = $1 ORDER BY id",
    )
    .bind(account)
    .fetch_all(executor)
    .await?;
    let key = |row: &AnyRow| {
        let used: Option<i64> = row.try_get("used_at")?;
        Ok(SecurityKey {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            made_at: time(row, "made_at")?,
            used_at: used.map(Timestamp::from_micros),
            credential: row.try_get("credential")?,
        })
    };
    rows.iter().map(key).collect()
}

/// Keeps one more.
pub(in crate::people) async fn add(
    tx: &mut Tx,
    account: i64,
    (name, credential): (&str, String),
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO people_security_key (account, name, credential, made_at) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(account)
    .bind(name.to_owned())
    .bind(credential)
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that one was used, and how often it says that it was; `false` if it is gone.
pub(in crate::people) async fn used(
    tx: &mut Tx,
    id: i64,
    credential: String,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE people_security_key SET credential = $2, used_at = $3 WHERE id = $1")
            .bind(id)
            .bind(credential)
            .bind(now.as_micros())
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets one of an account's, and says what it was called; `None` if there is no such.
pub(in crate::people) async fn remove(
    tx: &mut Tx,
    account: i64,
    id: i64,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "DELETE FROM people_security_key WHERE account = $1 AND id = $2 RETURNING name",
    )
    .bind(account)
    .bind(id)
    .fetch_optional(&mut **tx)
    .await
}

/// Keeps what a browser was asked for this session, in place of what it was asked before.
pub(in crate::people) async fn ask(
    store: &Store,
    session: &[u8; 32],
    challenge: String,
) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    sqlx::query("UPDATE people_session SET challenge = $2 WHERE hash = $1")
        .bind(session.to_vec())
        .bind(challenge)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Takes what a browser was asked for this session: it can be answered once.
pub(in crate::people) async fn take(
    tx: &mut Tx,
    session: &[u8; 32],
) -> sqlx::Result<Option<String>> {
    let asked: Option<Option<String>> =
        sqlx::query_scalar("SELECT challenge FROM people_session WHERE hash = $1")
            .bind(session.to_vec())
            .fetch_optional(&mut **tx)
            .await?;
    let Some(asked) = asked.flatten() else {
        return Ok(None);
    };
    let done = sqlx::query(
        "UPDATE people_session SET challenge = NULL WHERE hash = $1 AND challenge = $2",
    )
    .bind(session.to_vec())
    .bind(asked.clone())
    .execute(&mut **tx)
    .await?;
    Ok((done.rows_affected() == 1).then_some(asked))
}
