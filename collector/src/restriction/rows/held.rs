//! What each host said last of what it holds, and how its probes ended.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Holding, Mode, Phase, Probed, Reached, Transport, Veto};
use watchward_protocol::time::Timestamp;

use crate::intake::Host;
use crate::store::bulk::{Bulk, without_nul};
use crate::store::value::{code, sixteen, stamp, variant};
use crate::store::{Schema, Store, Tx};

/// The room's tables of what hosts hold, of what listens on them, of what they see of others, and of
/// what sshd lets in. `gates`, `vetoed`, `addresses`, `settings`, `accepted` and `uncovered` are JSON.
pub const SCHEMA: Schema = Schema {
    room: "held",
    steps: &[
        "CREATE TABLE restriction_host (
            host {bytes} PRIMARY KEY, host_name TEXT NOT NULL, at BIGINT, enforcer TEXT,
            phase BIGINT NOT NULL, generation BIGINT NOT NULL, why TEXT NOT NULL,
            bans BIGINT NOT NULL, gates TEXT NOT NULL, vetoed TEXT NOT NULL,
            addresses TEXT NOT NULL, listening_at BIGINT);
        CREATE TABLE restriction_listener (
            host {bytes} NOT NULL, transport BIGINT NOT NULL, address {bytes} NOT NULL,
            port BIGINT NOT NULL, program TEXT, first_at BIGINT NOT NULL, gone_at BIGINT,
            PRIMARY KEY (host, transport, address, port));
        CREATE TABLE restriction_probed (
            host {bytes} NOT NULL, address {bytes} NOT NULL, transport BIGINT NOT NULL,
            port BIGINT NOT NULL, ssh BIGINT NOT NULL, source {bytes}, at BIGINT NOT NULL,
            reached BIGINT NOT NULL, banner {bytes}, took_us BIGINT NOT NULL,
            PRIMARY KEY (host, address, transport, port, ssh))",
        "CREATE TABLE restriction_sshd (
            host {bytes} PRIMARY KEY, host_name TEXT NOT NULL, at BIGINT NOT NULL,
            settings TEXT NOT NULL, accepted TEXT NOT NULL, uncovered TEXT NOT NULL)",
        // From where each host's conversation came last, of both families of addresses.
        "CREATE TABLE restriction_seen (
            host {bytes} NOT NULL, family BIGINT NOT NULL, address {bytes} NOT NULL,
            PRIMARY KEY (host, family))",
    ],
};

const PHASES: [Phase; 5] = [
    Phase::Open,
    Phase::Trial,
    Phase::Held,
    Phase::Refused,
    Phase::Undone,
];
pub(super) const TRANSPORTS: [Transport; 2] = [Transport::Tcp, Transport::Udp];
pub(super) const REACHED: [Reached; 4] = [
    Reached::Open,
    Reached::Refused,
    Reached::Silent,
    Reached::Unreachable,
];

/// A gate as a host holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::restriction) struct Gate {
    pub(in crate::restriction) name: String,
    pub(in crate::restriction) mode: Mode,
    pub(in crate::restriction) turned_away: u64,
    pub(in crate::restriction) from: Vec<IpAddr>,
}

/// What a host said last.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Held {
    pub(in crate::restriction) at: Timestamp,
    pub(in crate::restriction) enforcer: Option<String>,
    pub(in crate::restriction) phase: Phase,
    pub(in crate::restriction) generation: i64,
    pub(in crate::restriction) why: String,
    pub(in crate::restriction) bans: i64,
    pub(in crate::restriction) gates: Vec<Gate>,
    pub(in crate::restriction) vetoed: Vec<(String, Veto)>,
    pub(in crate::restriction) addresses: Vec<IpAddr>,
}

