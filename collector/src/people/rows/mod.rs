//! The tables of people: accounts, sessions, and what happened at the door.

pub(super) mod account;
pub(super) mod event;
pub(super) mod factor;
pub(super) mod guess;
pub(super) mod invitation;
pub(super) mod security_key;
pub(super) mod session;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::store::{Schema, Tx};

/// The tables. Of a password and of a session's secret only hashes are kept; of a name that nobody
/// has nothing is, because it may be a password typed in the wrong field.
pub const SCHEMA: Schema = Schema {
    room: "people",
    steps: &[
        "CREATE TABLE people_account (
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
        CREATE INDEX people_event_account ON people_event (account, event, at)",
        // Who had an account before there were roles could do everything, and may still.
        "ALTER TABLE people_account ADD COLUMN roles TEXT NOT NULL DEFAULT '';
        UPDATE people_account SET roles = 'administrator';
        ALTER TABLE people_event ADD COLUMN author TEXT;
        ALTER TABLE people_event ADD COLUMN detail TEXT",
        "ALTER TABLE people_account ADD COLUMN email TEXT;
        ALTER TABLE people_session ADD COLUMN half BIGINT NOT NULL DEFAULT 0;
        CREATE TABLE people_invitation (
            account BIGINT PRIMARY KEY, hash {bytes} UNIQUE, made_at BIGINT NOT NULL,
            until BIGINT NOT NULL, send_at BIGINT, attempts BIGINT NOT NULL, note TEXT);
        CREATE TABLE people_factor (
            account BIGINT PRIMARY KEY, secret {bytes} NOT NULL, confirmed BIGINT NOT NULL,
            last_step BIGINT NOT NULL, made_at BIGINT NOT NULL);
        CREATE TABLE people_recovery (
            account BIGINT NOT NULL, hash {bytes} NOT NULL, PRIMARY KEY (account, hash))",
        // What was offered to an account is offered to a session from now on, and where a second
        // factor counts, only sessions that have shown it do.
        "DELETE FROM people_factor WHERE confirmed = 0;
        ALTER TABLE people_factor DROP COLUMN confirmed;
        ALTER TABLE people_session ADD COLUMN offer {bytes};
        ALTER TABLE people_session ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;
        CREATE INDEX people_event_time ON people_event (event, at)",
        "ALTER TABLE people_session ADD COLUMN challenge TEXT;
        ALTER TABLE people_session ADD COLUMN proved_at BIGINT;
        CREATE TABLE people_security_key (
            id {id}, account BIGINT NOT NULL, name TEXT NOT NULL, credential TEXT NOT NULL,
            made_at BIGINT NOT NULL, used_at BIGINT);
        CREATE INDEX people_security_key_account ON people_security_key (account)",
    ],
};

/// Forgets sessions that began, and what happened, before these times, and invitations that are over;
/// nobody is told of it.
pub(super) async fn prune(
    tx: &mut Tx,
    (began, at): (Timestamp, Timestamp),
    now: Timestamp,
) -> sqlx::Result<usize> {
    sqlx::query("DELETE FROM people_session WHERE created_at <= $1")
        .bind(began.as_micros())
        .execute(&mut **tx)
        .await?;
    sqlx::query("DELETE FROM people_invitation WHERE until <= $1")
        .bind(now.as_micros())
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

fn time(row: &AnyRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}
