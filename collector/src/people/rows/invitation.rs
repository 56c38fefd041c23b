//! Invitations: for each account at most one, of whose secret only the hash is kept.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::time;
use crate::store::{Store, Tx};

/// An invitation whose letter is due.
#[derive(Clone, Debug)]
pub(in crate::people) struct Due {
    pub(in crate::people) account: i64,
    pub(in crate::people) name: String,
    pub(in crate::people) email: String,
    pub(in crate::people) until: Timestamp,
    pub(in crate::people) attempts: i64,
    made_at: Timestamp,
}

/// Invites whoever has this account until then, in place of every invitation before. The letter with
/// its secret is due at once, unless the secret is handed over here, as a hash.
pub(in crate::people) async fn invite(
    tx: &mut Tx,
    account: i64,
    hash: Option<&[u8; 32]>,
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<()> {
    forget(tx, account).await?;
    sqlx::query(
        "INSERT INTO people_invitation (account, hash, made_at, until, send_at, attempts) \
         VALUES ($1, $2, $3, $4, $5, 0)",
    )
    .bind(account)
    .bind(hash.map(|hash| hash.to_vec()))
    .bind(now.as_micros())
    .bind(until.as_micros())
    .bind(hash.is_none().then_some(now.as_micros()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends the invitation of this account, if it has one.
pub(in crate::people) async fn forget(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_invitation WHERE account = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The account that whoever knows this secret is invited to: its number and its name.
pub(in crate::people) async fn invited<'a, E>(
    executor: E,
    hash: &[u8; 32],
    now: Timestamp,
) -> sqlx::Result<Option<(i64, String)>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let row = sqlx::query(
        "SELECT a.id, a.name FROM people_invitation i JOIN people_account a ON a.id = i.account \
         WHERE i.hash = $1 AND i.until > $2",
    )
    .bind(hash.to_vec())
    .bind(now.as_micros())
    .fetch_optional(executor)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .transpose()
}

/// Uses an invitation up; `false` if somebody has, or it is over.
pub(in crate::people) async fn accept(
    tx: &mut Tx,
    hash: &[u8; 32],
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM people_invitation WHERE hash = $1 AND until > $2")
        .bind(hash.to_vec())
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A few invitations whose letters are due.
pub(in crate::people) async fn due(store: &Store, now: Timestamp) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query(
        "SELECT i.account, a.name, a.email, i.until, i.attempts, i.made_at \
         FROM people_invitation i JOIN people_account a ON a.id = i.account \
         WHERE i.send_at <= $1 AND i.until > $1 AND a.email IS NOT NULL \
         ORDER BY i.send_at LIMIT 8",
    )
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    let due = |row: &AnyRow| {
        Ok(Due {
            account: row.try_get(0)?,
            name: row.try_get(1)?,
            email: row.try_get(2)?,
            until: time(row, "until")?,
            attempts: row.try_get(4)?,
            made_at: time(row, "made_at")?,
        })
    };
    rows.iter().map(due).collect()
}

/// Takes a letter that is due, whose secret has this hash from now on; nobody else takes it before
/// `again`. `false` if somebody else did.
pub(in crate::people) async fn take(
    tx: &mut Tx,
    due: &Due,
    hash: &[u8; 32],
    again: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE people_invitation SET hash = $1, attempts = attempts + 1, send_at = $2 \
         WHERE account = $3 AND made_at = $4 AND attempts = $5 AND send_at IS NOT NULL",
    )
    .bind(hash.to_vec())
    .bind(again.as_micros())
    .bind(due.account)
    .bind(due.made_at.as_micros())
    .bind(due.attempts)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps what became of a letter that was taken, and when it is tried again, if it is.
pub(in crate::people) async fn record(
    tx: &mut Tx,
    due: &Due,
    note: &str,
    again: Option<Timestamp>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE people_invitation SET note = $1, send_at = $2 \
         WHERE account = $3 AND made_at = $4 AND attempts = $5",
    )
    .bind(note)
    .bind(again.map(Timestamp::as_micros))
    .bind(due.account)
    .bind(due.made_at.as_micros())
    .bind(due.attempts + 1)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
