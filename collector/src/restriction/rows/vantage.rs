//! Where hosts are, and what they saw of each other.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Probe, Probed};
use watchward_protocol::time::Timestamp;

use super::held::{REACHED, TRANSPORTS, read};
use crate::store::Store;
use crate::store::value::{address, fixed, sixteen, stamp, variant};

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
pub(in crate::restriction) async fn sites(
    database: impl Executor<'_, Database = Any>,
) -> sqlx::Result<Vec<(HostId, String, Vec<IpAddr>)>> {
    let sql = "SELECT host, host_name, addresses FROM restriction_host WHERE addresses <> '[]'";
    let rows: Vec<(Vec<u8>, String, String)> = sqlx::query_as(sql).fetch_all(database).await?;
    let site = |(host, name, addresses)| Ok((id(host)?, name, read(addresses)?));
    rows.into_iter().map(site).collect()
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
