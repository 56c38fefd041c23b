//! Sessions that were opened with a key which is revoked, and what became of them.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments::{self, Way};
use watchward_protocol::receipt::How;
use watchward_protocol::report::Sessions;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::host_id;
use crate::intake::Host;
use crate::store::bulk::without_nul;
use crate::store::value::{code, stamp, variant};
use crate::store::{Store, Tx};

// What the database has for a variant is its place in this list: only ever append.
const HOW: [How; 3] = [How::Ended, How::Gone, How::Alive];

/// How long what may live on is told of, and that a session lives.
const TOLD: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// A session, and what became of it. Texts of the host are safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Ended {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) host: HostId,
    pub(in crate::keys) name: String,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) account: Foreign,
    pub(in crate::keys) address: Option<String>,
    pub(in crate::keys) opened_at: Timestamp,
    pub(in crate::keys) leader: u32,
    pub(in crate::keys) how: How,
    pub(in crate::keys) why: String,
    pub(in crate::keys) survivors: Vec<String>,
}

impl Ended {
    /// As a host tells it.
    pub(in crate::keys) fn of(host: &Host, told: &instruments::Ended) -> Self {
        let (how, why) = match &told.how {
            Way::Ended => (How::Ended, ""),
            Way::Gone => (How::Gone, ""),
            Way::Refused(why) => (How::Alive, why.as_str()),
        };
        let safe = |text: &str| without_nul(&escaped(text)).into_owned();
        let survivors = told.survivors.iter().map(|it| safe(it));
        Self {
            fingerprint: without_nul(&told.fingerprint).into_owned(),
            host: host.id,
            name: host.name.clone(),
            at: told.at,
            account: told.account.clone(),
            address: told.address.map(|it| it.to_string()),
            opened_at: told.opened_at,
            leader: told.leader,
            how,
            why: safe(why),
            survivors: survivors.collect(),
        }
    }
}

/// Keeps what became of a session. What is told of it ends by itself after a while.
pub(in crate::keys) async fn keep(tx: &mut Tx, one: &Ended, now: Timestamp) -> sqlx::Result<()> {
    let survivors = serde_json::to_string(&one.survivors);
    let is_told = one.how == How::Alive || !one.survivors.is_empty();
    sqlx::query(
        "INSERT INTO keys_ended (fingerprint, host, host_name, at, heard_at, account, address, \
         opened_at, leader, how, why, survivors, over_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(one.fingerprint.clone())
    .bind(one.host.as_bytes().to_vec())
    .bind(one.name.clone())
    .bind(one.at.as_micros())
    .bind(now.as_micros())
    .bind(one.account.as_bytes().to_vec())
    .bind(one.address.clone())
    .bind(one.opened_at.as_micros())
    .bind(i64::from(one.leader))
    .bind(code(&HOW, &one.how))
    .bind(one.why.clone())
    .bind(survivors.map_err(|error| sqlx::Error::Encode(error.into()))?)
    .bind(is_told.then_some((now + TOLD).as_micros()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The sessions that a key had open while it was revoked, the oldest first: each as it was told last.
pub(in crate::keys) async fn of(
    store: &Store,
    (fingerprint, since, until): (&str, Timestamp, Option<Timestamp>),
) -> sqlx::Result<Vec<Ended>> {
    let rows = sqlx::query(
        "SELECT * FROM keys_ended WHERE fingerprint = $1 AND heard_at >= $2 AND heard_at < $3 \
         ORDER BY id",
    )
    .bind(fingerprint.to_owned())
    .bind(since.as_micros())
    .bind(until.map_or(i64::MAX, Timestamp::as_micros))
    .fetch_all(store.read())
    .await?;
    let mut all: Vec<Ended> = Vec::new();
    for row in &rows {
        let one = read(row)?;
        match all.iter_mut().find(|known| is_same(known, &one)) {
            Some(known) => *known = one,
            None => all.push(one),
        }
    }
    Ok(all)
}

/// What became of sessions from then until then, each as it was told last.
pub(in crate::keys) async fn counts(
    store: &Store,
    (from, to): (Timestamp, Timestamp),
) -> sqlx::Result<Sessions> {
    let sql = "SELECT * FROM keys_ended WHERE heard_at >= $1 AND heard_at < $2 ORDER BY id";
    let rows = sqlx::query(sql).bind(from.as_micros()).bind(to.as_micros());
    let mut last: BTreeMap<_, Ended> = BTreeMap::new();
    for row in &rows.fetch_all(store.read()).await? {
        let one = read(row)?;
        let place = (one.host, one.leader, one.opened_at, one.account.clone());
        last.insert((one.fingerprint.clone(), place), one);
    }
    let mut sessions = Sessions::default();
    for one in last.values() {
        match one.how {
            How::Ended => sessions.ended += 1,
            How::Alive => sessions.alive += 1,
            How::Gone => {}
        }
        sessions.survived += u64::from(!one.survivors.is_empty());
    }
    Ok(sessions)
}

/// What was told long enough ago, which is not told any more.
pub(in crate::keys) async fn over(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<Ended>> {
    quiet(tx, "over_at <= $1", now.as_micros()).await
}

/// What is told of a host, which is not told any more.
pub(in crate::keys) async fn end_of_host(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Ended>> {
    quiet(tx, "host = $1", host.as_bytes().to_vec()).await
}

/// What is told of a key, which is not told any more.
pub(in crate::keys) async fn end_of_key(tx: &mut Tx, key: &str) -> sqlx::Result<Vec<Ended>> {
    quiet(tx, "fingerprint = $1", key.to_owned()).await
}

async fn quiet<V>(tx: &mut Tx, which: &'static str, value: V) -> sqlx::Result<Vec<Ended>>
where
    V: for<'v> sqlx::Encode<'v, sqlx::Any> + sqlx::Type<sqlx::Any> + Send + 'static,
{
    let text = format!(
        "UPDATE keys_ended SET over_at = NULL WHERE over_at IS NOT NULL AND {which} RETURNING *"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(value)
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(read).collect()
}

fn is_same(one: &Ended, other: &Ended) -> bool {
    let place = |it: &Ended| (it.host, it.leader, it.opened_at, it.account.clone());
    place(one) == place(other)
}

fn read(row: &AnyRow) -> sqlx::Result<Ended> {
    let survivors: String = row.try_get("survivors")?;
    Ok(Ended {
        fingerprint: row.try_get("fingerprint")?,
        host: host_id(row)?,
        name: row.try_get("host_name")?,
        at: stamp(row.try_get("at")?),
        account: row.try_get::<Vec<u8>, _>("account")?.into(),
        address: row.try_get("address")?,
        opened_at: stamp(row.try_get("opened_at")?),
        leader: u32::try_from(row.try_get::<i64, _>("leader")?).unwrap_or(0),
        how: variant(&HOW, row.try_get("how")?)?,
        why: row.try_get("why")?,
        survivors: serde_json::from_str(&survivors)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}

/// Forgets those from before `oldest`.
pub(super) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_ended WHERE heard_at < $1 AND over_at IS NULL")
        .bind(oldest.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
