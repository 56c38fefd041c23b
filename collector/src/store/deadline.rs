//! Deadlines that are rows: put off while the collector could hear nobody.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use watchward_protocol::time::Timestamp;

use super::Tx;

/// Columns that are deadlines, each with its table.
pub type Deadlines = &'static [(&'static str, &'static str)];

/// A deadline from here on (in the year 146108) never passes, and is not moved: the sum of the two
/// must stay a BIGINT, which PostgreSQL refuses to exceed and SQLite turns into a REAL.
const NEVER: i64 = i64::MAX / 2;

/// A collector that has not looked for longer than this was not there: it was stopped, or its
/// machine, its database was away, or its clock was set forward.
const ABSENT: Duration = Duration::from_secs(15);

/// For how long the collector could hear nobody, if it looked last at `last` and looks now.
pub(crate) fn away(last: Timestamp, now: Timestamp) -> Duration {
    Some(now.since(last))
        .filter(|span| *span > ABSENT)
        .unwrap_or_default()
}

/// Puts every deadline in these columns off.
///
/// # Errors
/// The database's.
pub(crate) async fn put_off(tx: &mut Tx, columns: Deadlines, away: Duration) -> sqlx::Result<()> {
    if away.is_zero() {
        return Ok(());
    }
    let away = i64::try_from(away.as_micros()).unwrap_or(NEVER).min(NEVER);
    for (table, column) in columns {
        let sql = format!("UPDATE {table} SET {column} = {column} + $1 WHERE {column} < $2");
        sqlx::query(AssertSqlSafe(sql))
            .bind(away)
            .bind(NEVER)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
