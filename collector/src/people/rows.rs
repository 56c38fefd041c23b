//! The tables of people: accounts, sessions, and what happened at the door.

use std::net::IpAddr;

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::Session;
use crate::store::{Schema, Store, Tx};

/// The tables. Of a password and of a session's secret only hashes are kept; of a name that nobody
/// has nothing is, because it may be a password typed in the wrong field.
pub const SCHEMA: Schema = Schema {
    room: "people",
    steps: &["CREATE TABLE people_account (
            id {id}, name TEXT NOT NULL UNIQUE, password TEXT NOT NULL,
            must_change BIGINT NOT NULL, usable_until BIGINT, created_at BIGINT NOT NULL,
            changed_at BIGINT NOT NULL);
        CREATE TABLE people_session (
            hash {bytes} PRIMARY KEY, account BIGINT NOT NULL, created_at BIGINT NOT NULL,
            seen_at BIGINT NOT NULL);
        CREATE INDEX people_session_account ON people_session (account);
        CREATE TABLE people_event (
            id {id}, at BIGINT NOT NULL, event TEXT NOT NULL, account BIGINT, name TEXT,
            address {bytes});
        CREATE INDEX people_event_account ON people_event (account, event, at)"],
};

/// What happened at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Somebody signed in.
    SignedIn,
    /// Somebody tried to, and did not know the password or the name.
    Failed,
    /// Somebody signed out.
    SignedOut,
    /// Somebody chose another password.
    Changed,
    /// An account got a new one-time password.
    Reset,
    /// An account was made.
    Added,
    /// An account was removed.
    Removed,
}

impl Event {
    const ALL: [Self; 7] = [
        Self::SignedIn,
        Self::Failed,
        Self::SignedOut,
        Self::Changed,
        Self::Reset,
        Self::Added,
        Self::Removed,
    ];

    /// What happened, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Failed => "failed to sign in",
            Self::SignedOut => "signed out",
            Self::Changed => "changed the password",
            Self::Reset => "got a one-time password",
            Self::Added => "account made",
            Self::Removed => "account removed",
        }
    }

    /// What it is like, as the name of a class of the pages.
    pub const fn tone(self) -> &'static str {
        match self {
            Self::SignedIn | Self::Changed => "good",
            Self::Failed | Self::Reset => "warn",
            Self::SignedOut | Self::Added | Self::Removed => "dim",
        }
    }

    fn of(words: &str) -> sqlx::Result<Self> {
        let found = Self::ALL.into_iter().find(|event| event.words() == words);
        found.ok_or_else(|| sqlx::Error::Decode("people: an unknown event".into()))
    }
}

/// An account as people see it. Times are microseconds of UTC.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct Account {
    pub name: String,
    /// Whether a one-time password has to be changed still.
    pub must_change: bool,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub last_in: Option<Timestamp>,
    /// How many sessions have begun and not ended.
    pub sessions: i64,
}

/// Something that happened at the door.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct Happened {
    pub at: Timestamp,
    pub event: Event,
    /// `None` where the name was nobody's.
    pub name: Option<String>,
    pub address: Option<IpAddr>,
}

/// What it takes to sign in.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) account: i64,
    pub(super) password: String,
    pub(super) usable_until: Option<Timestamp>,
}

/// Whether anybody has, or ever had, an account.
pub(super) async fn is_somebody(store: &Store) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM people_account LIMIT 1")
        .fetch_optional(store.read())
        .await?;
    Ok(found.is_some())
}

/// Adds an account with a one-time password, unless there is one of this name: its number.
pub(super) async fn add(
    tx: &mut Tx,
    name: &str,
    password: &str,
    (now, until): (Timestamp, Timestamp),
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "INSERT INTO people_account \
         (name, password, must_change, usable_until, created_at, changed_at) \
         VALUES ($1, $2, 1, $3, $4, $4) ON CONFLICT (name) DO NOTHING RETURNING id",
    )
    .bind(name)
    .bind(password)
    .bind(until.as_micros())
    .bind(now.as_micros())
    .fetch_optional(&mut **tx)
    .await
}

/// What it takes to sign in as this name.
pub(super) async fn login<'a, E>(executor: E, name: &str) -> sqlx::Result<Option<Login>>
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

