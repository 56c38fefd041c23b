//! Who came, as it is listed and counted.

use std::net::IpAddr;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::mark::SERVICES;
use crate::restriction::services::Service;
use crate::store::Store;
use crate::store::question::Question;
use crate::store::value::{address, fixed, sixteen, variant};

/// What is asked for of those from outside; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(in crate::restriction) struct Wanted {
    pub(in crate::restriction) since: Option<Timestamp>,
    pub(in crate::restriction) host: Option<String>,
    pub(in crate::restriction) user: Option<Vec<u8>>,
    pub(in crate::restriction) addresses: Option<(IpAddr, IpAddr)>,
    pub(in crate::restriction) login: Option<bool>,
    pub(in crate::restriction) limit: i64,
}

/// What holds of a row of `access_event` that came from outside.
pub const IS_OUTSIDE: &str = "EXISTS (SELECT 1 FROM restriction_mark AS mark \
    WHERE mark.host = access_event.host AND mark.epoch = access_event.epoch \
    AND mark.seq = access_event.seq AND mark.lane = access_event.lane AND mark.place = 2)";

/// Somebody who came from outside.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Kept {
    pub(in crate::restriction) id: i64,
    pub(in crate::restriction) judged_at: Timestamp,
    pub(in crate::restriction) host: String,
    pub(in crate::restriction) service: Service,
    pub(in crate::restriction) login: bool,
    pub(in crate::restriction) user: Option<(Foreign, bool)>,
    pub(in crate::restriction) address: IpAddr,
    pub(in crate::restriction) permitted: String,
}

/// The latest from outside of those that are wanted; in order.
pub(in crate::restriction) async fn outside(
    store: &Store,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Kept>> {
    let mut question = Question::default();
    question.add("place = ", Some(OUTSIDE));
    question.add("judged_at >= ", wanted.since.map(Timestamp::as_micros));
    question.add("host_name = ", wanted.host.clone());
    question.add("user_name = ", wanted.user.clone());
    question.add("login = ", wanted.login.map(i64::from));
    if let Some((low, high)) = wanted.addresses {
        question.add("address >= ", Some(sixteen(low).to_vec()));
        question.add("address <= ", Some(sixteen(high).to_vec()));
    }
    let rows = question.ask(store, (SELECT, LATEST), wanted.limit).await?;
    rows.iter().rev().map(kept).collect()
}

const SELECT: &str = "SELECT id, judged_at, host_name, service, login, user_name, user_known, \
    address, permitted FROM restriction_mark";
const LATEST: &str = " ORDER BY judged_at DESC, id DESC";

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        id: row.try_get("id")?,
        judged_at: Timestamp::from_micros(row.try_get("judged_at")?),
        host: row.try_get("host_name")?,
        service: variant(&SERVICES, row.try_get("service")?)?,
        login: row.try_get::<i64, _>("login")? == 1,
        user: user(row)?,
        address: address(fixed(row.try_get("address")?)?),
        permitted: row.try_get("permitted")?,
    })
}

/// How many logins came from an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::restriction) struct Logins {
    pub(in crate::restriction) address: IpAddr,
    pub(in crate::restriction) count: i64,
}

/// How many logins came from each address since then, to whatever host.
pub(in crate::restriction) async fn logins(
    store: &Store,
    since: Timestamp,
) -> sqlx::Result<Vec<Logins>> {
    let rows = sqlx::query(
        "SELECT address, COUNT(*) AS many FROM restriction_mark \
         WHERE login = 1 AND judged_at >= $1 GROUP BY address",
    )
    .bind(since.as_micros())
    .fetch_all(store.read())
    .await?;
    let logins = |row: &AnyRow| {
        Ok(Logins {
            address: address(fixed(row.try_get("address")?)?),
            count: row.try_get("many")?,
        })
    };
    rows.iter().map(logins).collect()
}

/// An account that was used, and from where.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Came {
    pub(in crate::restriction) host: String,
    pub(in crate::restriction) service: Service,
    pub(in crate::restriction) user: Option<(Foreign, bool)>,
    pub(in crate::restriction) address: IpAddr,
    pub(in crate::restriction) count: i64,
    pub(in crate::restriction) first_at: Timestamp,
    pub(in crate::restriction) last_at: Timestamp,
}

/// The place of those who came from outside.
pub(in crate::restriction) const OUTSIDE: i64 = 2;

/// Who logged in since then, to any host or to this one, from any place or from this one; the latest
/// first.
pub(in crate::restriction) async fn came(
    store: &Store,
    since: Timestamp,
    (host, place): (Option<&str>, Option<i64>),
    limit: i64,
) -> sqlx::Result<Vec<Came>> {
    let mut question = Question::default();
    question.add("place = ", place);
    question.add("login = ", Some(1_i64));
    question.add("judged_at >= ", Some(since.as_micros()));
    question.add("host_name = ", host.map(str::to_owned));
    let rows = question.ask(store, (ACCOUNTS, BY_ACCOUNT), limit).await?;
    let came = |row: &AnyRow| {
        Ok(Came {
            host: row.try_get("host_name")?,
            service: variant(&SERVICES, row.try_get("service")?)?,
            user: user(row)?,
            address: address(fixed(row.try_get("address")?)?),
            count: row.try_get("many")?,
            first_at: Timestamp::from_micros(row.try_get("first_at")?),
            last_at: Timestamp::from_micros(row.try_get("last_at")?),
        })
    };
    rows.iter().map(came).collect()
}

const ACCOUNTS: &str = "SELECT host_name, service, user_name, user_known, address, \
    COUNT(*) AS many, MIN(judged_at) AS first_at, MAX(judged_at) AS last_at FROM restriction_mark";
const BY_ACCOUNT: &str =
    " GROUP BY host_name, service, user_name, user_known, address ORDER BY last_at DESC";

fn user(row: &AnyRow) -> sqlx::Result<Option<(Foreign, bool)>> {
    let name: Option<Vec<u8>> = row.try_get("user_name")?;
    let known = row.try_get::<Option<i64>, _>("user_known")? == Some(1);
    Ok(name.map(|name| (Foreign::from(name), known)))
}
