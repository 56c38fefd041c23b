//! What the room does with what hosts tell, on both databases.

mod kept;
mod locked;
mod permitted;
mod planned;
mod read;
mod seen;
mod shown;
mod texts;
mod unheld;

use futures_util::future::BoxFuture;
use watchward_protocol::access::{Action, Outcome, Peer, Service, Trust, Tunnel, User};
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};

use super::*;
use crate::intake::{Host, Watched};
use crate::policy::{Groups, Networks};
use crate::store::testing::{self, Fresh};

/// An empty store of each kind.
async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, BANS, HELD, alerting::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn watched(number: u8, name: &str) -> Watched {
    Watched {
        host: Host {
            id: HostId::from_bytes([number; 16]),
            name: name.to_owned(),
        },
        is_silent: false,
    }
}

/// The hosts that are watched.
pub(super) fn hosts(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async { Ok(vec![watched(2, "db-1"), watched(1, "web-1")]) })
}

/// The two tables, with the groups that they name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    groups: Groups,
    networks: Networks,
    restriction: Table,
}

pub(super) fn read(text: &str) -> Result<Policy, watchward_daemon::config::Invalid> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let join = |file: &mut File| {
        file.networks.join()?;
        file.restriction.join(&file.groups, &file.networks)
    };
    let file = watchward_daemon::config::read_whole::<File>(file.path(), join)?;
    Ok(Policy::of(file.networks, file.restriction))
}

const OFFICE: &str = r#"
    [groups]
    web = ["web-*"]
    [networks]
    office = ["192.0.2.0/24", "2001:db8::/32"]
    vpn = ["10.8.0.0/24"]
    [[restriction.rules]]
    groups = ["web"]
    services = ["ssh"]
    from = ["office", "vpn"]
"#;

/// The same with a gate that is shut, and an exception.
const GATED: &str = r#"
    [groups]
    web = ["web-*"]
    [networks]
    office = ["192.0.2.0/24", "2001:db8::/32"]
    home = ["198.51.100.7"]
    [[restriction.rules]]
    groups = ["web"]
    services = ["ssh"]
    from = ["office"]
    mode = "enforce"
    [[restriction.exceptions]]
    groups = ["web"]
    services = ["ssh"]
    from = ["home"]
    until = "2999-12-31"
    reason = "<i>the move"
"#;

/// A login of root on `web-1`.
fn login(seq: u64, seconds: i64, address: &str) -> Heard<AccessEvent> {
    let event = AccessEvent {
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
        peer: Some(Peer {
            address: address.parse().unwrap(),
            port: Some(4711),
        }),
        method: Some("publickey".into()),
        target: None,
        tunnel: Tunnel::default(),
        key: None,
        certificate: None,
        command: None,
        pid: Some(77),
        trust: Trust::Server,
        line: "Accepted publickey for root".into(),
    };
    Heard {
        host: Host {
            id: HostId::from_bytes([1; 16]),
            name: "web-1".into(),
        },
        lane: Lane::Access,
        epoch: Epoch(7),
        seq,
        kept_at: at(seconds),
        boot: [9; 16],
        report: event,
    }
}

/// The same without success.
fn failure(seq: u64, seconds: i64, address: &str) -> Heard<AccessEvent> {
    let mut heard = login(seq, seconds, address);
    heard.report.outcome = Outcome::Failure;
    heard.report.user = Some(User {
        name: "Tr0ub4dor&3".into(),
        known: false,
    });
    heard
}

async fn hear(store: &Store, events: &[Heard<AccessEvent>], policy: &Policy, now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    let config = Config::default();
    absorb(&mut tx, events, (policy, &config), now)
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

/// Incidents: key, title, severity, detail, and whether they are over.
async fn incidents(store: &Store) -> Vec<(String, String, i64, String, bool)> {
    sqlx::query_as(
        "SELECT key, title, severity, detail, CASE WHEN resolved_at IS NULL THEN 0 ELSE 1 END \
         FROM alerting_incident ORDER BY id",
    )
    .fetch_all(store.read())
    .await
    .unwrap()
    .into_iter()
    .map(|(key, title, severity, detail, over): (_, _, _, _, i64)| {
        (key, title, severity, detail, over == 1)
    })
    .collect()
}
