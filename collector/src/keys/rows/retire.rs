//! Keys that are to go, and what people were told of each.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::maybe_stamp;
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// The table. What is told is the incident's detail; none, while there is none.
pub(super) const TABLES: &str = "CREATE TABLE keys_retiring (
            fingerprint TEXT PRIMARY KEY, since BIGINT NOT NULL, used TEXT, held TEXT)";

/// And that it should have gone.
pub(super) const MISSED: &str = "ALTER TABLE keys_retiring ADD COLUMN missed TEXT";

/// And since when it stands nowhere.
pub(super) const AWAY: &str = "ALTER TABLE keys_retiring ADD COLUMN away_at BIGINT";

/// Since when a key is to go, and what people were told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Retiring {
    pub(in crate::keys) since: Timestamp,
    /// Since when it opens nothing, although it may be back.
    pub(in crate::keys) away_at: Option<Timestamp>,
    pub(in crate::keys) used: Option<String>,
    pub(in crate::keys) held: Option<String>,
    pub(in crate::keys) missed: Option<String>,
}

impl Retiring {
    /// Since when it is to go, without the time that it was away.
    pub(in crate::keys) fn begun(&self, now: Timestamp) -> Timestamp {
        self.since + self.away_at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// The same while it opens nothing: people are told nothing of it.
    pub(in crate::keys) fn away(&self, now: Timestamp) -> Self {
        Self {
            since: self.since,
            away_at: self.away_at.or(Some(now)),
            used: None,
            held: None,
            missed: None,
        }
    }
}

/// A place where a key opens an account.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Standing {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) host: String,
    pub(in crate::keys) account: Foreign,
    pub(in crate::keys) comment: Foreign,
    /// When it is too old there.
    pub(in crate::keys) due_at: Option<Timestamp>,
    pub(in crate::keys) used_at: Option<Timestamp>,
    pub(in crate::keys) used_from: Option<String>,
}

impl Standing {
    /// As people write it. Safe for a terminal.
    pub(in crate::keys) fn name(&self) -> String {
        let host = Foreign::from(self.host.as_str());
        format!("{}@{}", self.account.shortened(32), host.shortened(40))
    }
}

/// Everywhere that a key opens something which is too old anywhere.
pub(in crate::keys) async fn overdue(store: &Store, now: Timestamp) -> sqlx::Result<Vec<Standing>> {
    let rows = sqlx::query(
        "SELECT fingerprint, host_name, holder, comment, due_at, used_at, used_from FROM keys_opening \
         WHERE gone_at IS NULL AND means IN (0, 1) AND (not_after IS NULL OR not_after > $1) \
         AND fingerprint IN (SELECT fingerprint FROM keys_opening WHERE gone_at IS NULL AND means = 0 \
          AND due_at <= $1 AND (not_after IS NULL OR not_after > $1)) \
         ORDER BY fingerprint, host_name, holder",
    )
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        Ok(Standing {
            fingerprint: row.try_get("fingerprint")?,
            host: row.try_get("host_name")?,
            account: Foreign::from(row.try_get::<Vec<u8>, _>("holder")?),
            comment: Foreign::from(row.try_get::<Vec<u8>, _>("comment")?),
            due_at: maybe_stamp(row, "due_at")?,
            used_at: maybe_stamp(row, "used_at")?,
            used_from: row.try_get("used_from")?,
        })
    };
    rows.iter().map(one).collect()
}

/// Those of them that stood somewhere where they open nothing now: they may be back at any time.
pub(in crate::keys) async fn away(store: &Store, now: Timestamp) -> sqlx::Result<HashSet<String>> {
    let sql = "SELECT fingerprint FROM keys_retiring r WHERE EXISTS (SELECT 1 FROM keys_opening o \
        WHERE o.fingerprint = r.fingerprint AND o.means = 0 \
        AND (o.gone_at IS NOT NULL OR o.not_after <= $1))";
    let all: Vec<String> = sqlx::query_scalar(sql)
        .bind(now.as_micros())
        .fetch_all(store.read())
        .await?;
    Ok(all.into_iter().collect())
}

/// The keys that are to go, by fingerprint.
pub(in crate::keys) async fn retiring(store: &Store) -> sqlx::Result<HashMap<String, Retiring>> {
    let rows =
        sqlx::query("SELECT fingerprint, since, away_at, used, held, missed FROM keys_retiring")
            .fetch_all(store.read())
            .await?;
    let one = |row: &AnyRow| {
        let retiring = Retiring {
            since: stamp(row.try_get("since")?),
            away_at: maybe_stamp(row, "away_at")?,
            used: row.try_get("used")?,
            held: row.try_get("held")?,
            missed: row.try_get("missed")?,
        };
        Ok((row.try_get("fingerprint")?, retiring))
    };
    rows.iter().map(one).collect()
}

/// Keeps what was told of a key that is to go.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    fingerprint: &str,
    one: &Retiring,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_retiring (fingerprint, since, away_at, used, held, missed) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (fingerprint) DO UPDATE SET \
         since = excluded.since, away_at = excluded.away_at, used = excluded.used, \
         held = excluded.held, missed = excluded.missed",
    )
    .bind(fingerprint.to_owned())
    .bind(one.since.as_micros())
    .bind(one.away_at.map(Timestamp::as_micros))
    .bind(one.used.clone())
    .bind(one.held.clone())
    .bind(one.missed.clone())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A key is not to go any more, or has gone.
pub(in crate::keys) async fn forget(tx: &mut Tx, fingerprint: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_retiring WHERE fingerprint = $1")
        .bind(fingerprint.to_owned())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
