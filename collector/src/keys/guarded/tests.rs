//! Which use of a guarded key is told, to whom it happens, and when it is over.

use watchward_protocol::access::{Action, Key, Peer, Trust, Tunnel, User};
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};

use super::*;
use crate::alerting::testing::{raised, told};
use crate::intake::Host;
use crate::keys::SCHEMA;
use crate::store::testing;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn fingerprint(letter: &str) -> String {
    format!("SHA256:{}", letter.repeat(43))
}

fn policy() -> Policy {
    let guarded = |letter: &str, name: &str| Guarded {
        fingerprint: fingerprint(letter).try_into().unwrap(),
        name: name.to_owned().try_into().unwrap(),
    };
    let safe = BreakGlass {
        fingerprint: fingerprint("g").try_into().unwrap(),
        name: "the key in the safe".to_owned().try_into().unwrap(),
        groups: None,
        accounts: Vec::new(),
    };
    Policy {
        break_glass: vec![safe],
        canaries: vec![guarded("c", "on the old laptop")],
        ..Policy::default()
    }
}

fn heard(letter: &str, outcome: Outcome, attempt: bool) -> Heard<AccessEvent> {
    let event = AccessEvent {
        at: NOON,
        service: Service::Sshd,
        action: Action::Authentication,
        outcome,
        attempt,
        form: "accepted".to_owned(),
        user: Some(User {
            name: "root".into(),
            known: true,
        }),
        target: None,
        peer: Some(Peer {
            address: [192, 0, 2, 7].into(),
            port: Some(40_000),
        }),
        tunnel: Tunnel::default(),
        method: Some("publickey".to_owned()),
        key: Some(Key {
            kind: "ED25519".to_owned(),
            fingerprint: fingerprint(letter),
        }),
        certificate: None,
        command: None,
        pid: None,
        trust: Trust::Server,
        line: "a line of sshd".into(),
    };
    Heard {
        host: Host {
            id: HostId::from_bytes([1; 16]),
            name: "web".to_owned(),
        },
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: NOON,
        boot: [0; 16],
        report: event,
    }
}

#[tokio::test]
async fn a_use_is_told_until_a_day_after_the_last() {
    for (letter, outcome, words) in [
        (
            "g",
            Outcome::Success,
            "root was opened by break-glass key the key in the safe",
        ),
        (
            "c",
            Outcome::Success,
            "canary key on the old laptop was shown for root",
        ),
        (
            "c",
            Outcome::Failure,
            "canary key on the old laptop was shown for root",
        ),
        (
            "c",
            Outcome::Unknown,
            "canary key on the old laptop was shown for root",
        ),
    ] {
        for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let mut tx = fresh.begin().await.unwrap();
            watch(&mut tx, &[heard(letter, outcome, true)], &policy(), NOON)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let [alert] = &raised(&fresh).await[..] else {
                panic!("one incident");
            };
            assert_eq!(alert.severity, Severity::Critical);
            assert!(alert.title.contains(words), "{}", alert.title);
            assert!(alert.title.contains("192.0.2.7"), "{}", alert.title);
            assert!(told(alert).iter().all(|text| text.contains("web")));
            for (after, left) in [(QUIET / 2, 1), (QUIET, 0)] {
                let mut tx = fresh.begin().await.unwrap();
                activate(&mut tx, NOON + after).await.unwrap();
                tx.commit().await.unwrap();
                assert_eq!(raised(&fresh).await.len(), left);
            }
        }
    }
}

#[test]
fn what_opens_nothing_and_what_nobody_guards_is_no_news() {
    let policy = policy();
    for (letter, outcome, attempt) in [
        ("x", Outcome::Success, true),
        ("g", Outcome::Failure, true),
        // Our own question whether it would open.
        ("g", Outcome::Success, false),
    ] {
        let event = heard(letter, outcome, attempt).report;
        assert_eq!(
            used(&policy, &event),
            None,
            "{letter} {outcome:?} {attempt}"
        );
    }
}
