//! Bans: who is shut out of every host, why, until when, and by whose decision.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::bucket;
use watchward_protocol::time::Timestamp;

use super::net::{net, range};
use crate::store::bulk::{Bulk, Values};
use crate::store::value::{fixed, stamp};
use crate::store::{Schema, Tx};

/// The room's tables of bans.
///
/// Of the bans of a network one at most `holds`; when its time has come it is only a memory.
/// `unspread` says why it holds on its host alone. `restriction_bucket` counts the changes of each
/// bucket, so that every collector on the database sees which to read again.
pub const SCHEMA: Schema = Schema {
    room: "bans",
    steps: &["CREATE TABLE restriction_ban (
            id {id}, net {bytes} NOT NULL, high {bytes} NOT NULL, prefix BIGINT NOT NULL,
            bucket BIGINT NOT NULL, host {bytes}, host_name TEXT, author TEXT, reason TEXT NOT NULL,
            decided_at BIGINT NOT NULL, until BIGINT NOT NULL, pinned BIGINT NOT NULL,
            times BIGINT NOT NULL, repeats BIGINT NOT NULL, evidence {bytes} NOT NULL, unspread TEXT, holds BIGINT NOT NULL,
            ended_at BIGINT, ended_by TEXT, ended_why TEXT);
        CREATE UNIQUE INDEX restriction_ban_net ON restriction_ban (net, prefix) WHERE holds = 1;
        CREATE INDEX restriction_ban_before ON restriction_ban (net, prefix, decided_at);
        CREATE INDEX restriction_ban_bucket ON restriction_ban (bucket) WHERE holds = 1;
        CREATE INDEX restriction_ban_until ON restriction_ban (until) WHERE holds = 1;
        CREATE INDEX restriction_ban_over ON restriction_ban (until) WHERE holds = 0;
        CREATE INDEX restriction_ban_of ON restriction_ban (host) WHERE holds = 1;
        CREATE TABLE restriction_ban_host (
            ban BIGINT NOT NULL, host {bytes} NOT NULL, host_name TEXT NOT NULL,
            at BIGINT NOT NULL, PRIMARY KEY (ban, host));
        CREATE INDEX restriction_ban_host_name ON restriction_ban_host (host_name);
        CREATE TABLE restriction_lift (
            net {bytes} NOT NULL, prefix BIGINT NOT NULL, bucket BIGINT NOT NULL,
            at BIGINT NOT NULL, PRIMARY KEY (net, prefix));
        CREATE INDEX restriction_lift_bucket ON restriction_lift (bucket);
        CREATE TABLE restriction_bucket (bucket BIGINT PRIMARY KEY, turn BIGINT NOT NULL)"],
};

/// A ban.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Row {
    pub(in crate::restriction) net: IpNet,
    /// The host on whose word it holds; none: a person decided.
    pub(in crate::restriction) host: Option<(HostId, String)>,
    pub(in crate::restriction) author: Option<String>,
    pub(in crate::restriction) reason: String,
    pub(in crate::restriction) decided_at: Timestamp,
    pub(in crate::restriction) until: Timestamp,
    pub(in crate::restriction) pinned: bool,
    /// The how manieth of this network, of those that held everywhere.
    pub(in crate::restriction) times: i64,
    pub(in crate::restriction) evidence: Vec<u8>,
    pub(in crate::restriction) unspread: Option<String>,
    pub(in crate::restriction) holds: bool,
}

/// What is known of a network that holds already.
#[derive(Clone, Copy, Debug)]
pub(in crate::restriction) struct Standing {
    pub(in crate::restriction) until: Timestamp,
    pub(in crate::restriction) pinned: bool,
    pub(in crate::restriction) times: i64,
    /// Whether it holds everywhere.
    pub(in crate::restriction) spread: bool,
}

