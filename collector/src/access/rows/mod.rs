//! The room's tables: the only SQL.

pub(super) mod attack;
pub(super) mod counted;
pub(super) mod elevation;
pub(super) mod event;
pub(super) mod gap;
pub(super) mod listing;
pub(super) mod open;
pub(super) mod standing;
mod week;

use sqlx::AssertSqlSafe;
use watchward_protocol::time::Timestamp;

use crate::store::turn::Turn;
use crate::store::{Deadlines, Schema, Tx};

pub use week::week;

/// The room's tables.
///
/// `counts` is 1 for a failure, 2 for a login, and 0 for the rest. An address is found by the index
/// of its source, because each index that a flood scatters over costs as much as the row itself.
pub const SCHEMA: Schema = Schema {
    room: "access",
    steps: &[
        "CREATE TABLE access_event (
            id {id}, host {bytes} NOT NULL, host_name TEXT NOT NULL,
            lane BIGINT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
            at BIGINT NOT NULL, kept_at BIGINT NOT NULL, received_at BIGINT NOT NULL,
            judged_at BIGINT NOT NULL, boot {bytes} NOT NULL,
            service BIGINT NOT NULL, action BIGINT NOT NULL, outcome BIGINT NOT NULL,
            attempt BIGINT NOT NULL, form TEXT NOT NULL,
            user_name {bytes}, user_known BIGINT, address {bytes}, port BIGINT,
            source {bytes}, counts BIGINT NOT NULL, method TEXT, key_kind TEXT, key_fingerprint TEXT,
            certificate_id {bytes}, certificate_serial BIGINT, certificate_authority TEXT,
            pid BIGINT, trust BIGINT NOT NULL, line {bytes} NOT NULL,
            UNIQUE (host, epoch, seq, lane));
        CREATE INDEX access_event_at ON access_event (at);
        CREATE INDEX access_event_user ON access_event (user_name, at);
        CREATE INDEX access_event_host ON access_event (host_name, at);
        CREATE INDEX access_event_source ON access_event (source, counts, judged_at)
            WHERE source IS NOT NULL",
        "CREATE TABLE access_attack (
            source {bytes} PRIMARY KEY, since BIGINT NOT NULL, last_at BIGINT NOT NULL,
            failures BIGINT NOT NULL, told BIGINT NOT NULL, over_at BIGINT NOT NULL);
        CREATE INDEX access_attack_over ON access_attack (over_at)",
        "CREATE TABLE access_gap (
            id {id}, host {bytes} NOT NULL, host_name TEXT NOT NULL,
            lane BIGINT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
            received_at BIGINT NOT NULL, source TEXT NOT NULL,
            from_at BIGINT, to_at BIGINT NOT NULL, lost BIGINT, why TEXT NOT NULL,
            UNIQUE (host, epoch, seq, lane))",
        "CREATE TABLE access_standing (
            key TEXT PRIMARY KEY, since BIGINT NOT NULL, count BIGINT NOT NULL,
            told BIGINT NOT NULL, over_at BIGINT NOT NULL, ending TEXT NOT NULL);
        CREATE INDEX access_standing_over ON access_standing (over_at)",
        "DROP INDEX access_event_at; DROP INDEX access_event_user; DROP INDEX access_event_host;
        CREATE INDEX access_event_judged ON access_event (judged_at);
        CREATE INDEX access_event_judged_user ON access_event (user_name, judged_at);
        CREATE INDEX access_event_judged_host ON access_event (host_name, judged_at)",
        "ALTER TABLE access_event ADD COLUMN target {bytes};
        ALTER TABLE access_event ADD COLUMN tunnel_v4 {bytes};
        ALTER TABLE access_event ADD COLUMN tunnel_v6 {bytes};
        ALTER TABLE access_event ADD COLUMN command {bytes}",
        "CREATE TABLE access_turn (slot BIGINT PRIMARY KEY, turns BIGINT NOT NULL)",
    ],
};

/// How many rows are forgotten at a time.
const BATCH: u64 = 1000;

/// Forgets what came before `oldest`, as much as a turn takes.
///
/// What came first has the lowest ids, so no index by time is needed. The last row stays: SQLite
/// gives the id after it, and whoever watches counts on it.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    for table in ["access_event", "access_gap"] {
        let first = format!("SELECT received_at FROM {table} ORDER BY id LIMIT 1");
        let first: Option<i64> = sqlx::query_scalar(AssertSqlSafe(first))
            .fetch_optional(&mut **tx)
            .await?;
        if first.is_none_or(|first| first >= oldest.as_micros()) {
            continue;
        }
        let delete = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT {BATCH}) \
             AND received_at < $1 AND id < (SELECT MAX(id) FROM {table})"
        );
        let turn = Turn::begin();
        loop {
            let gone = sqlx::query(AssertSqlSafe(delete.as_str()))
                .bind(oldest.as_micros())
                .execute(&mut **tx)
                .await?;
            if !turn.goes_on(BATCH, gone.rows_affected()) {
                break;
            }
        }
    }
    Ok(())
}

/// What time brings about, unless hosts are heard.
pub const DEADLINES: Deadlines = &[("access_attack", "over_at"), ("access_standing", "over_at")];
