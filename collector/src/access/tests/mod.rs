//! What the room does with what hosts tell, on both databases.

mod flood;
mod judged;
mod listed;
mod open;
mod shared;
mod texts;

use watchward_protocol::access::{
    AccessEvent, Action, Certificate, Key, Outcome, Peer, Service, Trust, Tunnel, User,
};
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Gap, Lane};
use watchward_protocol::time::Timestamp;

use super::*;
use crate::intake::Host;
use crate::store::testing::{self, Fresh};

/// An empty store of each kind.
async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, crate::alerting::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn host(number: u8) -> Host {
    Host {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
    }
}

fn heard<T>(host_number: u8, seq: u64, kept_at: Timestamp, report: T) -> Heard<T> {
    Heard {
        host: host(host_number),
        lane: Lane::Access,
        epoch: Epoch(u64::MAX - 7),
        seq,
        kept_at,
        boot: [9; 16],
        report,
    }
}

/// A failed password for a name that the host does not know.
fn failure(host: u8, seq: u64, seconds: i64, address: &str) -> Heard<AccessEvent> {
    let event = AccessEvent {
        at: at(seconds),
        service: Service::Sshd,
        action: Action::Authentication,
        outcome: Outcome::Failure,
        attempt: true,
        form: "failed".into(),
        user: Some(User {
            name: "Tr0ub4dor&3".into(),
            known: false,
        }),
        peer: Some(Peer {
            address: address.parse().unwrap(),
            port: Some(4711),
        }),
        method: Some("password".into()),
        target: None,
        tunnel: Tunnel::default(),
        key: None,
        certificate: None,
        command: None,
        pid: Some(77),
        trust: Trust::Server,
        line: "Failed password for invalid user Tr0ub4dor&3".into(),
    };
    heard(host, seq, at(seconds), event)
}

/// A login of root with a certificate.
fn login(host: u8, seq: u64, seconds: i64, address: &str) -> Heard<AccessEvent> {
    let mut heard = failure(host, seq, seconds, address);
    let event = &mut heard.report;
    event.outcome = Outcome::Success;
    event.form = "accepted".into();
    event.user = Some(User {
        name: "root".into(),
        known: true,
    });
    event.method = Some("publickey".into());
    event.key = Some(Key {
        kind: "ED25519-CERT".into(),
        fingerprint: "SHA256:abc".into(),
    });
    event.certificate = Some(Certificate {
        id: b"zo\xff\x1b"[..].into(),
        serial: Some(u64::MAX),
        authority: Some("SHA256:ca".into()),
    });
    event.line = "Accepted publickey for root".into();
    heard
}

/// So many failures of one address on one host, a second apart from `from` on.
fn failures(host: u8, from: i64, many: i64, address: &str) -> Vec<Heard<AccessEvent>> {
    (from..from + many)
        .map(|second| failure(host, second.cast_unsigned() + 1, second, address))
        .collect()
}

async fn hear(store: &Store, events: &[Heard<AccessEvent>], now: Timestamp) {
    hear_with(store, events, &Config::default(), now).await;
}

/// Nobody is shut out.
fn nobody(_: &mut Tx, _: IpNet, _: Timestamp) -> BoxFuture<'_, sqlx::Result<Option<ShutOut>>> {
    Box::pin(async { Ok(None) })
}

async fn hear_with(store: &Store, events: &[Heard<AccessEvent>], config: &Config, now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    absorb(&mut tx, events, (config, nobody), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn pass(store: &Store, now: Timestamp) -> usize {
    let mut tx = store.begin().await.unwrap();
    let ended = activate(&mut tx, &Config::default(), now).await.unwrap();
    tx.commit().await.unwrap();
    ended
}

/// Incidents as `key`, `severity` (0 to 2), `title`, `detail`, and whether they are over.
#[derive(Debug)]
struct Incident {
    key: String,
    severity: i64,
    title: String,
    detail: String,
    over: Option<String>,
}

async fn incidents(store: &Store) -> Vec<Incident> {
    let rows: Vec<(String, i64, String, String, Option<String>)> = sqlx::query_as(
        "SELECT key, severity, title, detail, resolution FROM alerting_incident ORDER BY id",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    rows.into_iter()
        .map(|(key, severity, title, detail, over)| Incident {
            key,
            severity,
            title,
            detail,
            over,
        })
        .collect()
}

/// All that the room keeps, as text: two stores that are the same give the same.
async fn everything(store: &Store) -> String {
    let events = after(store, 0, 100_000).await.unwrap();
    let attacks: Vec<(Vec<u8>, i64, i64, i64)> = sqlx::query_as(
        "SELECT source, since, last_at, failures FROM access_attack ORDER BY source",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    let standing: Vec<(String, i64)> =
        sqlx::query_as("SELECT key, count FROM access_standing ORDER BY key")
            .fetch_all(store.read())
            .await
            .unwrap();
    format!(
        "{events:?}\n{attacks:?}\n{standing:?}\n{:?}",
        incidents(store).await
    )
}

fn gap(host: u8, seq: u64, source: &str) -> Heard<Gap> {
    let gap = Gap {
        source: source.into(),
        from: Some(at(0)),
        to: at(60),
        lost: Some(12),
        why: "the journal was vacuumed\u{1b}[2J".into(),
    };
    heard(host, seq, at(60), gap)
}