/// Ends the bans whose time has come.
pub(in crate::restriction) async fn expire(tx: &mut Tx, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE restriction_ban SET holds = 0 WHERE holds = 1 AND until <= $1")
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The bans of these networks that hold.
pub(in crate::restriction) async fn standing(
    tx: &mut Tx,
    nets: &[IpNet],
) -> sqlx::Result<BTreeMap<IpNet, Standing>> {
    let rows = Bulk {
        before: "WITH said (net, prefix) AS (VALUES ",
        columns: 2,
        after: ") SELECT b.net, b.prefix, b.until, b.pinned, b.times, \
            CASE WHEN b.unspread IS NULL THEN 1 ELSE 0 END \
            FROM said CROSS JOIN restriction_ban b \
            WHERE b.net = said.net AND b.prefix = said.prefix AND b.holds = 1",
    }
    .fetch(tx, nets, bind)
    .await?;
    let one = |row: &AnyRow| {
        let standing = Standing {
            until: stamp(row.try_get(2)?),
            pinned: row.try_get::<i64, _>(3)? == 1,
            times: row.try_get(4)?,
            spread: row.try_get::<i64, _>(5)? == 1,
        };
        Ok((net(row)?, standing))
    };
    rows.iter().map(one).collect()
}

/// The how manieth time it was when these networks were shut out of everything last, since then, and
/// nobody said it was wrong.
pub(in crate::restriction) async fn before(
    tx: &mut Tx,
    nets: &[IpNet],
    since: Timestamp,
) -> sqlx::Result<BTreeMap<IpNet, i64>> {
    let rows = Bulk {
        before: "WITH said (net, prefix, since) AS (VALUES ",
        columns: 3,
        after: ") SELECT b.net, b.prefix, MAX(b.times) FROM said CROSS JOIN restriction_ban b \
            WHERE b.net = said.net AND b.prefix = said.prefix AND b.decided_at >= said.since \
            AND b.ended_by IS NULL AND b.unspread IS NULL GROUP BY b.net, b.prefix",
    }
    .fetch(tx, nets, |net, values| {
        bind(net, values);
        values.number(since.as_micros());
    })
    .await?;
    let one = |row: &AnyRow| Ok((net(row)?, row.try_get(2)?));
    rows.iter().map(one).collect()
}

/// When people last lifted bans of these networks.
pub(in crate::restriction) async fn lifted(
    tx: &mut Tx,
    nets: &[IpNet],
) -> sqlx::Result<BTreeMap<IpNet, Timestamp>> {
    let rows = Bulk {
        before: "WITH said (net, prefix) AS (VALUES ",
        columns: 2,
        after: ") SELECT l.net, l.prefix, l.at FROM said CROSS JOIN restriction_lift l \
            WHERE l.net = said.net AND l.prefix = said.prefix",
    }
    .fetch(tx, nets, bind)
    .await?;
    let one = |row: &AnyRow| Ok((net(row)?, stamp(row.try_get(2)?)));
    rows.iter().map(one).collect()
}

/// Which hosts decided bans of these networks since then, that nobody lifted.
pub(in crate::restriction) async fn attacked(
    tx: &mut Tx,
    nets: &[IpNet],
    since: Timestamp,
) -> sqlx::Result<BTreeMap<IpNet, BTreeSet<HostId>>> {
    let rows = Bulk {
        before: "WITH said (net, prefix, since) AS (VALUES ",
        columns: 3,
        after: ") SELECT b.net, b.prefix, h.host FROM said CROSS JOIN restriction_ban b \
            JOIN restriction_ban_host h ON h.ban = b.id WHERE b.net = said.net \
            AND b.prefix = said.prefix AND h.at >= said.since AND b.ended_by IS NULL",
    }
    .fetch(tx, nets, |net, values| {
        bind(net, values);
        values.number(since.as_micros());
    })
    .await?;
    let mut all: BTreeMap<IpNet, BTreeSet<HostId>> = BTreeMap::new();
    for row in &rows {
        let host = HostId::from_bytes(fixed(row.try_get(2)?)?);
        all.entry(net(row)?).or_default().insert(host);
    }
    Ok(all)
}

/// How many bans hold everywhere on the word of this host, by bucket.
pub(in crate::restriction) async fn count_of(
    tx: &mut Tx,
    host: HostId,
) -> sqlx::Result<BTreeMap<u8, i64>> {
    let sql = "SELECT bucket, COUNT(*) FROM restriction_ban \
        WHERE holds = 1 AND host = $1 AND unspread IS NULL GROUP BY bucket";
    let rows: Vec<(i64, i64)> = sqlx::query_as(sql)
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    let one = |(bucket, count)| Some((u8::try_from(bucket).ok()?, count));
    Ok(rows.into_iter().filter_map(one).collect())
}

/// How many networks of this length within another hold.
pub(in crate::restriction) async fn count_within(
    tx: &mut Tx,
    net: &IpNet,
    length: u8,
) -> sqlx::Result<i64> {
    let (low, high) = range(net);
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM restriction_ban \
         WHERE holds = 1 AND net >= $1 AND net <= $2 AND prefix = $3 AND unspread IS NULL",
    )
    .bind(low.to_vec())
    .bind(high.to_vec())
    .bind(i64::from(length))
    .fetch_one(&mut **tx)
    .await
}

