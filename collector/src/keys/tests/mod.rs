//! What the room does with what hosts tell, on both databases.

mod host_authority;
mod host_keys;
mod live;
mod logins;
mod pages;
mod retired;
mod revoked;
mod shown;
mod stands;
mod texts;
mod whole;

use watchward_protocol::access::{Action, Outcome, Peer, Service, Trust, Tunnel, User};
use watchward_protocol::keys::{Effect, Holder, Means, Opening, PublicKey, Trouble};
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::text::Foreign;

use super::*;
use crate::alerting;
use crate::intake::Host;
use crate::store::testing::{self, Fresh};

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, alerting::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

const DAY: i64 = 86_400;

fn config() -> Config {
    Config {
        settle: Span::minutes(1),
        ..Config::default()
    }
}

fn host(number: u8) -> Host {
    Host {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
    }
}

fn fingerprint(letter: char) -> String {
    format!("SHA256:{}", letter.to_string().repeat(43))
}

/// A strong key, by a letter.
fn key(letter: char) -> Opening {
    Opening {
        means: Means::AuthorizedKey,
        key: Some(PublicKey {
            kind: "ssh-ed25519".into(),
            bits: 256,
            fingerprint: fingerprint(letter),
            wire: Vec::new(),
        }),
        file: "/root/.ssh/authorized_keys".into(),
        line: Some(u32::from(letter)),
        comment: Foreign::from(format!("{letter}@laptop").as_str()),
        options: Foreign::default(),
        principals: Vec::new(),
        not_before: None,
        not_after: None,
        condition: None,
    }
}

/// What an agent says of root's file.
fn trouble(effect: Effect) -> Trouble {
    Trouble {
        effect,
        file: Some("/root/.ssh/authorized_keys".to_owned()),
        text: "in words for people alone".to_owned(),
    }
}

fn means(means: Means, opening: Opening) -> Opening {
    Opening { means, ..opening }
}

fn heard(number: u8, seq: u64, seconds: i64, holder: Holder, openings: &[Opening]) -> Heard<Keys> {
    Heard {
        host: host(number),
        lane: Lane::Access,
        epoch: Epoch(u64::MAX - 7),
        seq,
        kept_at: at(seconds),
        boot: [9; 16],
        report: Keys {
            at: at(seconds),
            holder,
            openings: openings.to_vec(),
            omitted: 0,
            troubles: Vec::new(),
        },
    }
}

/// What host 1 tells of root.
fn root(seq: u64, seconds: i64, openings: &[Opening]) -> Heard<Keys> {
    heard(1, seq, seconds, Holder::Account("root".into()), openings)
}

/// What host 1 tells of itself.
fn itself(seq: u64, seconds: i64, accounts: &[&str], openings: &[Opening]) -> Heard<Keys> {
    let accounts = accounts.iter().map(|name| Foreign::from(*name)).collect();
    heard(1, seq, seconds, Holder::Host(accounts), openings)
}

async fn hear(store: &Store, reports: &[Heard<Keys>], now: Timestamp) {
    hear_by(store, &Policy::default(), reports, now).await;
}

async fn hear_by(store: &Store, policy: &Policy, reports: &[Heard<Keys>], now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    absorb(&mut tx, reports, policy, now).await.unwrap();
    tx.commit().await.unwrap();
}

/// Root has key `a`, and that was the first look, an hour ago.
async fn begin(store: &Store) {
    hear(store, &[root(1, 0, &[key('a')])], at(0)).await;
    hear(store, &[itself(2, 0, &["root"], &[])], at(1)).await;
}

async fn pass(store: &Store, now: Timestamp) -> usize {
    pass_by(store, &Policy::default(), now).await
}

async fn pass_by(store: &Store, policy: &Policy, now: Timestamp) -> usize {
    let mut tx = store.begin().await.unwrap();
    let changed = activate(&mut tx, &config(), policy, now).await.unwrap();
    tx.commit().await.unwrap();
    changed
}

async fn say_right(store: &Store, wanted: Accept, now: Timestamp) -> usize {
    let mut tx = store.begin().await.unwrap();
    let places = accept(&mut tx, (&wanted, "ada"), &Policy::default(), now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    places
}

/// A login as root on host 1 with the key of this letter.
fn login(seq: u64, seconds: i64, letter: char) -> Heard<AccessEvent> {
    let peer = Peer {
        address: "192.0.2.7".parse().unwrap(),
        port: Some(50_000),
    };
    Heard {
        host: host(1),
        lane: Lane::Access,
        epoch: Epoch(u64::MAX - 7),
        seq,
        kept_at: at(seconds),
        boot: [9; 16],
        report: AccessEvent {
            at: at(seconds),
            service: Service::Sshd,
            action: Action::Authentication,
            outcome: Outcome::Success,
            attempt: true,
            form: "accepted".into(),
            user: Some(User {
                name: "root".into(),
                known: true,
            }),
            target: None,
            peer: Some(peer),
            tunnel: Tunnel::default(),
            method: Some("publickey".into()),
            key: Some(watchward_protocol::access::Key {
                kind: "ED25519".into(),
                fingerprint: fingerprint(letter),
            }),
            certificate: None,
            command: None,
            pid: Some(7),
            trust: Trust::Server,
            line: "Accepted publickey".into(),
        },
    }
}

async fn log_in(store: &Store, events: &[Heard<AccessEvent>], now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    used(&mut tx, events, &config(), now).await.unwrap();
    tx.commit().await.unwrap();
}

/// Open incidents, as `severity title`.
async fn open(store: &Store) -> Vec<String> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT severity, title FROM alerting_incident WHERE resolved_at IS NULL ORDER BY id",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    let name = |severity| match severity {
        0 => "info",
        1 => "warning",
        _ => "critical",
    };
    rows.into_iter()
        .map(|(severity, title)| format!("{} {title}", name(severity)))
        .collect()
}

/// How often people were told that something began, became worse or ended.
async fn told(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM alerting_notice")
        .fetch_one(store.read())
        .await
        .unwrap()
}

/// Everything that the room has, by its own listing.
async fn all(store: &Store, now: Timestamp) -> Vec<Listed> {
    let wanted = Wanted {
        gone: true,
        limit: 10_000,
        now,
        ..Wanted::default()
    };
    list(store, &wanted).await.unwrap()
}
