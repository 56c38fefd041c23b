//! Who came from outside and who was shut out, in numbers: for the report.

use watchward_protocol::report::Bans;
use watchward_protocol::time::Timestamp;

use super::listing::OUTSIDE;
use crate::store::Store;

/// How many logins came from outside from then until then, and how many bans began and hold.
///
/// # Errors
/// The database's.
pub async fn week(store: &Store, (from, to): (Timestamp, Timestamp)) -> sqlx::Result<(u64, Bans)> {
    let count = async |sql: &'static str| -> sqlx::Result<u64> {
        let count: i64 = sqlx::query_scalar(sql)
            .bind(from.as_micros())
            .bind(to.as_micros())
            .bind(OUTSIDE)
            .fetch_one(store.read())
            .await?;
        Ok(count.unsigned_abs())
    };
    let outside = "SELECT COUNT(*) FROM restriction_mark \
        WHERE login = 1 AND judged_at >= $1 AND judged_at < $2 AND place = $3";
    let begun = "SELECT COUNT(*) FROM restriction_ban \
        WHERE decided_at >= $1 AND decided_at < $2 AND $3 = $3";
    let hold = "SELECT COUNT(*) FROM restriction_ban \
        WHERE holds = 1 AND $1 = $1 AND $2 = $2 AND $3 = $3";
    let bans = Bans {
        begun: count(begun).await?,
        hold: count(hold).await?,
    };
    Ok((count(outside).await?, bans))
}
