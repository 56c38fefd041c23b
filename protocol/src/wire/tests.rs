//! What goes over the wire comes back as it was.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::access::*;
use crate::health::{HealthReport, Limits, Range, Value, Verdict};
use crate::hosts::{Doctor, Finding, FindingState};
use crate::keys::{Effect, Holder, Keys, Means, Opening, PublicKey, Trouble};
use crate::record::{Backlog, Gap, Record, Report};
use crate::time::Timestamp;

fn record(report: Report) -> Record {
    let kept_at = Timestamp::from_micros(7);
    Record {
        seq: 9,
        covers: 2,
        kept_at,
        boot: [3; 16],
        report,
    }
}

fn access() -> impl Strategy<Value = Report> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let peer = any::<(IpAddr, Option<u16>)>();
    (
        bytes(),
        bytes(),
        prop::option::of(peer),
        any::<(i64, bool, bool, Option<u32>, Option<u64>)>(),
        (prop::sample::select(&Service::ALL), tunnel()),
    )
        .prop_map(|(user, line, peer, plain, (service, tunnel))| {
            let (at, attempt, known, pid, serial) = plain;
            Report::Access(AccessEvent {
                at: Timestamp::from_micros(at),
                service,
                target: known.then(|| user.clone().into()),
                tunnel,
                command: attempt.then(|| line.clone().into()),
                action: Action::Authentication,
                outcome: Outcome::Failure,
                attempt,
                form: "failed".to_owned(),
                user: Some(User {
                    name: user.into(),
                    known,
                }),
                peer: peer.map(|(ip, port)| Peer {
                    address: ip.to_canonical(),
                    port,
                }),
                method: Some("password".to_owned()),
                key: Some(Key {
                    kind: "RSA".to_owned(),
                    fingerprint: "SHA256:x".to_owned(),
                }),
                certificate: Some(Certificate {
                    id: line.clone().into(),
                    serial,
                    authority: known.then(String::new),
                }),
                pid,
                trust: Trust::Server,
                line: line.into(),
            })
        })
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    any::<(Option<std::net::Ipv4Addr>, Option<std::net::Ipv6Addr>)>()
        .prop_map(|(v4, v6)| Tunnel { v4, v6 })
}

proptest! {
    #[test]
    fn access_events_come_back_as_they_were(report in access()) {
        let sent = record(report);
        prop_assert_eq!(decode(&encode(sent.clone())).unwrap(), sent);
    }

    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}

/// What a holder has, with something in every place.
fn keys(holder: Holder) -> Report {
    let text = str::to_owned;
    let opening = Opening {
        means: Means::AuthorizedKey,
        key: Some(PublicKey {
            kind: text("ssh-ed25519"),
            bits: 256,
            fingerprint: text("SHA256:x"),
            wire: vec![0, 1, 255],
        }),
        file: text("/root/.ssh/authorized_keys"),
        line: Some(3),
        comment: "ada@laptop".into(),
        options: "restrict".into(),
        principals: vec!["ada".into()],
        not_before: None,
        not_after: Some(Timestamp::from_micros(8)),
        condition: Some(text("from 10.0.0.0/8")),
    };
    let trouble = Trouble {
        effect: Effect::PassedOver,
        file: Some(text("/a")),
        text: text("x"),
    };
    Report::Keys(Keys {
        at: Timestamp::from_micros(6),
        holder,
        openings: vec![opening],
        omitted: 1,
        troubles: vec![trouble],
    })
}

/// A number with something in every place.
fn limited() -> Value {
    let range = |start, end, inverted| {
        Some(Range {
            start,
            end,
            inverted,
        })
    };
    Value {
        limits: Limits {
            warning: range(None, Some(80.0), false),
            critical: range(Some(0.0), Some(-0.5), true),
            least: Some(0.0),
            most: Some(100.0),
        },
        ..Value::new("disk /", 7.5, "B")
    }
}

#[test]
fn a_limit_that_is_no_number_is_none() {
    let wire = v1::health::Value {
        name: "a".to_owned(),
        warning: Some(v1::health::Range {
            start: Some(f64::NAN),
            end: Some(1.0),
            inverted: false,
        }),
        most: Some(f64::INFINITY),
        ..v1::health::Value::default()
    };
    assert!(Value::from(wire).limits.is_empty());
}

#[test]
fn a_backlog_comes_back_as_it_was_and_an_older_agent_says_nothing() {
    let backlog = Backlog {
        records: 1_204,
        oldest: Duration::from_micros(1_500_000),
    };
    let back: Option<Backlog> = v1::Beat::from(backlog).into();
    assert_eq!(back, Some(backlog));
    let silent: Option<Backlog> = v1::Beat::default().into();
    assert_eq!(silent, None);
    let lie = v1::Beat {
        behind: Some(u64::MAX),
        oldest: Some(u64::MAX),
    };
    let bounded = Option::<Backlog>::from(lie).unwrap();
    assert!(bounded.records < 1 << 50 && bounded.oldest < Duration::from_secs(1 << 30));
}

#[test]
fn what_another_agent_says_of_keys_is_taken_as_what_may_hide_some() {
    let opening = |means| v1::keys::Opening {
        means,
        ..Default::default()
    };
    let wire = v1::Keys {
        holder: Some(v1::keys::Holder::Account(b"zoe".to_vec())),
        openings: vec![opening(1), opening(77)],
        omitted: 1,
        troubles: vec!["of the first agents".to_owned()],
        found: vec![v1::keys::Trouble {
            effect: 77,
            ..Default::default()
        }],
        ..Default::default()
    };
    let keys = Keys::try_from(wire).unwrap();
    assert_eq!((keys.openings.len(), keys.omitted), (1, 2));
    assert_eq!(keys.troubles.len(), 2);
    for trouble in &keys.troubles {
        assert!(trouble.hides_in("/any/file"), "{trouble:?}");
    }
}

