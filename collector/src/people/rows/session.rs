//! Sessions: of their secrets only hashes.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use super::super::role::Roles;
use super::time;
use crate::sealing::Sealed;
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
    /// Whether they have to set up a second factor before anything else.
    pub must_enrol: bool,
    /// Whether it has shown a second factor.
    pub(in crate::people) proved: bool,
    /// When it did, or the session that it took the place of.
    pub(in crate::people) proved_at: Option<Timestamp>,
    pub(in crate::people) hash: [u8; 32],
}

impl Session {
    /// Whether it has shown a second factor.
    pub fn has_proved(&self) -> bool {
        self.proved
    }
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

/// Notes that a session has shown a second factor; `false` if it has ended.
pub(in crate::people) async fn prove(
    tx: &mut Tx,
    hash: &[u8; 32],
    at: Option<Timestamp>,
) -> sqlx::Result<bool> {
    let sql = "UPDATE people_session SET proved = 1, proved_at = $2, offer = NULL WHERE hash = $1";
    let done = sqlx::query(sql)
        .bind(hash.to_vec())
        .bind(at.map(Timestamp::as_micros))
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a session has shown a second factor once more.
pub(in crate::people) async fn show(
    tx: &mut Tx,
    hash: &[u8; 32],
    at: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_session SET proved_at = $2 WHERE hash = $1 AND proved = 1")
        .bind(hash.to_vec())
        .bind(at.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The secret of a second factor that this session was offered.
pub(in crate::people) async fn offered<'a, E>(
    executor: E,
    hash: &[u8; 32],
) -> sqlx::Result<Option<Sealed>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let found: Option<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT offer FROM people_session WHERE hash = $1")
            .bind(hash.to_vec())
            .fetch_optional(executor)
            .await?;
    Ok(found.flatten().map(Sealed::kept))
}

/// Offers a secret to this session, in place of that one; another is kept if that one is gone.
pub(in crate::people) async fn offer(
    tx: &mut Tx,
    hash: &[u8; 32],
    (old, new): (Option<Sealed>, Sealed),
) -> sqlx::Result<()> {
    match old {
        None => {
            sqlx::query("UPDATE people_session SET offer = $2 WHERE hash = $1 AND offer IS NULL")
                .bind(hash.to_vec())
                .bind(new.into_bytes())
        }
        Some(old) => {
            sqlx::query("UPDATE people_session SET offer = $2 WHERE hash = $1 AND offer = $3")
                .bind(hash.to_vec())
                .bind(new.into_bytes())
                .bind(old.into_bytes())
        }
    }
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Begins half a session: the password was right, and a code is to follow.
pub(in crate::people) async fn begin_half(
    tx: &mut Tx,
    hash: &[u8; 32],
    account: i64,
    now: Timestamp,
) -> sqlx::Result<()> {
    begin(tx, hash, account, now).await?;
    sqlx::query("UPDATE people_session SET half = 1 WHERE hash = $1")
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends half a session, for a whole one to take its place; `false` if there is none any more.
pub(in crate::people) async fn take_half(tx: &mut Tx, hash: &[u8; 32]) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM people_session WHERE hash = $1 AND half = 1")
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The session with this hash that began and was used after these times, and when it was used last;
/// half a one, or a whole one. Where a second factor counts, a whole one has shown it: what began
/// without it is void, even if it began at the same moment.
pub(in crate::people) async fn session(
    store: &Store,
    hash: [u8; 32],
    half: bool,
    (began, used): (Timestamp, Timestamp),
) -> sqlx::Result<Option<(Session, Timestamp)>> {
    let row = sqlx::query(
        "SELECT a.id, a.name, a.must_change, a.roles, s.seen_at, s.proved, s.proved_at, \
         CASE WHEN EXISTS (SELECT 1 FROM people_factor f WHERE f.account = a.id) \
         OR EXISTS (SELECT 1 FROM people_security_key k WHERE k.account = a.id) \
         THEN 0 ELSE 1 END AS single \
         FROM people_session s JOIN people_account a ON a.id = s.account \
         WHERE s.hash = $1 AND s.half = $4 AND s.created_at > $2 AND s.seen_at > $3",
    )
    .bind(hash.to_vec())
    .bind(began.as_micros())
    .bind(used.as_micros())
    .bind(i64::from(half))
    .fetch_optional(store.read())
    .await?;
    row.map(|row| {
        let session = Session {
            account: row.try_get(0)?,
            name: row.try_get(1)?,
            must_change: row.try_get::<i64, _>(2)? != 0,
            must_enrol: row.try_get::<i64, _>("single")? != 0,
            roles: Roles::kept(&row.try_get::<String, _>(3)?),
            proved: row.try_get::<i64, _>("proved")? != 0,
            proved_at: row
                .try_get::<Option<i64>, _>("proved_at")?
                .map(Timestamp::from_micros),
            hash,
        };
        let counts = half || session.proved || session.must_enrol;
        Ok(counts.then_some((session, time(&row, "seen_at")?)))
    })
    .transpose()
    .map(Option::flatten)
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

/// Ends all sessions of an account but this one.
pub(in crate::people) async fn end_others(
    tx: &mut Tx,
    account: i64,
    hash: &[u8; 32],
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_session WHERE account = $1 AND hash <> $2")
        .bind(account)
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