/// Sets a password: one for once if it is usable only until some time.
pub(super) async fn set_password(
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

/// Removes an account.
pub(super) async fn remove(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_account WHERE id = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Begins a session.
pub(super) async fn begin(
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
pub(super) async fn session(
    store: &Store,
    hash: [u8; 32],
    (began, used): (Timestamp, Timestamp),
) -> sqlx::Result<Option<(Session, Timestamp)>> {
    let row = sqlx::query(
        "SELECT a.id, a.name, a.must_change, s.seen_at \
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
            hash,
        };
        Ok((session, time(&row, "seen_at")?))
    })
    .transpose()
}

/// Notes that a session is in use.
pub(super) async fn seen(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE people_session SET seen_at = $2 WHERE hash = $1")
        .bind(hash.to_vec())
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends a session.
pub(super) async fn end(tx: &mut Tx, hash: &[u8; 32]) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_session WHERE hash = $1")
        .bind(hash.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Ends all sessions of an account.
pub(super) async fn end_all(tx: &mut Tx, account: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM people_session WHERE account = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Keeps what happened, to whose account, and from where.
pub(super) async fn remember(
    tx: &mut Tx,
    now: Timestamp,
    event: Event,
    who: Option<(i64, &str)>,
    address: Option<IpAddr>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO people_event (at, event, account, name, address) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(now.as_micros())
    .bind(event.words())
    .bind(who.map(|who| who.0))
    .bind(who.map(|who| who.1.to_owned()))
    .bind(address.map(bytes))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether somebody signed in to this account from this address since then.
pub(super) async fn came_from(
    store: &Store,
    account: i64,
    address: IpAddr,
    since: Timestamp,
) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM people_event \
         WHERE account = $1 AND event = $2 AND at > $3 AND address = $4 LIMIT 1",
    )
    .bind(account)
    .bind(Event::SignedIn.words())
    .bind(since.as_micros())
    .bind(bytes(address))
    .fetch_optional(store.read())
    .await?;
    Ok(found.is_some())
}

/// Every account, by name.
pub(super) async fn accounts(store: &Store) -> sqlx::Result<Vec<Account>> {
    let rows = sqlx::query(
        "SELECT a.name, a.must_change, a.created_at, a.changed_at, \
         (SELECT MAX(at) FROM people_event e WHERE e.account = a.id AND e.event = $1) AS last_in, \
         (SELECT COUNT(*) FROM people_session s WHERE s.account = a.id) AS sessions \
         FROM people_account a ORDER BY a.name",
    )
    .bind(Event::SignedIn.words())
    .fetch_all(store.read())
    .await?;
    let account = |row: &AnyRow| {
        let last: Option<i64> = row.try_get("last_in")?;
        Ok(Account {
            name: row.try_get("name")?,
            must_change: row.try_get::<i64, _>("must_change")? != 0,
            created_at: time(row, "created_at")?,
            changed_at: time(row, "changed_at")?,
            last_in: last.map(Timestamp::from_micros),
            sessions: row.try_get("sessions")?,
        })
    };
    rows.iter().map(account).collect()
}

/// What happened, the newest first.
pub(super) async fn happened(store: &Store, limit: i64) -> sqlx::Result<Vec<Happened>> {
    let rows = sqlx::query("SELECT * FROM people_event ORDER BY id DESC LIMIT $1")
        .bind(limit)
        .fetch_all(store.read())
        .await?;
    let happened = |row: &AnyRow| {
        let address: Option<Vec<u8>> = row.try_get("address")?;
        let address = address.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        Ok(Happened {
            at: time(row, "at")?,
            event: Event::of(&row.try_get::<String, _>("event")?)?,
            name: row.try_get("name")?,
            address: address.map(|bytes| IpAddr::from(bytes).to_canonical()),
        })
    };
    rows.iter().map(happened).collect()
}

/// Forgets sessions that began, and what happened, before these times; nobody is told of it.
pub(super) async fn prune(tx: &mut Tx, began: Timestamp, at: Timestamp) -> sqlx::Result<usize> {
    sqlx::query("DELETE FROM people_session WHERE created_at <= $1")
        .bind(began.as_micros())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "DELETE FROM people_event WHERE id IN \
         (SELECT id FROM people_event WHERE at < $1 ORDER BY id LIMIT 1000)",
    )
    .bind(at.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(0)
}

/// An address as it is kept: 16 bytes, IPv4 mapped into IPv6.
fn bytes(address: IpAddr) -> Vec<u8> {
    let kept = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    kept.octets().to_vec()
}

fn time(row: &AnyRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}
