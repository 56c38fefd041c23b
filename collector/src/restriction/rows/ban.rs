//! Bans: who is shut out of every host, why, until when, and by whose decision.

use std::collections::BTreeMap;

use ipnet::IpNet;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::bucket;
use watchward_protocol::time::Timestamp;

use super::net::{net, range};
use crate::store::bulk::{Bulk, Values};
use crate::store::value::stamp;
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
            decided_at BIGINT NOT NULL, joined_at BIGINT NOT NULL, until BIGINT NOT NULL,
            pinned BIGINT NOT NULL, times BIGINT NOT NULL, repeats BIGINT NOT NULL,
            tries BIGINT NOT NULL, accounts BIGINT NOT NULL, evidence {bytes} NOT NULL,
            unspread TEXT, holds BIGINT NOT NULL,
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

/// A ban as it begins.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct New {
    pub(in crate::restriction) net: IpNet,
    /// The host that decided; none: a person did.
    pub(in crate::restriction) host: Option<(HostId, String)>,
    pub(in crate::restriction) author: Option<String>,
    pub(in crate::restriction) reason: String,
    pub(in crate::restriction) decided_at: Timestamp,
    pub(in crate::restriction) until: Timestamp,
    pub(in crate::restriction) pinned: bool,
    pub(in crate::restriction) times: i64,
    pub(in crate::restriction) tries: i64,
    pub(in crate::restriction) accounts: i64,
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
        after: ") SELECT b.net, b.prefix, b.until, b.pinned, b.times \
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
        };
        Ok((net(row)?, standing))
    };
    rows.iter().map(one).collect()
}

/// How often these networks were shut out before, since then, and nobody said it was wrong.
pub(in crate::restriction) async fn before(
    tx: &mut Tx,
    nets: &[IpNet],
    since: Timestamp,
) -> sqlx::Result<BTreeMap<IpNet, i64>> {
    let rows = Bulk {
        before: "WITH said (net, prefix, since) AS (VALUES ",
        columns: 3,
        after: ") SELECT b.net, b.prefix, COUNT(*) FROM said CROSS JOIN restriction_ban b \
            WHERE b.net = said.net AND b.prefix = said.prefix AND b.decided_at >= said.since \
            AND b.ended_by IS NULL GROUP BY b.net, b.prefix",
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

/// How many bans that hold everywhere this host decided.
pub(in crate::restriction) async fn count_of(tx: &mut Tx, host: HostId) -> sqlx::Result<i64> {
    let sql = "SELECT COUNT(*) FROM restriction_ban WHERE holds = 1 AND host = $1";
    let count = sqlx::query_scalar(sql).bind(host.as_bytes().to_vec());
    count.fetch_one(&mut **tx).await
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

/// Begins bans, or joins those that hold; says the number of each. A pinned one keeps its end.
pub(in crate::restriction) async fn begin(
    tx: &mut Tx,
    all: &[New],
) -> sqlx::Result<BTreeMap<IpNet, i64>> {
    let rows = Bulk {
        before: "INSERT INTO restriction_ban (net, prefix, high, bucket, host, host_name, author, \
            reason, decided_at, joined_at, until, pinned, times, repeats, tries, accounts, \
            evidence, unspread, holds) VALUES ",
        columns: 19,
        after: " ON CONFLICT (net, prefix) WHERE holds = 1 DO UPDATE SET \
            repeats = restriction_ban.repeats + 1, joined_at = excluded.joined_at, \
            tries = restriction_ban.tries + excluded.tries, evidence = excluded.evidence, \
            accounts = CASE WHEN excluded.accounts > restriction_ban.accounts \
                THEN excluded.accounts ELSE restriction_ban.accounts END, \
            until = CASE WHEN restriction_ban.pinned = 0 AND excluded.until > restriction_ban.until \
                THEN excluded.until ELSE restriction_ban.until END \
            RETURNING net, prefix, id",
    }
    .fetch(tx, all, bind_new)
    .await?;
    let one = |row: &AnyRow| Ok((net(row)?, row.try_get(2)?));
    rows.iter().map(one).collect()
}

fn bind_new(new: &New, values: &mut Values) {
    bind(&new.net, values);
    let host = new.host.as_ref();
    values
        .bytes(&range(&new.net).1[..])
        .number(i64::from(bucket(&new.net)))
        .bytes(host.map(|(id, _)| &id.as_bytes()[..]))
        .text(host.map(|(_, name)| name.as_str()))
        .text(new.author.as_deref())
        .text(new.reason.as_str())
        .number(new.decided_at.as_micros())
        .number(new.decided_at.as_micros())
        .number(new.until.as_micros())
        .number(i64::from(new.pinned))
        .number(new.times)
        .number(0)
        .number(new.tries)
        .number(new.accounts)
        .bytes(&new.evidence[..])
        .text(new.unspread.as_deref())
        .number(i64::from(new.holds));
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
