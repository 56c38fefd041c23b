//! The room's tables: hosts here, enrolment tokens and what agents found beside.

pub(super) mod finding;
mod listing;
pub(super) mod token;

use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::judge::Seen;
use crate::intake::{Behind, Host, Watched};
use crate::store::{Schema, Store, Tx};

pub(super) use listing::{HostRow, Which, hosts};

/// The room's tables.
///
/// Of a host, `epoch` is which life of its spool it speaks of, `behind` how many records wait there,
/// and `behind_since` when the oldest of them was kept, by the collector's clock.
pub const SCHEMA: Schema = Schema {
    room: "hosts",
    steps: &[
        "CREATE TABLE host (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, enrolled_at BIGINT NOT NULL,
            revoked_at BIGINT, version TEXT NOT NULL, system TEXT NOT NULL,
            seen_at BIGINT NOT NULL, deadline BIGINT NOT NULL, silent BIGINT NOT NULL,
            certificate_expires BIGINT NOT NULL);
        CREATE UNIQUE INDEX host_name ON host (name) WHERE revoked_at IS NULL;
        CREATE TABLE host_finding (
            id {id}, host_id TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL,
            detail TEXT NOT NULL, at BIGINT NOT NULL, UNIQUE (host_id, subject));
        CREATE TABLE host_token (
            hash TEXT PRIMARY KEY, host TEXT NOT NULL, created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL, used_at BIGINT);
        CREATE TABLE collector_seen (one BIGINT PRIMARY KEY, at BIGINT NOT NULL)",
        "ALTER TABLE host ADD COLUMN epoch BIGINT;
        ALTER TABLE host ADD COLUMN behind BIGINT;
        ALTER TABLE host ADD COLUMN behind_since BIGINT",
        // Whoever follows what comes asks for greater numbers, so that none may come twice.
        "ALTER TABLE host_finding RENAME TO host_finding_before;
        CREATE TABLE host_finding (
            id {id once}, host_id TEXT NOT NULL, subject TEXT NOT NULL, state TEXT NOT NULL,
            detail TEXT NOT NULL, at BIGINT NOT NULL, UNIQUE (host_id, subject));
        INSERT INTO host_finding (host_id, subject, state, detail, at)
            SELECT host_id, subject, state, detail, at FROM host_finding_before ORDER BY id;
        DROP TABLE host_finding_before",
    ],
};

/// Adds a host that has just enrolled.
pub(super) async fn add_host(
    tx: &mut Tx,
    host: &Host,
    (now, deadline): (Timestamp, Timestamp),
    expires: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO host (id, name, enrolled_at, version, system, seen_at, deadline, silent, \
         certificate_expires) VALUES ($1, $2, $3, '', '', $3, $4, 0, $5)",
    )
    .bind(host.id.to_string())
    .bind(&host.name)
    .bind(now.as_micros())
    .bind(deadline.as_micros())
    .bind(expires.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Revokes whatever host has this name; says which.
pub(super) async fn revoke(tx: &mut Tx, name: &str, now: Timestamp) -> sqlx::Result<Vec<HostId>> {
    let rows = sqlx::query(
        "UPDATE host SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING id",
    )
    .bind(name)
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(id).collect()
}

/// How many hosts are revoked, and when the last was: other numbers say that one was.
pub(super) async fn revocations(store: &Store) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "SELECT COUNT(*), COALESCE(MAX(revoked_at), 0) FROM host WHERE revoked_at IS NOT NULL",
    )
    .fetch_one(store.read())
    .await
}

