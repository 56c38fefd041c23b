//! Checks whose result is overdue.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::check::{Gone, gone};
use super::host;
use crate::health::judge::{Open, Trouble};
use crate::store::Tx;
use crate::store::value::stamp;

/// A check whose result is overdue, and that nobody was told of.
#[derive(Clone, Debug)]
pub(in crate::health) struct Check {
    /// Its host.
    pub(in crate::health) host: HostId,
    /// What people call the host.
    pub(in crate::health) host_name: String,
    /// Its name.
    pub(in crate::health) name: String,
    /// Of when its last result is, by the host's clock.
    pub(in crate::health) last_at: Timestamp,
    /// When its next result should have come.
    pub(in crate::health) due_at: Timestamp,
    /// When people are told, if the host is heard until then.
    pub(in crate::health) mute_at: Option<Timestamp>,
}

/// Hosts that have such checks, some hundred.
pub(in crate::health) async fn hosts(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<HostId>> {
    let rows = sqlx::query(
        "SELECT DISTINCT host FROM health_check \
         WHERE due_at <= $1 AND incidents < $2 AND gone_at IS NULL LIMIT 5000",
    )
    .bind(now.as_micros())
    .bind(TOLD)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(host).collect()
}

/// The bit of the highest trouble there is, so that who has it is known by comparing.
const TOLD: i64 = Open::only(Trouble::Mute).bits();

/// Those checks of a host.
pub(in crate::health) async fn checks(
    tx: &mut Tx,
    host: HostId,
    now: Timestamp,
) -> sqlx::Result<Vec<Check>> {
    let rows = sqlx::query(
        "SELECT host, host_name, check_name, last_at, due_at, mute_at FROM health_check \
         WHERE host = $1 AND due_at <= $2 AND incidents < $3 AND gone_at IS NULL \
         ORDER BY check_name",
    )
    .bind(host.as_bytes().to_vec())
    .bind(now.as_micros())
    .bind(TOLD)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(check).collect()
}

fn check(row: &AnyRow) -> sqlx::Result<Check> {
    let mute_at: Option<i64> = row.try_get("mute_at")?;
    Ok(Check {
        host: host(row)?,
        host_name: row.try_get("host_name")?,
        name: row.try_get("check_name")?,
        last_at: stamp(row.try_get("last_at")?),
        due_at: stamp(row.try_get("due_at")?),
        mute_at: mute_at.map(stamp),
    })
}

/// When a check of a host was last heard of, put off as its deadlines are.
pub(in crate::health) async fn heard(
    tx: &mut Tx,
    host: HostId,
    name: &str,
) -> sqlx::Result<Option<Timestamp>> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT heard_at FROM health_check \
         WHERE host = $1 AND check_name = $2 AND gone_at IS NULL",
    )
    .bind(host.as_bytes().to_vec())
    .bind(name)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.map(stamp))
}

/// Notes when people are to be told, or that there is no telling yet.
pub(in crate::health) async fn wait(
    tx: &mut Tx,
    check: &Check,
    mute_at: Option<Timestamp>,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE health_check SET mute_at = $1 WHERE host = $2 AND check_name = $3 AND due_at = $4",
    )
    .bind(mute_at.map(Timestamp::as_micros))
    .bind(check.host.as_bytes().to_vec())
    .bind(&check.name)
    .bind(check.due_at.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that people are told; `false` if another collector was faster, or a result came.
pub(in crate::health) async fn tell(tx: &mut Tx, check: &Check) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE health_check SET incidents = incidents + $1, mute_at = NULL \
         WHERE host = $2 AND check_name = $3 AND due_at = $4 AND incidents < $1",
    )
    .bind(TOLD)
    .bind(check.host.as_bytes().to_vec())
    .bind(&check.name)
    .bind(check.due_at.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes a check out.
pub(in crate::health) async fn take(tx: &mut Tx, check: &Check) -> sqlx::Result<Vec<Gone>> {
    let rows = sqlx::query(
        "DELETE FROM health_check WHERE host = $1 AND check_name = $2 AND due_at = $3 \
         RETURNING host, check_name, incidents",
    )
    .bind(check.host.as_bytes().to_vec())
    .bind(&check.name)
    .bind(check.due_at.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(gone).collect()
}

/// Notes that a host's agent does not run a check any more, with the parts that it has if its name
/// is that of a whole kind.
pub(in crate::health) async fn end(
    tx: &mut Tx,
    host: HostId,
    name: &str,
    gone_at: Timestamp,
) -> sqlx::Result<Vec<Gone>> {
    // `tcp.db` is one check; `host` has the parts `host.cpu`, `host.memory` and so on.
    let whole = i64::from(!name.contains('.'));
    let part = format!("{name}.");
    let length = i32::try_from(part.chars().count()).unwrap_or(i32::MAX);
    let rows = sqlx::query(
        "SELECT host, check_name, incidents FROM health_check WHERE host = $1 \
         AND (check_name = $2 OR $3 = 1 AND substr(check_name, 1, $4) = $5) \
         AND gone_at IS NULL",
    )
    .bind(host.as_bytes().to_vec())
    .bind(name)
    .bind(whole)
    .bind(length)
    .bind(part)
    .fetch_all(&mut **tx)
    .await?;
    let ended: Vec<_> = rows.iter().map(gone).collect::<sqlx::Result<_>>()?;
    for one in &ended {
        sqlx::query(
            "UPDATE health_check SET gone_at = $1, incidents = 0, mute_at = NULL \
             WHERE host = $2 AND check_name = $3",
        )
        .bind(gone_at.as_micros())
        .bind(host.as_bytes().to_vec())
        .bind(&one.check_name)
        .execute(&mut **tx)
        .await?;
    }
    Ok(ended)
}
