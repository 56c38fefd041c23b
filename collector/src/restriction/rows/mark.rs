//! Who came from where, as it was judged when it came: written in bulk.

use watchward_protocol::record::Lane;
use watchward_protocol::time::Timestamp;

use crate::restriction::alerts;
use crate::restriction::judge::Seen;
use crate::restriction::policy::Place;
use crate::restriction::services::Service;
use crate::store::Tx;
use crate::store::bulk::{Bulk, Values};
use crate::store::value::{code, sixteen};

// What the database has for a variant is its place in this list: only ever append.
pub(super) const SERVICES: [Service; 3] = [Service::Ssh, Service::OpenVpn, Service::WireGuard];

/// What the database has for a place: 2 is outside.
const fn place_code(place: &Place<'_>) -> i64 {
    match place {
        Place::Open => 0,
        Place::Inside => 1,
        Place::Outside(_) => 2,
    }
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
        .number(code(&Lane::ALL, &lane))
        .number(epoch.0.cast_signed())
        .number(seq.cast_signed())
        .number(one.judged_at.as_micros())
        .number(now.as_micros())
        .number(code(&SERVICES, &one.service))
        .number(i64::from(one.login))
        .number(place_code(&one.place))
        .bytes(user.map(|user| clip(user.name.as_bytes())))
        .number(user.map(|user| i64::from(user.known)))
        .bytes(&sixteen(one.address)[..])
        .text(alerts::permitted(one).as_str());
}

/// As much of a user name as is kept; the access log has the whole.
fn clip(name: &[u8]) -> &[u8] {
    name.get(..512).unwrap_or(name)
}
