//! Bans as they are listed, ended, changed, and read for the hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Ban, Bans, Lift, MOST_BANS, bucket};
use watchward_protocol::time::Timestamp;

use super::ban::Row;
use super::net::{net, range};
use crate::store::bulk::Bulk;
use crate::store::question::Question;
use crate::store::value::{fixed, sixteen, stamp};
use crate::store::{Store, Tx};

/// A ban as it is kept.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Kept {
    pub(in crate::restriction) id: i64,
    pub(in crate::restriction) row: Row,
    /// How often it was decided again while it held.
    pub(in crate::restriction) repeats: i64,
    /// When somebody lifted it, who, and why.
    pub(in crate::restriction) ended: Option<(Timestamp, String, String)>,
}

/// Which bans are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub(in crate::restriction) struct Wanted {
    /// One that this host decided.
    pub(in crate::restriction) host: Option<String>,
    /// One that meets these addresses: the first and the last.
    pub(in crate::restriction) addresses: Option<(IpAddr, IpAddr)>,
    /// One that holds now; or also those that are over.
    pub(in crate::restriction) now: Option<Timestamp>,
    /// One that came after this.
    pub(in crate::restriction) after: Option<i64>,
    pub(in crate::restriction) limit: i64,
}

const SELECT: &str = "SELECT id, net, prefix, host, host_name, author, reason, decided_at, until, pinned, \
    times, repeats, evidence, unspread, holds, ended_at, ended_by, ended_why FROM restriction_ban";

/// The latest of those that are wanted, the latest first.
pub(in crate::restriction) async fn list(
    store: &Store,
    wanted: &Wanted,
) -> sqlx::Result<Vec<Kept>> {
    let mut question = Question::default();
    question.add_fixed(wanted.now.map(|_| "holds = 1"));
    question.add("until > ", wanted.now.map(Timestamp::as_micros));
    question.add("id > ", wanted.after);
    if let Some((low, high)) = wanted.addresses {
        question.add("net <= ", Some(sixteen(high).to_vec()));
        question.add("high >= ", Some(sixteen(low).to_vec()));
    }
    let of_host = (
        "id IN (SELECT ban FROM restriction_ban_host WHERE host_name = ",
        ")",
    );
    question.add_around(of_host, wanted.host.clone());
    let order = match wanted.after {
        Some(_) => " ORDER BY id",
        None => " ORDER BY decided_at DESC, id DESC",
    };
    let rows = question.ask(store, (SELECT, order), wanted.limit).await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    let ended: Option<i64> = row.try_get("ended_at")?;
    let word = |name| row.try_get::<Option<String>, _>(name);
    let (by, why) = (word("ended_by")?, word("ended_why")?);
    let host: Option<Vec<u8>> = row.try_get("host")?;
    let host = host.map(fixed).transpose()?.map(HostId::from_bytes);
    Ok(Kept {
        id: row.try_get("id")?,
        row: Row {
            net: net(row)?,
            host: host.zip(word("host_name")?),
            author: word("author")?,
            reason: row.try_get("reason")?,
            decided_at: stamp(row.try_get("decided_at")?),
            until: stamp(row.try_get("until")?),
            pinned: row.try_get::<i64, _>("pinned")? == 1,
            times: row.try_get("times")?,
            evidence: row.try_get("evidence")?,
            unspread: word("unspread")?,
            holds: row.try_get::<i64, _>("holds")? == 1,
        },
        repeats: row.try_get("repeats")?,
        ended: ended.map(|at| (stamp(at), by.unwrap_or_default(), why.unwrap_or_default())),
    })
}

/// The last ban's number; 0 if there is none.
pub(in crate::restriction) async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM restriction_ban")
        .fetch_one(store.read())
        .await
}

/// How many bans hold on all hosts.
pub(in crate::restriction) async fn count(store: &Store, now: Timestamp) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM restriction_ban WHERE holds = 1 AND until > $1 AND unspread IS NULL",
    )
    .bind(now.as_micros())
    .fetch_one(store.read())
    .await
}