/// Begins bans, or joins those that hold; says the number of each. A pinned one keeps its end. What
/// held on its host alone holds everywhere from when another host's word is enough for that.
pub(in crate::restriction) async fn begin(
    tx: &mut Tx,
    all: &[Row],
) -> sqlx::Result<BTreeMap<IpNet, i64>> {
    let rows = Bulk {
        before: "INSERT INTO restriction_ban AS b (net, prefix, high, bucket, host, host_name, \
            author, reason, decided_at, until, pinned, times, repeats, evidence, unspread, holds) \
            VALUES ",
        columns: 16,
        after: " ON CONFLICT (net, prefix) WHERE holds = 1 DO UPDATE SET \
            repeats = b.repeats + 1, evidence = excluded.evidence, \
            host = CASE WHEN b.unspread IS NOT NULL AND excluded.unspread IS NULL \
                THEN excluded.host ELSE b.host END, \
            host_name = CASE WHEN b.unspread IS NOT NULL AND excluded.unspread IS NULL \
                THEN excluded.host_name ELSE b.host_name END, \
            until = CASE WHEN b.pinned = 1 OR b.unspread IS NULL AND excluded.unspread IS NOT NULL \
                    THEN b.until \
                WHEN b.unspread IS NOT NULL AND excluded.unspread IS NULL \
                    OR excluded.until > b.until THEN excluded.until \
                ELSE b.until END, \
            unspread = CASE WHEN excluded.unspread IS NULL THEN NULL ELSE b.unspread END \
            RETURNING net, prefix, id",
    }
    .fetch(tx, all, bind_row)
    .await?;
    let one = |row: &AnyRow| Ok((net(row)?, row.try_get(2)?));
    rows.iter().map(one).collect()
}

fn bind_row(row: &Row, values: &mut Values) {
    bind(&row.net, values);
    let host = row.host.as_ref();
    values
        .bytes(&range(&row.net).1[..])
        .number(i64::from(bucket(&row.net)))
        .bytes(host.map(|(id, _)| &id.as_bytes()[..]))
        .text(host.map(|(_, name)| name.as_str()))
        .text(row.author.as_deref())
        .text(row.reason.as_str())
        .number(row.decided_at.as_micros())
        .number(row.until.as_micros())
        .number(i64::from(row.pinned))
        .number(row.times)
        .number(0)
        .bytes(&row.evidence[..])
        .text(row.unspread.as_deref())
        .number(i64::from(row.holds));
}

/// Notes which hosts decided a ban, and when they last did.
pub(in crate::restriction) async fn decided(
    tx: &mut Tx,
    all: &[(i64, HostId, &str, Timestamp)],
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO restriction_ban_host (ban, host, host_name, at) VALUES ",
        columns: 4,
        after: " ON CONFLICT (ban, host) DO UPDATE SET at = excluded.at",
    }
    .execute(tx, all, |(ban, host, name, at), values| {
        values
            .number(*ban)
            .bytes(&host.as_bytes()[..])
            .text(*name)
            .number(at.as_micros());
    })
    .await
}

/// Says to every collector that these buckets changed. Beware: in one order everywhere, so that two
/// collectors never wait for each other.
pub(in crate::restriction) async fn turn(
    tx: &mut Tx,
    buckets: impl IntoIterator<Item = u8>,
) -> sqlx::Result<()> {
    let mut buckets: Vec<_> = buckets.into_iter().collect();
    buckets.sort_unstable();
    buckets.dedup();
    Bulk {
        before: "INSERT INTO restriction_bucket (bucket, turn) VALUES ",
        columns: 2,
        after: " ON CONFLICT (bucket) DO UPDATE SET turn = restriction_bucket.turn + 1",
    }
    .execute(tx, &buckets, |bucket, values| {
        values.number(i64::from(*bucket)).number(1);
    })
    .await
}

fn bind(net: &IpNet, values: &mut Values) {
    values
        .bytes(&range(net).0[..])
        .number(i64::from(net.prefix_len()));
}
