//! Logins after which nothing says that the session ended.

use sqlx::Row;
use watchward_protocol::access::{Action, Service};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::event::{ACTIONS, SERVICES, counts_code};
use crate::access::Whence;
use crate::access::address::Source;
use crate::access::judge::Counts;
use crate::store::Store;
use crate::store::value::{code, sixteen, stamp};

/// How many logins are looked at, the latest.
const LOOKED: i64 = 500;

/// When such sessions began, and whose they are; the latest first. An end names the process, which is
/// one for each login of sshd, or the port that it came from. None outlives a start of its host.
pub(in crate::access) async fn open(
    store: &Store,
    whence: &Whence<'_>,
    since: Timestamp,
) -> sqlx::Result<Vec<(Timestamp, Option<Foreign>)>> {
    let rows = sqlx::query(OPEN)
        .bind(Source::of(whence.address).as_bytes().to_vec())
        .bind(counts_code(Counts::Login))
        .bind(since.as_micros())
        .bind(whence.host)
        .bind(sixteen(whence.address).to_vec())
        .bind(code(&SERVICES, &whence.service))
        .bind(code(&ACTIONS, &Action::SessionClosed))
        .bind(code(&SERVICES, &Service::Sshd))
        .bind(LOOKED)
        .fetch_all(store.read())
        .await?;
    let session = |row: &sqlx::any::AnyRow| {
        let user: Option<Vec<u8>> = row.try_get("user_name")?;
        Ok((stamp(row.try_get("judged_at")?), user.map(Foreign::from)))
    };
    rows.iter().map(session).collect()
}

const OPEN: &str = "SELECT e.judged_at, e.user_name FROM access_event AS e \
    WHERE e.source = $1 AND e.counts = $2 AND e.judged_at >= $3 AND e.host_name = $4 \
    AND e.address = $5 AND e.service = $6 \
    AND e.boot = (SELECT l.boot FROM access_event AS l WHERE l.host_name = e.host_name \
        ORDER BY l.judged_at DESC LIMIT 1) \
    AND NOT EXISTS (SELECT 1 FROM access_event AS c WHERE c.source = e.source AND c.counts = 0 \
        AND c.judged_at >= e.judged_at AND c.host = e.host AND c.action = $7 \
        AND c.address = e.address AND c.port = e.port AND c.id > e.id) \
    AND NOT EXISTS (SELECT 1 FROM access_event AS c WHERE c.user_name = e.user_name \
        AND c.judged_at >= e.judged_at AND c.host = e.host AND c.action = $7 \
        AND c.service = e.service AND e.service = $8 AND c.pid = e.pid AND c.id > e.id) \
    ORDER BY e.judged_at DESC LIMIT $9";
