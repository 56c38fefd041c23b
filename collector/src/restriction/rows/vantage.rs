//! Where hosts are, and what they saw of each other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Probe, Probed};
use watchward_protocol::time::Timestamp;

use super::held::{REACHED, TRANSPORTS, read};
use crate::restriction::claims::Claim;
use crate::store::bulk::Bulk;
use crate::store::value::{address, fixed, sixteen, stamp, variant};
use crate::store::{Store, Tx};

/// What a host saw of another.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Seen {
    /// Who tried.
    pub(in crate::restriction) host: HostId,
    /// Its name.
    pub(in crate::restriction) host_name: String,
    /// When.
    pub(in crate::restriction) at: Timestamp,
    /// How it ended.
    pub(in crate::restriction) probed: Probed,
}

/// The hosts that said where they are.
pub(in crate::restriction) async fn claims(
    database: impl Executor<'_, Database = Any>,
) -> sqlx::Result<Vec<Claim>> {
    let sql = "SELECT h.host, h.host_name, h.addresses, s.address FROM restriction_host h \
        LEFT JOIN restriction_seen s ON s.host = h.host WHERE h.addresses <> '[]' ORDER BY h.host";
    let mut claims: Vec<Claim> = Vec::new();
    for row in sqlx::query(sql).fetch_all(database).await? {
        let (id, seen) = (id(row.try_get(0)?)?, row.try_get::<Option<Vec<u8>>, _>(3)?);
        let seen = seen.map(fixed).transpose()?.map(address);
        match claims.last_mut().filter(|last| last.id == id) {
            Some(last) => last.seen.extend(seen),
            None => claims.push(Claim {
                id,
                name: row.try_get(1)?,
                addresses: read(row.try_get(2)?)?,
                seen: seen.into_iter().collect(),
            }),
        }
    }
    Ok(claims)
}

/// Keeps from where hosts' conversations come.
pub(in crate::restriction) async fn see(tx: &mut Tx, all: &[(HostId, IpAddr)]) -> sqlx::Result<()> {
    // Of one host and family the last counts, and a row may be said once only.
    let last: BTreeMap<(HostId, bool), IpAddr> = all
        .iter()
        .map(|(host, from)| ((*host, from.is_ipv4()), *from))
        .collect();
    let last: Vec<_> = last.into_iter().collect();
    Bulk {
        before: "INSERT INTO restriction_seen (host, family, address) VALUES ",
        columns: 3,
        after: " ON CONFLICT (host, family) DO UPDATE SET address = excluded.address",
    }
    .execute(tx, &last, |((host, is_four), from), values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(if *is_four { 4 } else { 6 })
            .bytes(&sixteen(*from)[..]);
    })
    .await
}

/// How the probes since then ended, each the last time.
pub(in crate::restriction) async fn seen(
    store: &Store,
    since: Timestamp,
) -> sqlx::Result<Vec<Seen>> {
    let rows = sqlx::query(
        "SELECT p.host, h.host_name, p.address, p.transport, p.port, p.ssh, p.source, p.at, \
         p.reached, p.banner, p.took_us FROM restriction_probed p \
         JOIN restriction_host h ON h.host = p.host WHERE p.at > $1 \
         ORDER BY p.host, p.address, p.port",
    )
    .bind(since.as_micros())
    .fetch_all(store.read())
    .await?;
    rows.iter().map(one).collect()
}

/// How the probes of one address since then ended, each the last time, some hundreds at most.
pub(in crate::restriction) async fn seen_of(
    store: &Store,
    target: IpAddr,
    since: Timestamp,
) -> sqlx::Result<Vec<Seen>> {
    let rows = sqlx::query(
        "SELECT p.host, h.host_name, p.address, p.transport, p.port, p.ssh, p.source, p.at, \
         p.reached, p.banner, p.took_us FROM restriction_probed p \
         JOIN restriction_host h ON h.host = p.host WHERE p.address = $1 AND p.at > $2 \
         ORDER BY p.port, h.host_name LIMIT 200",
    )
    .bind(sixteen(target).to_vec())
    .bind(since.as_micros())
    .fetch_all(store.read())
    .await?;
    rows.iter().map(one).collect()
}

fn one(row: &AnyRow) -> sqlx::Result<Seen> {
    let port: i64 = row.try_get("port")?;
    let took: i64 = row.try_get("took_us")?;
    let source: Option<Vec<u8>> = row.try_get("source")?;
    let probe = Probe {
        address: address(fixed(row.try_get("address")?)?),
        transport: variant(&TRANSPORTS, row.try_get("transport")?)?,
        port: u16::try_from(port).map_err(|error| sqlx::Error::Decode(error.into()))?,
        ssh: row.try_get::<i64, _>("ssh")? != 0,
    };
    let banner: Option<Vec<u8>> = row.try_get("banner")?;
    Ok(Seen {
        host: id(row.try_get("host")?)?,
        host_name: row.try_get("host_name")?,
        at: stamp(row.try_get("at")?),
        probed: Probed {
            probe,
            from: source.map(fixed).transpose()?.map(address),
            reached: variant(&REACHED, row.try_get("reached")?)?,
            banner: banner.map(Into::into),
            took: Duration::from_micros(took.unsigned_abs()),
        },
    })
}

fn id(bytes: Vec<u8>) -> sqlx::Result<HostId> {
    fixed(bytes).map(HostId::from_bytes)
}
