//! Accounts.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::post::Email;
use super::super::role::{Role, Roles};
use super::event::Event;
use super::time;
use crate::store::{Store, Tx};

/// An account as people see it. Times are microseconds of UTC.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct Account {
    pub name: String,
    pub roles: Roles,
    /// Whether a one-time password has to be changed still.
    pub must_change: bool,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub last_in: Option<Timestamp>,
    pub email: Option<String>,
    /// Until when whoever it is for is invited, and what became of the letter.
    pub invited_until: Option<Timestamp>,
    pub letter: Option<String>,
    /// Whether they sign in with a second factor.
    pub second_factor: bool,
    /// How many sessions have begun and not ended.
    pub sessions: i64,
}

/// What it takes to sign in.
#[derive(Debug)]
pub(in crate::people) struct Login {
    pub(in crate::people) account: i64,
    pub(in crate::people) password: String,
    pub(in crate::people) usable_until: Option<Timestamp>,
}

/// Whether anybody has, or ever had, an account.
pub(in crate::people) async fn is_somebody(store: &Store) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM people_account LIMIT 1")
        .fetch_optional(store.read())
        .await?;
    Ok(found.is_some())
}

/// Adds an account with a one-time password, unless there is one of this name, in whatever case: its
/// number.
pub(in crate::people) async fn add(
    tx: &mut Tx,
    (name, roles): (&str, &Roles),
    password: &str,
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "INSERT INTO people_account \
         (name, password, must_change, usable_until, created_at, changed_at, roles) \
         SELECT $1, $2, 1, $3, $4, $4, $5 WHERE NOT EXISTS \
         (SELECT 1 FROM people_account WHERE LOWER(name) = LOWER($1)) \
         ON CONFLICT (name) DO NOTHING RETURNING id",
    )
    .bind(name)
    .bind(password)
    .bind(until.as_micros())
    .bind(now.as_micros())
    .bind(roles.to_string())
    .fetch_optional(&mut **tx)
    .await
}

/// What it takes to sign in as this name.
pub(in crate::people) async fn login<'a, E>(executor: E, name: &str) -> sqlx::Result<Option<Login>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    // Beware: PostgreSQL refuses the character NUL in a text.
    if name.contains('\0') {
        return Ok(None);
    }
    let row = sqlx::query("SELECT id, password, usable_until FROM people_account WHERE name = $1")
        .bind(name)
        .fetch_optional(executor)
        .await?;
    row.map(|row| {
        let until: Option<i64> = row.try_get(2)?;
        Ok(Login {
            account: row.try_get(0)?,
            password: row.try_get(1)?,
            usable_until: until.map(Timestamp::from_micros),
        })
    })
    .transpose()
}

/// Notes that somebody got in with this password, which can be used until then; `false` if it is
/// theirs no more, because somebody else has changed it or used it for the one time.
pub(in crate::people) async fn enter(
    tx: &mut Tx,
    login: &Login,
    until: Option<Timestamp>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE people_account SET usable_until = $4 \
         WHERE id = $1 AND password = $2 AND COALESCE(usable_until, 0) = $3",
    )
    .bind(login.account)
    .bind(&login.password)
    .bind(login.usable_until.map_or(0, Timestamp::as_micros))
    .bind(until.map(Timestamp::as_micros))
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets a password: one for once if it is usable only until some time.
pub(in crate::people) async fn set_password(
    tx: &mut Tx,
    account: i64,
    password: &str,
    (now, until): (Timestamp, Option<Timestamp>),
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE people_account SET password = $2, must_change = $3, usable_until = $4, \
         changed_at = $5 WHERE id = $1",
    )
    .bind(account)
    .bind(password)
    .bind(i64::from(until.is_some()))
    .bind(until.map(Timestamp::as_micros))
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Sets where links are sent.
pub(in crate::people) async fn set_email(
    tx: &mut Tx,
    account: i64,
    email: Option<&Email>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_account SET email = $2 WHERE id = $1")
        .bind(account)
        .bind(email.map(|email| email.as_str().to_owned()))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Where links are sent, if that is known.
pub(in crate::people) async fn email(tx: &mut Tx, account: i64) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT email FROM people_account WHERE id = $1")
        .bind(account)
        .fetch_one(&mut **tx)
        .await
}

/// Gives an account other roles.
pub(in crate::people) async fn set_roles(
    tx: &mut Tx,
    account: i64,
    roles: &Roles,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_account SET roles = $2 WHERE id = $1")
        .bind(account)
        .bind(roles.to_string())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The numbers of all administrators. They are locked until the transaction ends, so that of two who
/// remove each other one stays.
pub(in crate::people) async fn administrators(tx: &mut Tx) -> sqlx::Result<Vec<i64>> {
    let rows = sqlx::query(
        "UPDATE people_account SET roles = roles WHERE roles LIKE '%administrator%' \
         RETURNING id, roles",
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found = Vec::new();
    for row in rows {
        if Roles::kept(&row.try_get::<String, _>(1)?).has(&Role::Administrator) {
            found.push(row.try_get(0)?);
        }
    }
    Ok(found)
}

/// Locks an account until the transaction ends, so that of two who change it one comes after the other.
pub(in crate::people) async fn lock(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_account SET roles = roles WHERE id = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Removes an account.
pub(in crate::people) async fn remove(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_account WHERE id = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Every account, by name.
pub(in crate::people) async fn accounts(store: &Store) -> sqlx::Result<Vec<Account>> {
    let rows = sqlx::query(
        "SELECT a.name, a.roles, a.email, a.must_change, i.until, i.note, \
         (SELECT COUNT(*) FROM people_factor f WHERE f.account = a.id) \
         + (SELECT COUNT(*) FROM people_security_key k WHERE k.account = a.id) AS factors, \
         a.created_at, a.changed_at, \
         (SELECT MAX(at) FROM people_event e WHERE e.account = a.id AND e.event IN ($1, $2)) AS last_in, \
         (SELECT COUNT(*) FROM people_session s WHERE s.account = a.id AND s.half = 0) AS sessions \
         FROM people_account a LEFT JOIN people_invitation i ON i.account = a.id ORDER BY a.name",
    )
    .bind(Event::SignedIn.words())
    .bind(Event::Accepted.words())
    .fetch_all(store.read())
    .await?;
    let account = |row: &AnyRow| {
        let last: Option<i64> = row.try_get("last_in")?;
        let until: Option<i64> = row.try_get("until")?;
        Ok(Account {
            name: row.try_get("name")?,
            roles: Roles::kept(&row.try_get::<String, _>("roles")?),
            must_change: row.try_get::<i64, _>("must_change")? != 0,
            created_at: time(row, "created_at")?,
            changed_at: time(row, "changed_at")?,
            email: row.try_get("email")?,
            invited_until: until.map(Timestamp::from_micros),
            letter: row.try_get("note")?,
            second_factor: row.try_get::<i64, _>("factors")? != 0,
            last_in: last.map(Timestamp::from_micros),
            sessions: row.try_get("sessions")?,
        })
    };
    rows.iter().map(account).collect()
}
