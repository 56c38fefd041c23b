//! Who came from where, as it was judged when it came: written in bulk.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::time::Timestamp;

use crate::restriction::alerts;
use crate::restriction::judge::{At, Seen};
use crate::restriction::policy::{Place, Service};
use crate::store::Tx;
use crate::store::bulk::{Bulk, Values};

// What the database has for a variant is its place in this list: only ever append.
const SERVICES: [Service; 2] = [Service::Ssh, Service::OpenVpn];

/// What the database has for a service.
pub(super) fn service_code(service: Service) -> i64 {
    let place = SERVICES.iter().position(|one| *one == service);
    place
        .and_then(|place| i64::try_from(place).ok())
        .unwrap_or(0)
}

/// The service that the database has.
pub(super) fn service(code: i64) -> sqlx::Result<Service> {
    let place = usize::try_from(code).ok();
    let found = place.and_then(|place| SERVICES.get(place)).copied();
    found.ok_or_else(|| {
        sqlx::Error::Decode(format!("the number {code} was written by a newer version").into())
    })
}

/// What the database has for a place: 2 is outside.
const fn place_code(place: &Place<'_>) -> i64 {
    match place {
        Place::Open => 0,
        Place::Inside => 1,
        Place::Outside(_) => 2,
    }
}

const fn lane_code(lane: Lane) -> i64 {
    match lane {
        Lane::Access => 0,
        Lane::Health => 1,
    }
}

/// An address as the database has it: 16 bytes, IPv4 mapped into IPv6.
pub(super) fn bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Which of these are there already.
pub(in crate::restriction) async fn known(
    tx: &mut Tx,
    seen: &[Seen<'_>],
) -> sqlx::Result<HashSet<At>> {
    let mut spans: HashMap<(HostId, Lane, Epoch), (u64, u64)> = HashMap::new();
    for (host, lane, epoch, seq) in seen.iter().map(|one| one.at) {
        let span = spans.entry((host, lane, epoch)).or_insert((seq, seq));
        *span = (span.0.min(seq), span.1.max(seq));
    }
    let spans: Vec<_> = spans.into_iter().collect();
    let rows = Bulk {
        before: "WITH said (host, lane, epoch, low, high) AS (VALUES ",
        columns: 5,
        after: ") SELECT m.host, m.lane, m.epoch, m.seq FROM said CROSS JOIN restriction_mark m \
            WHERE m.host = said.host AND m.lane = said.lane AND m.epoch = said.epoch \
            AND m.seq BETWEEN said.low AND said.high",
    }
    .fetch(tx, &spans, |((host, lane, epoch), (low, high)), values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(lane_code(*lane))
            .number(epoch.0.cast_signed())
            .number(low.cast_signed())
            .number(high.cast_signed());
    })
    .await?;
    rows.iter().map(place_in).collect()
}

fn place_in(row: &AnyRow) -> sqlx::Result<At> {
    let host: Result<[u8; 16], _> = row.try_get::<Vec<u8>, _>(0)?.try_into();
    let host = host.map_err(|_| sqlx::Error::Decode("a host's id is not 16 bytes".into()))?;
    let lane = match row.try_get::<i64, _>(1)? {
        0 => Lane::Access,
        _ => Lane::Health,
    };
    Ok((
        HostId::from_bytes(host),
        lane,
        Epoch(row.try_get::<i64, _>(2)?.cast_unsigned()),
        row.try_get::<i64, _>(3)?.cast_unsigned(),
    ))
}

/// Keeps who came.
pub(in crate::restriction) async fn insert(
    tx: &mut Tx,
    seen: &[Seen<'_>],
    now: Timestamp,
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO restriction_mark (host, host_name, lane, epoch, seq, judged_at, \
            received_at, service, login, place, user_name, user_known, address, permitted) VALUES ",
        columns: 14,
        after: " ON CONFLICT DO NOTHING",
    }
    .execute(tx, seen, |one, values| write(one, values, now))
    .await
}

fn write(one: &Seen<'_>, values: &mut Values, now: Timestamp) {
    let (host, lane, epoch, seq) = one.at;
    let user = one.heard.report.user.as_ref();
    values
        .bytes(&host.as_bytes()[..])
        .text(one.heard.host.name.as_str())
        .number(lane_code(lane))
        .number(epoch.0.cast_signed())
        .number(seq.cast_signed())
        .number(one.judged_at.as_micros())
        .number(now.as_micros())
        .number(service_code(one.service))
        .number(i64::from(one.login))
        .number(place_code(&one.place))
        .bytes(user.map(|user| clip(user.name.as_bytes())))
        .number(user.map(|user| i64::from(user.known)))
        .bytes(&bytes(one.address)[..])
        .text(alerts::permitted(one).as_str());
}

/// As much of a user name as is kept; the access log has the whole.
fn clip(name: &[u8]) -> &[u8] {
    name.get(..512).unwrap_or(name)
}
