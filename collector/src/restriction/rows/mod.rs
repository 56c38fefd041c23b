//! The room's tables: the only SQL.

pub(super) mod ban;
pub(super) mod bans;
pub(super) mod deed;
pub(super) mod held;
pub(super) mod listener;
pub(super) mod listing;
pub(super) mod mark;
pub(super) mod net;
pub(super) mod sshd;
pub(super) mod standing;
pub(super) mod vantage;
mod week;

use watchward_protocol::time::Timestamp;

use crate::store::{Deadlines, Schema, Tx};

pub use week::week;

/// The room's tables.
///
/// `restriction_mark` has every login that came over a network, and every try from outside, as they
/// were judged when they came; `permitted` names the networks that were permitted then.
pub const SCHEMA: Schema = Schema {
    room: "restriction",
    steps: &["CREATE TABLE restriction_mark (
            id {id}, host {bytes} NOT NULL, host_name TEXT NOT NULL,
            lane BIGINT NOT NULL, epoch BIGINT NOT NULL, seq BIGINT NOT NULL,
            judged_at BIGINT NOT NULL, received_at BIGINT NOT NULL,
            service BIGINT NOT NULL, login BIGINT NOT NULL, place BIGINT NOT NULL,
            user_name {bytes}, user_known BIGINT, address {bytes} NOT NULL, permitted TEXT NOT NULL,
            UNIQUE (host, epoch, seq, lane));
        CREATE INDEX restriction_mark_login ON restriction_mark (judged_at) WHERE login = 1;
        CREATE INDEX restriction_mark_outside ON restriction_mark (judged_at) WHERE place = 2;
        CREATE TABLE restriction_standing (
            key TEXT PRIMARY KEY, since BIGINT NOT NULL, count BIGINT NOT NULL,
            over_at BIGINT NOT NULL, ending TEXT NOT NULL);
        CREATE INDEX restriction_standing_over ON restriction_standing (over_at)"],
};

/// Forgets what came before `oldest`, at most a thousand rows at a time. What came first has the
/// lowest ids, so no index by time is needed.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    let first: Option<i64> =
        sqlx::query_scalar("SELECT received_at FROM restriction_mark ORDER BY id LIMIT 1")
            .fetch_optional(&mut **tx)
            .await?;
    if first.is_none_or(|first| first >= oldest.as_micros()) {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM restriction_mark WHERE received_at < $1 \
         AND id IN (SELECT id FROM restriction_mark ORDER BY id LIMIT 1000)",
    )
    .bind(oldest.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What time brings about, unless hosts are heard.
pub const DEADLINES: Deadlines = &[("restriction_standing", "over_at")];
