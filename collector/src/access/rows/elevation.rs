//! Failures of sudo and su, asked about by host and user.

use sqlx::AssertSqlSafe;
use watchward_protocol::access::{Service, Trust};
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::event::{SERVICES, TRUSTS, clip};
use crate::store::Tx;
use crate::store::value::{code, stamp, variant};

/// More than these are not looked at: enough for any threshold that makes sense.
const MOST: i64 = 10_000;

/// Which events: of one host and user, and of these two services. Read by the index of users.
fn of_user(what: &str, end: &str) -> String {
    let [sudo, su] = [Service::Sudo, Service::Su].map(|service| code(&SERVICES, &service));
    format!(
        "SELECT {what} FROM access_event WHERE user_name = $1 AND judged_at >= $2 \
         AND judged_at <= $3 AND host = $4 AND counts = 1 AND service IN ({sudo}, {su}) {end}"
    )
}

/// When a user failed within a span, in order.
pub(in crate::access) async fn failures(
    tx: &mut Tx,
    host: HostId,
    user: &Foreign,
    (from, to): (Timestamp, Timestamp),
) -> sqlx::Result<Vec<Timestamp>> {
    let sql = of_user("judged_at", "ORDER BY judged_at LIMIT $5");
    let times: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(clip(user.as_bytes()).to_vec())
        .bind(from.as_micros())
        .bind(to.as_micros())
        .bind(host.as_bytes().to_vec())
        .bind(MOST)
        .fetch_all(&mut **tx)
        .await?;
    Ok(times.into_iter().map(stamp).collect())
}

/// A failure as an alert tells of it.
#[derive(Clone, Debug)]
pub(in crate::access) struct Failure {
    /// Whether `su` said it, and not `sudo`.
    pub(in crate::access) by_su: bool,
    /// The account that was asked for.
    pub(in crate::access) target: Option<Foreign>,
    /// Why it failed.
    pub(in crate::access) form: String,
    /// How sure it is that the program itself said so.
    pub(in crate::access) trust: Trust,
}

/// The latest failures of a user since a moment.
pub(in crate::access) async fn witnesses(
    tx: &mut Tx,
    host: HostId,
    user: &Foreign,
    since: Timestamp,
) -> sqlx::Result<Vec<Failure>> {
    let sql = of_user(
        "service, target, form, trust",
        "ORDER BY judged_at DESC LIMIT 500",
    );
    let rows: Vec<(i64, Option<Vec<u8>>, String, i64)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(clip(user.as_bytes()).to_vec())
        .bind(since.as_micros())
        .bind(i64::MAX)
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    let su = code(&SERVICES, &Service::Su);
    let failure = |(service, target, form, trust): (_, Option<Vec<u8>>, _, _)| {
        Ok(Failure {
            by_su: service == su,
            target: target.map(Foreign::from),
            form,
            trust: variant(&TRUSTS, trust)?,
        })
    };
    rows.into_iter().map(failure).collect()
}
