//! Who came, in numbers: for the report.

use sqlx::Row;
use watchward_protocol::access::Outcome;
use watchward_protocol::report::Access;
use watchward_protocol::time::Timestamp;

use super::event::OUTCOMES;
use crate::store::Store;
use crate::store::value::variant;

/// How many tries there were from then until then, and how many gaps. Who came from outside, another
/// room knows.
///
/// # Errors
/// The database's.
pub async fn week(store: &Store, (from, to): (Timestamp, Timestamp)) -> sqlx::Result<Access> {
    let mut access = Access::default();
    let sql = "SELECT outcome, COUNT(*) AS tries FROM access_event \
        WHERE attempt = 1 AND judged_at >= $1 AND judged_at < $2 GROUP BY outcome";
    let tries = sqlx::query(sql).bind(from.as_micros()).bind(to.as_micros());
    for row in tries.fetch_all(store.read()).await? {
        let count = row.try_get::<i64, _>("tries")?.unsigned_abs();
        match variant(&OUTCOMES, row.try_get("outcome")?)? {
            Outcome::Success => access.accepted = count,
            Outcome::Failure => access.refused = count,
            Outcome::Unknown => {}
        }
    }
    let sql = "SELECT COUNT(*) FROM access_gap WHERE received_at >= $1 AND received_at < $2";
    let gaps = sqlx::query_scalar(sql)
        .bind(from.as_micros())
        .bind(to.as_micros());
    let gaps: i64 = gaps.fetch_one(store.read()).await?;
    access.gaps = gaps.unsigned_abs();
    Ok(access)
}