/// The ban that shuts all of this network out since the longest time.
pub(in crate::restriction) async fn around(
    tx: &mut Tx,
    whom: &IpNet,
    now: Timestamp,
) -> sqlx::Result<Option<Kept>> {
    let (low, high) = range(whom);
    let sql = format!(
        "{SELECT} WHERE holds = 1 AND until > $1 AND net <= $2 AND high >= $3 \
         ORDER BY CASE WHEN unspread IS NULL THEN 0 ELSE 1 END, decided_at LIMIT 1"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(now.as_micros())
        .bind(low.to_vec())
        .bind(high.to_vec())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(kept).transpose()
}

/// How many hosts decided this ban.
pub(in crate::restriction) async fn count_hosts(tx: &mut Tx, ban: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM restriction_ban_host WHERE ban = $1")
        .bind(ban)
        .fetch_one(&mut **tx)
        .await
}

/// Ends the bans that hold and meet this network; says which those were.
pub(in crate::restriction) async fn end(
    tx: &mut Tx,
    whom: &IpNet,
    (by, why): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<Vec<IpNet>> {
    let (low, high) = range(whom);
    let rows = sqlx::query(
        "UPDATE restriction_ban SET holds = 0, ended_at = $1, ended_by = $2, ended_why = $3 \
         WHERE holds = 1 AND until > $1 AND net <= $4 AND high >= $5 RETURNING net, prefix",
    )
    .bind(now.as_micros())
    .bind(by)
    .bind(why)
    .bind(high.to_vec())
    .bind(low.to_vec())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(net).collect()
}

/// Notes that people lifted the bans of these networks, hosts' own ones too.
pub(in crate::restriction) async fn lift(
    tx: &mut Tx,
    nets: &[IpNet],
    now: Timestamp,
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO restriction_lift (net, prefix, bucket, at) VALUES ",
        columns: 4,
        after: " ON CONFLICT (net, prefix) DO UPDATE SET at = excluded.at",
    }
    .execute(tx, nets, |net, values| {
        values
            .bytes(&range(net).0[..])
            .number(i64::from(net.prefix_len()))
            .number(i64::from(bucket(net)))
            .number(now.as_micros());
    })
    .await
}

/// Has the ban of this network end then, whatever comes; false if there is none.
pub(in crate::restriction) async fn pin(
    tx: &mut Tx,
    whom: &IpNet,
    (until, by): (Timestamp, &str),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let (low, _) = range(whom);
    let done = sqlx::query(
        "UPDATE restriction_ban SET until = $1, pinned = 1, author = $2 \
         WHERE holds = 1 AND until > $3 AND net = $4 AND prefix = $5",
    )
    .bind(until.as_micros())
    .bind(by)
    .bind(now.as_micros())
    .bind(low.to_vec())
    .bind(i64::from(whom.prefix_len()))
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// How often each bucket was changed.
pub(in crate::restriction) async fn turns(tx: &mut Tx) -> sqlx::Result<Vec<(u8, i64)>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT bucket, turn FROM restriction_bucket")
        .fetch_all(&mut **tx)
        .await?;
    let one = |(bucket, turn)| Some((u8::try_from(bucket).ok()?, turn));
    Ok(rows.into_iter().filter_map(one).collect())
}

/// What hosts are ordered of these buckets: who is shut out after `now`, and what was lifted after
/// `since`.
pub(in crate::restriction) async fn ordered(
    tx: &mut Tx,
    buckets: &[u8],
    (now, since): (Timestamp, Timestamp),
) -> sqlx::Result<Vec<Bans>> {
    let held = Bulk {
        before: "WITH said (bucket, now) AS (VALUES ",
        columns: 2,
        after: ") SELECT b.bucket, b.net, b.prefix, b.until \
            FROM said CROSS JOIN restriction_ban b WHERE b.bucket = said.bucket \
            AND b.holds = 1 AND b.unspread IS NULL AND b.until > said.now",
    };
    let lifted = Bulk {
        after: ") SELECT l.bucket, l.net, l.prefix, l.at \
            FROM said CROSS JOIN restriction_lift l \
            WHERE l.bucket = said.bucket AND l.at > said.now",
        ..held
    };
    let held = held.fetch(tx, buckets, |bucket, values| {
        values.number(i64::from(*bucket)).number(now.as_micros());
    });
    let held: Vec<_> = held.await?.iter().map(dated).collect::<Result<_, _>>()?;
    let lifted = lifted.fetch(tx, buckets, |bucket, values| {
        values.number(i64::from(*bucket)).number(since.as_micros());
    });
    let lifted: Vec<_> = lifted.await?.iter().map(dated).collect::<Result<_, _>>()?;
    let (mut held, mut lifted) = (by_bucket(held), by_bucket(lifted));
    let whole = |bucket: &u8| {
        let (held, lifted) = (held.remove(bucket), lifted.remove(bucket));
        of(
            *bucket,
            held.unwrap_or_default(),
            lifted.unwrap_or_default(),
        )
    };
    Ok(buckets.iter().map(whole).collect())
}

type Dated = (IpNet, Timestamp);

fn dated(row: &AnyRow) -> sqlx::Result<(u8, Dated)> {
    let bucket: i64 = row.try_get(0)?;
    let bucket = u8::try_from(bucket).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((bucket, (net(row)?, stamp(row.try_get(3)?))))
}

fn by_bucket(all: Vec<(u8, Dated)>) -> BTreeMap<u8, Vec<Dated>> {
    let mut buckets: BTreeMap<u8, Vec<Dated>> = BTreeMap::new();
    for (bucket, one) in all {
        buckets.entry(bucket).or_default().push(one);
    }
    buckets
}

/// One bucket, in order; of what is too much for one the latest are left.
fn of(bucket: u8, held: Vec<Dated>, lifted: Vec<Dated>) -> Bans {
    let latest = |mut all: Vec<Dated>| {
        all.sort_unstable_by_key(|(net, at)| (std::cmp::Reverse(*at), *net));
        all.truncate(MOST_BANS);
        all.sort_unstable();
        all
    };
    let held = latest(held);
    let holds = |net: &IpNet| held.binary_search_by_key(net, |(net, _)| *net).is_ok();
    let lifted = latest(lifted).into_iter().filter(|(net, _)| !holds(net));
    Bans {
        bucket,
        lifted: lifted.map(|(net, at)| Lift { net, at }).collect(),
        bans: held
            .iter()
            .map(|(net, until)| Ban {
                net: *net,
                until: *until,
            })
            .collect(),
    }
}

/// The hosts that decided these bans, of each at most so many.
pub(in crate::restriction) async fn hosts_of(
    store: &Store,
    bans: &[i64],
    most: usize,
) -> sqlx::Result<BTreeMap<i64, Vec<String>>> {
    let mut tx = store.read().begin().await?;
    let rows = Bulk {
        before: "WITH said (ban) AS (VALUES ",
        columns: 1,
        after: ") SELECT h.ban, h.host_name FROM said CROSS JOIN restriction_ban_host h \
            WHERE h.ban = said.ban",
    }
    .fetch(&mut tx, bans, |ban, values| {
        values.number(*ban);
    })
    .await?;
    tx.rollback().await?;
    let mut hosts: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for row in rows {
        hosts
            .entry(row.try_get(0)?)
            .or_default()
            .push(row.try_get(1)?);
    }
    for names in hosts.values_mut() {
        names.sort();
        names.truncate(most);
    }
    Ok(hosts)
}

/// Forgets bans that were over before `oldest`, a thousand at a time, and lifts that no host needs
/// to hear any more.
pub(in crate::restriction) async fn prune(
    tx: &mut Tx,
    oldest: Timestamp,
    lifts: Timestamp,
) -> sqlx::Result<()> {
    let gone: Vec<(i64,)> = sqlx::query_as(
        "DELETE FROM restriction_ban WHERE id IN (SELECT id FROM restriction_ban \
         WHERE holds = 0 AND until < $1 ORDER BY until LIMIT 1000) RETURNING id",
    )
    .bind(oldest.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    Bulk {
        before: "DELETE FROM restriction_ban_host WHERE ban IN (VALUES ",
        columns: 1,
        after: ")",
    }
    .execute(tx, &gone, |(ban,), values| {
        values.number(*ban);
    })
    .await?;
    sqlx::query("DELETE FROM restriction_lift WHERE at < $1")
        .bind(lifts.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