/// Forgets hosts that were revoked before `oldest`, a hundred at a time; says which.
pub(super) async fn forget(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<Vec<HostId>> {
    let rows = sqlx::query(
        "DELETE FROM host WHERE id IN (SELECT id FROM host WHERE revoked_at < $1 LIMIT 100) \
         RETURNING id",
    )
    .bind(oldest.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    let gone: Vec<_> = rows.iter().map(id).collect::<sqlx::Result<_>>()?;
    for host in &gone {
        sqlx::query("DELETE FROM host_finding WHERE host_id = $1")
            .bind(host.to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(gone)
}

/// How many hosts are heard, silent and revoked.
pub(super) async fn states(store: &Store) -> sqlx::Result<[(&'static str, i64); 3]> {
    let (heard, silent, revoked) = sqlx::query_as(
        "SELECT COUNT(CASE WHEN revoked_at IS NULL AND silent = 0 THEN 1 END), \
         COUNT(CASE WHEN revoked_at IS NULL AND silent = 1 THEN 1 END), \
         COUNT(revoked_at) FROM host",
    )
    .fetch_one(store.read())
    .await?;
    Ok([("heard", heard), ("silent", silent), ("revoked", revoked)])
}

/// A host that may talk to us.
pub(super) async fn live(store: &Store, id: HostId) -> sqlx::Result<Option<Host>> {
    let name: Option<String> =
        sqlx::query_scalar("SELECT name FROM host WHERE id = $1 AND revoked_at IS NULL")
            .bind(id.to_string())
            .fetch_optional(store.read())
            .await?;
    Ok(name.map(|name| Host { id, name }))
}

/// The names of the hosts that are watched, in order.
pub fn names(store: &Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>> {
    let names = sqlx::query_scalar("SELECT name FROM host WHERE revoked_at IS NULL ORDER BY name");
    Box::pin(names.fetch_all(store.read()))
}

/// The names of all hosts, also of those that were revoked.
pub(super) async fn every_name(store: &Store) -> sqlx::Result<Vec<String>> {
    let names = sqlx::query_scalar("SELECT DISTINCT name FROM host ORDER BY name");
    names.fetch_all(store.read()).await
}

/// The hosts that are watched, by name.
pub fn watched(store: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async move {
        let sql = "SELECT id, name, silent FROM host WHERE revoked_at IS NULL ORDER BY name";
        let rows = sqlx::query(sql).fetch_all(store.read()).await?;
        let watched = |row: &AnyRow| {
            let (id, name) = (id(row)?, row.try_get(1)?);
            Ok(Watched {
                host: Host { id, name },
                is_silent: row.try_get::<i64, _>(2)? != 0,
            })
        };
        rows.iter().map(watched).collect()
    })
}

pub(super) async fn set_expiry(tx: &mut Tx, id: HostId, at: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE host SET certificate_expires = $2 WHERE id = $1")
        .bind(id.to_string())
        .bind(at.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Notes a sign of life, and says what was known before: whether the host was silent, and since
/// then when it was last heard.
///
/// Beware: another collector may find it silent at the same time. The first statement waits for
/// that and sees it, so that silence is never taken back without being told.
pub(super) async fn seen(
    tx: &mut Tx,
    id: HostId,
    now: Timestamp,
    deadline: Timestamp,
) -> sqlx::Result<Option<(bool, Timestamp)>> {
    let was = sqlx::query(
        "UPDATE host SET deadline = $3, seen_at = CASE silent WHEN 0 THEN $2 ELSE seen_at END \
         WHERE id = $1 AND revoked_at IS NULL RETURNING silent, seen_at",
    )
    .bind(id.to_string())
    .bind(now.as_micros())
    .bind(deadline.as_micros())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(was) = was else { return Ok(None) };
    let was = (was.try_get::<i64, _>(0)? != 0, time(&was, 1)?);
    if was.0 {
        sqlx::query("UPDATE host SET silent = 0, seen_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(now.as_micros())
            .execute(&mut **tx)
            .await?;
    }
    Ok(Some(was))
}

/// Keeps how much waits on a host. Most have nothing to say that is new, and write nothing.
pub(super) async fn set_backlog(tx: &mut Tx, one: &Behind, now: Timestamp) -> sqlx::Result<()> {
    let Behind {
        host,
        epoch,
        backlog,
    } = one;
    let since = (backlog.records > 0).then(|| (now - backlog.oldest).as_micros());
    sqlx::query(
        "UPDATE host SET epoch = $2, behind = $3, behind_since = $4 WHERE id = $1 \
         AND (epoch IS NULL OR epoch <> $2 OR behind <> $3 OR behind > 0)",
    )
    .bind(host.id.to_string())
    .bind(epoch.0.cast_signed())
    .bind(i64::try_from(backlog.records).unwrap_or(i64::MAX))
    .bind(since)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Hosts whose deadline has passed and that are not known to be silent.
pub(super) async fn overdue(store: &Store, now: Timestamp) -> sqlx::Result<Vec<Seen>> {
    let rows = sqlx::query(
        "SELECT id, name, seen_at FROM host \
         WHERE silent = 0 AND revoked_at IS NULL AND deadline < $1 ORDER BY id",
    )
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    let seen = |row: AnyRow| {
        let host = Host {
            id: id(&row)?,
            name: row.try_get(1)?,
        };
        Ok(Seen {
            host,
            last: time(&row, 2)?,
        })
    };
    rows.into_iter().map(seen).collect()
}

/// Has a host be silent if its deadline has passed still; says whether it has.
pub(super) async fn fall_silent(tx: &mut Tx, id: HostId, now: Timestamp) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE host SET silent = 1 \
         WHERE id = $1 AND silent = 0 AND revoked_at IS NULL AND deadline < $2",
    )
    .bind(id.to_string())
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives every host that is not silent until `grace` to be heard.
pub(super) async fn put_off(tx: &mut Tx, grace: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE host SET deadline = $1 \
         WHERE deadline < $1 AND silent = 0 AND revoked_at IS NULL",
    )
    .bind(grace.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// When the collector last noted that it was there.
pub(super) async fn collector_seen<'a, E>(executor: E) -> sqlx::Result<Option<Timestamp>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let found: Option<i64> = sqlx::query_scalar("SELECT at FROM collector_seen WHERE one = 1")
        .fetch_optional(executor)
        .await?;
    Ok(found.map(Timestamp::from_micros))
}

pub(super) async fn set_collector_seen(tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO collector_seen (one, at) VALUES (1, $1) \
         ON CONFLICT (one) DO UPDATE SET at = excluded.at",
    )
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether a host of this name may talk to us.
///
/// # Errors
/// The database's.
pub async fn is_known(store: &Store, name: &str) -> sqlx::Result<bool> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT id FROM host WHERE name = $1 AND revoked_at IS NULL")
            .bind(name)
            .fetch_optional(store.read())
            .await?;
    Ok(found.is_some())
}

fn id(row: &AnyRow) -> sqlx::Result<HostId> {
    let text: String = row.try_get("id")?;
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn time(row: &AnyRow, column: usize) -> sqlx::Result<Timestamp> {
    Ok(Timestamp::from_micros(row.try_get(column)?))
}