/// Keeps what a host holds.
pub(in crate::restriction) async fn keep(
    tx: &mut Tx,
    host: &Host,
    holding: &Holding,
    at: Timestamp,
) -> sqlx::Result<()> {
    let gates = holding.gates.iter().map(|gate| Gate {
        name: gate.name.clone(),
        mode: gate.mode,
        turned_away: gate.turned_away,
        from: gate.from.clone(),
    });
    let vetoed = holding.vetoed.iter();
    let vetoed = vetoed.map(|veto| (veto.net.to_string(), veto.why));
    sqlx::query(
        "INSERT INTO restriction_host (host, host_name, at, enforcer, phase, generation, why, \
         bans, gates, vetoed, addresses) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (host) DO UPDATE SET host_name = excluded.host_name, at = excluded.at, \
         enforcer = excluded.enforcer, phase = excluded.phase, generation = excluded.generation, \
         why = excluded.why, bans = excluded.bans, gates = excluded.gates, \
         vetoed = excluded.vetoed, addresses = excluded.addresses",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.as_str())
    .bind(at.as_micros())
    .bind(
        holding
            .enforcer
            .as_deref()
            .map(|it| without_nul(it).into_owned()),
    )
    .bind(code(&PHASES, &holding.phase))
    .bind(holding.generation.cast_signed())
    .bind(without_nul(&holding.why).into_owned())
    .bind(i64::from(holding.bans))
    .bind(json(&gates.collect::<Vec<_>>())?)
    .bind(json(&vetoed.collect::<Vec<_>>())?)
    .bind(json(&holding.addresses)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes that a host told what listens; says whether that was the first time.
pub(in crate::restriction) async fn hears_listeners(
    tx: &mut Tx,
    host: &Host,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let before: Option<Option<i64>> =
        sqlx::query_scalar("SELECT listening_at FROM restriction_host WHERE host = $1")
            .bind(host.id.as_bytes().to_vec())
            .fetch_optional(&mut **tx)
            .await?;
    sqlx::query(
        "INSERT INTO restriction_host (host, host_name, phase, generation, why, bans, gates, \
         vetoed, addresses, listening_at) VALUES ($1, $2, 0, 0, '', 0, '[]', '[]', '[]', $3) \
         ON CONFLICT (host) DO UPDATE SET listening_at = excluded.listening_at",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(host.name.as_str())
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(before.flatten().is_none())
}

/// What a host of this name holds.
pub(in crate::restriction) async fn find(store: &Store, host: &str) -> sqlx::Result<Option<Held>> {
    let row = sqlx::query(
        "SELECT at, enforcer, phase, generation, why, bans, gates, vetoed, addresses \
         FROM restriction_host \
         WHERE host_name = $1 AND at IS NOT NULL ORDER BY at DESC LIMIT 1",
    )
    .bind(host)
    .fetch_optional(store.read())
    .await?;
    row.as_ref().map(held).transpose()
}

/// What every host holds, by its name.
pub(in crate::restriction) async fn all(store: &Store) -> sqlx::Result<HashMap<String, Held>> {
    let rows = sqlx::query(
        "SELECT host_name, at, enforcer, phase, generation, why, bans, gates, vetoed, addresses \
         FROM restriction_host WHERE at IS NOT NULL ORDER BY at",
    )
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| Ok((row.try_get("host_name")?, held(row)?));
    rows.iter().map(one).collect()
}

fn held(row: &AnyRow) -> sqlx::Result<Held> {
    Ok(Held {
        at: stamp(row.try_get("at")?),
        enforcer: row.try_get("enforcer")?,
        phase: variant(&PHASES, row.try_get("phase")?)?,
        generation: row.try_get("generation")?,
        why: row.try_get("why")?,
        bans: row.try_get("bans")?,
        gates: read(row.try_get("gates")?)?,
        vetoed: read(row.try_get("vetoed")?)?,
        addresses: read(row.try_get("addresses")?)?,
    })
}

/// How many hosts have an enforcer.
pub(in crate::restriction) async fn count_enforcers(tx: &mut Tx) -> sqlx::Result<i64> {
    let sql = "SELECT COUNT(*) FROM restriction_host WHERE at IS NOT NULL AND enforcer IS NOT NULL";
    sqlx::query_scalar(sql).fetch_one(&mut **tx).await
}

/// The names of the hosts that hold no ban because they have no enforcer, in order, and how many have
/// one.
pub(in crate::restriction) async fn by_enforcer(
    store: &Store,
) -> sqlx::Result<(Vec<String>, usize)> {
    let sql =
        "SELECT host_name, enforcer FROM restriction_host WHERE at IS NOT NULL ORDER BY host_name";
    let all: Vec<(String, Option<String>)> = sqlx::query_as(sql).fetch_all(store.read()).await?;
    let many = all.len();
    let without = all.into_iter().filter(|(_, enforcer)| enforcer.is_none());
    let without: Vec<_> = without.map(|(host, _)| host).collect();
    let shutting = many.saturating_sub(without.len());
    Ok((without, shutting))
}

/// What hosts will not do: the network, and the host's name.
pub(in crate::restriction) async fn vetoes(
    database: impl Executor<'_, Database = Any>,
) -> sqlx::Result<Vec<(IpNet, String, Veto)>> {
    let sql = "SELECT host_name, vetoed FROM restriction_host WHERE vetoed <> '[]'";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).fetch_all(database).await?;
    let mut all = Vec::new();
    for (host, vetoed) in rows {
        let vetoed: Vec<(String, Veto)> = read(vetoed)?;
        let vetoed = vetoed.into_iter();
        all.extend(vetoed.filter_map(|(net, why)| Some((net.parse().ok()?, host.clone(), why))));
    }
    Ok(all)
}

/// Keeps how probes ended, each the last time.
pub(in crate::restriction) async fn probed(
    tx: &mut Tx,
    all: &[(HostId, Timestamp, &Probed)],
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO restriction_probed (host, address, transport, port, ssh, source, at, \
            reached, banner, took_us) VALUES ",
        columns: 10,
        after: " ON CONFLICT (host, address, transport, port, ssh) DO UPDATE SET \
            source = excluded.source, at = excluded.at, reached = excluded.reached, banner = excluded.banner, \
            took_us = excluded.took_us",
    }
    .execute(tx, all, |(host, at, probed), values| {
        let (probe, took) = (&probed.probe, probed.took.as_micros());
        values
            .bytes(&host.as_bytes()[..])
            .bytes(&sixteen(probe.address)[..])
            .number(code(&TRANSPORTS, &probe.transport))
            .number(i64::from(probe.port))
            .number(i64::from(probe.ssh))
            .bytes(probed.from.map(sixteen).as_ref().map(|from| &from[..]))
            .number(at.as_micros())
            .number(code(&REACHED, &probed.reached))
            .bytes(probed.banner.as_ref().map(|banner| banner.as_bytes()))
            .number(i64::try_from(took).unwrap_or(i64::MAX));
    })
    .await
}

/// Forgets what a host told.
pub(in crate::restriction) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM restriction_host WHERE host = $1",
        "DELETE FROM restriction_probed WHERE host = $1",
        "DELETE FROM restriction_seen WHERE host = $1",
    ] {
        let forgotten = sqlx::query(sql).bind(host.as_bytes().to_vec());
        forgotten.execute(&mut **tx).await?;
    }
    Ok(())
}

pub(super) fn json(what: &impl Serialize) -> sqlx::Result<String> {
    serde_json::to_string(what).map_err(|error| sqlx::Error::Encode(error.into()))
}

pub(super) fn read<T: for<'d> Deserialize<'d>>(text: String) -> sqlx::Result<T> {
    serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}
