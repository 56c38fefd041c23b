//! Events: written in bulk, and asked about in bulk.

use std::net::IpAddr;

use watchward_protocol::access::{Action, Outcome, Service, Trust};
use watchward_protocol::record::Lane;
use watchward_protocol::time::Timestamp;

use crate::access::address::Source;
use crate::access::judge::{Counts, Fresh};
use crate::store::Tx;
use crate::store::bulk::{Bulk, Values};
use crate::store::value::{code, fixed, sixteen};

// What the database has for a variant is its place in these lists: only ever append.
pub(super) const SERVICES: [Service; 5] = [
    Service::Sshd,
    Service::Sudo,
    Service::Su,
    Service::OpenVpn,
    Service::WireGuard,
];
pub(super) const ACTIONS: [Action; 6] = [
    Action::Authentication,
    Action::Refusal,
    Action::Connection,
    Action::SessionOpened,
    Action::SessionClosed,
    Action::Notice,
];
pub(super) const OUTCOMES: [Outcome; 3] = [Outcome::Unknown, Outcome::Success, Outcome::Failure];
pub(super) const TRUSTS: [Trust; 3] = [Trust::Text, Trust::Session, Trust::Server];

pub(super) const fn counts_code(counts: Counts) -> i64 {
    match counts {
        Counts::Nothing => 0,
        Counts::Failure => 1,
        Counts::Login => 2,
    }
}

const INSERT: Bulk<'static> = Bulk {
    before: "INSERT INTO access_event (host, host_name, lane, epoch, seq, at, kept_at, received_at, \
        judged_at, boot, service, action, outcome, attempt, form, user_name, user_known, address, \
        port, source, counts, method, key_kind, key_fingerprint, certificate_id, \
        certificate_serial, certificate_authority, pid, trust, line, target, tunnel_v4, tunnel_v6, \
        command) VALUES ",
    columns: 34,
    after: " ON CONFLICT DO NOTHING",
};

/// Keeps events.
pub(in crate::access) async fn insert(
    tx: &mut Tx,
    fresh: &[Fresh<'_>],
    now: Timestamp,
) -> sqlx::Result<()> {
    let write = |one: &Fresh<'_>, values: &mut Values| {
        let heard = one.heard;
        values
            .bytes(&heard.host.id.as_bytes()[..])
            .text(heard.host.name.as_str())
            .number(code(&Lane::ALL, &heard.lane))
            .number(heard.epoch.0.cast_signed())
            .number(heard.seq.cast_signed())
            .number(heard.report.at.as_micros())
            .number(heard.kept_at.as_micros())
            .number(now.as_micros())
            .number(one.judged_at.as_micros())
            .bytes(&heard.boot[..]);
        told(one, values);
    };
    INSERT.execute(tx, fresh, write).await
}

fn told(one: &Fresh<'_>, values: &mut Values) {
    let event = &one.heard.report;
    let user = event.user.as_ref();
    let key = event.key.as_ref();
    let certificate = event.certificate.as_ref();
    let address = event.peer.map(|peer| sixteen(peer.address));
    let serial = certificate.and_then(|certificate| certificate.serial);
    let authority = certificate.and_then(|certificate| certificate.authority.as_ref());
    let inside = |address: Option<IpAddr>| address.map(sixteen);
    let [v4, v6] = [
        inside(event.tunnel.v4.map(IpAddr::from)),
        inside(event.tunnel.v6.map(IpAddr::from)),
    ];
    values
        .number(code(&SERVICES, &event.service))
        .number(code(&ACTIONS, &event.action))
        .number(code(&OUTCOMES, &event.outcome))
        .number(i64::from(event.attempt))
        .text(event.form.as_str())
        .bytes(user.map(|user| clip(user.name.as_bytes())))
        .number(user.map(|user| i64::from(user.known)))
        .bytes(address.as_ref().map(|bytes| &bytes[..]))
        .number(event.peer.and_then(|peer| peer.port).map(i64::from))
        .bytes(one.source.as_ref().map(|source| &source.as_bytes()[..]))
        .number(counts_code(one.counts))
        .text(event.method.as_deref())
        .text(key.map(|key| key.kind.as_str()))
        .text(key.map(|key| key.fingerprint.as_str()))
        .bytes(certificate.map(|certificate| certificate.id.as_bytes()))
        .number(serial.map(u64::cast_signed))
        .text(authority.map(String::as_str))
        .number(event.pid.map(i64::from))
        .number(code(&TRUSTS, &event.trust))
        .bytes(event.line.as_bytes())
        .bytes(event.target.as_ref().map(|target| target.as_bytes()))
        .bytes(v4.as_ref().map(|bytes| &bytes[..]))
        .bytes(v6.as_ref().map(|bytes| &bytes[..]))
        .bytes(event.command.as_ref().map(|command| command.as_bytes()));
}

/// As much of a user name as an index takes; sshd itself writes far less (`%.100s`).
pub(super) fn clip(name: &[u8]) -> &[u8] {
    name.get(..LONGEST_NAME).unwrap_or(name)
}

/// Beware: PostgreSQL refuses a row whose index entry has more than 2,704 bytes.
const LONGEST_NAME: usize = 512;

pub(super) fn source(bytes: Vec<u8>) -> sqlx::Result<Source> {
    fixed(bytes).map(Source::from_bytes)
}