#[test]
fn the_other_reports_come_back_as_they_were() {
    let text = str::to_owned;
    let health = HealthReport {
        at: Timestamp::from_micros(1),
        check: text("tcp.db"),
        verdict: Verdict::Failed,
        detail: text("refused"),
        took: Duration::from_micros(5),
        interval: Duration::from_secs(30),
        failures: 3,
        values: vec![Value::new("cpu", 0.5, "%"), limited()],
    };
    let gap = Gap {
        source: text("journal"),
        from: None,
        to: Timestamp::from_micros(4),
        lost: Some(2),
        why: text("x"),
    };
    let finding = Finding {
        subject: text("a"),
        state: FindingState::Absent,
        detail: text("b"),
    };
    let doctor = Doctor {
        version: text("1"),
        system: text("Debian"),
        findings: vec![finding],
    };
    for report in [
        keys(Holder::Account("root".into())),
        keys(Holder::Host(vec!["root".into(), "ada".into()])),
        Report::Health(health),
        Report::Gap(gap),
        Report::Doctor(doctor),
    ] {
        let sent = record(report);
        assert_eq!(decode(&encode(sent.clone())).unwrap(), sent);
    }
}

#[test]
fn spans_that_no_check_has_are_made_possible() {
    let decoded = |span: u64, failures: u32| {
        let wire = v1::Health {
            check: "tcp.db".to_owned(),
            took: span,
            interval: span,
            failures,
            ..v1::Health::default()
        };
        HealthReport::try_from(wire).unwrap()
    };
    let month = Duration::from_secs(30 * 86_400);
    let most = decoded(u64::MAX, u32::MAX);
    assert_eq!(
        (most.took, most.interval, most.failures),
        (month, month, 1_000)
    );
    let least = decoded(0, 0);
    assert_eq!(
        (least.interval, least.failures),
        (Duration::from_secs(1), 1)
    );
}

#[test]
fn of_a_message_that_is_too_large_a_part_is_taken() {
    let long = || "x".repeat(60_000);
    let finding = v1::doctor::Finding {
        subject: long(),
        state: v1::doctor::finding::State::Watched.into(),
        detail: long(),
    };
    let doctor = v1::Doctor {
        version: long(),
        system: long(),
        findings: vec![finding; 2_000],
    };
    let doctor = Doctor::try_from(doctor).unwrap();
    assert_eq!((doctor.version.len(), doctor.system.len()), (200, 200));
    assert_eq!(doctor.findings.len(), Doctor::MOST);
    let last = doctor.findings.last().unwrap();
    assert_eq!(last.subject, Doctor::LEFT_OUT);
    assert!(last.detail.starts_with("2000 things"), "{}", last.detail);
    let finding = &doctor.findings[0];
    assert_eq!((finding.subject.len(), finding.detail.len()), (200, 1024));

    let value = v1::health::Value {
        name: long(),
        number: 1.0,
        unit: long(),
        ..v1::health::Value::default()
    };
    let health = v1::Health {
        check: "tcp.db".to_owned(),
        values: vec![value; 1_000],
        ..v1::Health::default()
    };
    let health = HealthReport::try_from(health).unwrap();
    assert_eq!(health.values.len(), 64);
    assert_eq!(health.values[0].name.len(), 200);

    let access = AccessEvent::try_from(too_large_access()).unwrap();
    assert_eq!(access.line.as_bytes().len(), 8 << 10);
    assert_eq!(access.user.unwrap().name.as_bytes().len(), 1 << 10);
    let (key, certificate) = (access.key.unwrap(), access.certificate.unwrap());
    assert_eq!(certificate.id.as_bytes().len(), 1 << 10);
    assert_eq!(access.target.unwrap().as_bytes().len(), 1 << 10);
    assert_eq!(access.command.unwrap().as_bytes().len(), 4 << 10);
    for text in [
        access.form,
        access.method.unwrap(),
        key.kind,
        key.fingerprint,
        certificate.authority.unwrap(),
    ] {
        assert_eq!(text.len(), 200);
    }
}

fn too_large_access() -> v1::Access {
    let (long, bytes) = ("x".repeat(60_000), vec![b'x'; 60_000]);
    v1::Access {
        service: v1::access::Service::Sshd.into(),
        action: v1::access::Action::Authentication.into(),
        form: long.clone(),
        method: Some(long.clone()),
        user: Some(v1::access::User {
            name: bytes.clone(),
            known: false,
        }),
        key: Some(v1::access::Key {
            kind: long.clone(),
            fingerprint: long.clone(),
        }),
        certificate: Some(v1::access::Certificate {
            id: bytes.clone(),
            serial: Some(1),
            authority: Some(long),
        }),
        target: Some(bytes.clone()),
        command: Some(bytes.clone()),
        line: bytes,
        ..v1::Access::default()
    }
}

#[test]
fn an_address_in_a_tunnel_has_its_kinds_length() {
    let tunnel = |v4: usize, v6: usize| v1::access::Tunnel {
        v4: Some(vec![1; v4]),
        v6: Some(vec![1; v6]),
    };
    assert!(Tunnel::try_from(tunnel(4, 16)).is_ok());
    for (v4, v6) in [(16, 16), (4, 4), (0, 16), (4, 0)] {
        assert!(Tunnel::try_from(tunnel(v4, v6)).is_err(), "{v4} {v6}");
    }
}

#[test]
fn text_that_a_database_cannot_keep_is_made_harmless() {
    assert_eq!(text("a\0b".to_owned()), "a\u{fffd}b");
    assert_eq!(text("é".repeat(4096)).len(), 4096);
}
