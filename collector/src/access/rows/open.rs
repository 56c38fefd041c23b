//! Logins after which nothing says that the session ended.

use std::net::IpAddr;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::access::{Action, Service};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::event::{ACTIONS, SERVICES, counts_code};
use crate::access::Open;
use crate::access::address::Source;
use crate::access::judge::Counts;
use crate::store::Store;
use crate::store::value::{code, sixteen, stamp, variant};

/// How many are told.
const MOST: i64 = 2000;

/// Such sessions from an address; the latest first. An end names the process, which is one for each
/// login of sshd, or the port that it came from. None outlives a start of its host.
pub(in crate::access) async fn open(
    store: &Store,
    from: IpAddr,
    since: Timestamp,
) -> sqlx::Result<Vec<Open>> {
    let rows = sqlx::query(OPEN)
        .bind(Source::of(from).as_bytes().to_vec())
        .bind(counts_code(Counts::Login))
        .bind(since.as_micros())
        .bind(sixteen(from).to_vec())
        .bind(code(&ACTIONS, &Action::SessionClosed))
        .bind(code(&SERVICES, &Service::Sshd))
        .bind(MOST)
        .fetch_all(store.read())
        .await?;
    let session = |row: &AnyRow| {
        let user: Option<Vec<u8>> = row.try_get("user_name")?;
        Ok(Open {
            since: stamp(row.try_get("judged_at")?),
            host: row.try_get("host_name")?,
            service: variant(&SERVICES, row.try_get("service")?)?,
            user: user.map(Foreign::from),
        })
    };
    rows.iter().map(session).collect()
}

const OPEN: &str = "SELECT e.judged_at, e.host_name, e.service, e.user_name FROM access_event AS e \
    WHERE e.source = $1 AND e.counts = $2 AND e.judged_at >= $3 AND e.address = $4 \
    AND e.boot = (SELECT l.boot FROM access_event AS l WHERE l.host_name = e.host_name \
        ORDER BY l.judged_at DESC LIMIT 1) \
    AND NOT EXISTS (SELECT 1 FROM access_event AS c WHERE c.source = e.source AND c.counts = 0 \
        AND c.judged_at >= e.judged_at AND c.host = e.host AND c.action = $5 \
        AND c.address = e.address AND c.port = e.port AND c.id > e.id) \
    AND NOT EXISTS (SELECT 1 FROM access_event AS c WHERE c.user_name = e.user_name \
        AND c.judged_at >= e.judged_at AND c.host = e.host AND c.action = $5 \
        AND c.service = e.service AND e.service = $6 AND c.pid = e.pid AND c.id > e.id) \
    ORDER BY e.judged_at DESC LIMIT $7";
