//! When a revoked key is an incident, for how long, and who is asked when.

use futures_util::future::BoxFuture;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments;

use super::rounds::{AGAIN, EVERY, Pass, batches, due, failed};
use super::*;
use crate::alerting::testing::{raised, told};
use crate::alerting::{self, Severity};
use crate::keys::SCHEMA;
use crate::keys::rows::reached;
use crate::store::testing;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn door(account: &str, said: Said, control: Control) -> Door {
    Door {
        key: 0,
        account: account.into(),
        at: "127.0.0.1:22".parse().unwrap(),
        said,
        control,
        note: String::new(),
    }
}

fn heard(host: &str, doors: Vec<Door>) -> Heard {
    let answer = Answer {
        doors,
        ..Answer::default()
    };
    Heard {
        host: host.to_owned(),
        said: Ok(answer),
        elsewhere: Elsewhere::default(),
    }
}

fn old() -> Revoked {
    Revoked {
        fingerprint: format!("SHA256:{}", "a".repeat(43)),
        kind: "ssh-ed25519".into(),
        wire: vec![1, 2],
        reason: "zoe has left".into(),
        author: "ada".into(),
        at: NOON,
        comment: String::new(),
        person: String::new(),
        generation: 1,
    }
}

fn both(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>> {
    Box::pin(async { Ok(vec!["db".to_owned(), "web".to_owned()]) })
}

#[tokio::test]
async fn a_revoked_key_that_opens_something_is_an_incident_until_it_opens_nothing() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let mut tx = store.begin().await.unwrap();
        assert!(rows::revoke(&mut tx, &key).await.unwrap());
        assert!(!rows::revoke(&mut tx, &key).await.unwrap(), "twice is once");
        tx.commit().await.unwrap();

        let taken = door("root", Said::Accepted, Control::None);
        let refused = door("zoe", Said::Refused, Control::Other("root".into()));
        let said = [
            heard("web", vec![taken, refused.clone()]),
            heard("db", vec![refused.clone()]),
        ];
        keep(store, &key.fingerprint, &said, NOON).await.unwrap();
        let [alert] = &raised(store).await[..] else {
            panic!("one incident");
        };
        assert_eq!(alert.severity, Severity::Critical);
        assert!(alert.title.contains("opens root@web"), "{}", alert.title);
        assert!(told(alert).iter().all(|text| text.contains("root@web")));

        // Another host's answer changes nothing about that.
        keep(store, &key.fingerprint, &said[1..], NOON)
            .await
            .unwrap();
        assert_eq!(raised(store).await.len(), 1);
        let said = [heard("web", vec![refused])];
        keep(store, &key.fingerprint, &said, NOON).await.unwrap();
        assert!(raised(store).await.is_empty());
        let all = rows::proven(store).await.unwrap();
        let counts: Vec<_> = all
            .iter()
            .map(|(_, it)| (it.host.as_str(), it.doors, it.controlled))
            .collect();
        assert_eq!(counts, [("db", 1, 1), ("web", 1, 1)]);
    }
}

#[tokio::test]
async fn who_was_asked_before_does_not_gainsay_who_was_asked_after() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let mut tx = store.begin().await.unwrap();
        assert!(rows::revoke(&mut tx, &key).await.unwrap());
        tx.commit().await.unwrap();
        let later = NOON + Duration::from_secs(60);
        let said = |said| [heard("web", vec![door("root", said, Control::None)])];
        let refused = said(Said::Refused);
        keep(store, &key.fingerprint, &refused, later)
            .await
            .unwrap();
        // The daily round asked it first, and then another host for minutes.
        let taken = said(Said::Accepted);
        keep(store, &key.fingerprint, &taken, NOON).await.unwrap();
        assert!(raised(store).await.is_empty());
        let mut tx = store.begin().await.unwrap();
        let known = rows::before(&mut tx, &key.fingerprint, "web")
            .await
            .unwrap();
        assert_eq!(known.map(|it| (it.at, it.refused)), Some((later, 1)));
    }
}

#[test]
fn as_many_keys_are_asked_about_at_once_as_one_connection_bears() {
    let kinds = |kinds: &str| -> Vec<Revoked> {
        let kind = |kind: &str| Revoked {
            kind: kind.to_owned(),
            ..old()
        };
        kinds.split(' ').map(kind).collect()
    };
    let sizes = |keys: &[Revoked]| batches(keys).iter().map(|it| it.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&kinds("a a a a a a a")), [5, 2]);
    assert_eq!(sizes(&kinds("ssh-rsa ssh-rsa a a a a")), [1, 3, 2]);
    assert_eq!(sizes(&[]), [0; 0]);
}

#[tokio::test]
async fn every_host_is_asked_every_day() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let mut tx = store.begin().await.unwrap();
        rows::revoke(&mut tx, &key).await.unwrap();
        tx.commit().await.unwrap();
        let whom = async |at| {
            let mut all = due(store, (Pass::First, both), at).await.unwrap();
            all.extend(due(store, (Pass::Daily, both), at).await.unwrap());
            all.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(whom(NOON).await, ["db", "web"], "neither holds anything");
        keep(
            store,
            &key.fingerprint,
            &[heard("db", Vec::new())],
            NOON + AGAIN,
        )
        .await
        .unwrap();
        assert_eq!(whom(NOON + AGAIN).await, ["web"]);
        assert_eq!(whom(NOON + AGAIN + EVERY).await, ["db", "web"]);
        let mut tx = store.begin().await.unwrap();
        assert!(
            rows::reinstate(&mut tx, (&key.fingerprint, "ada"), NOON)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        assert_eq!(whom(NOON + AGAIN + EVERY).await, [""; 0]);
    }
}

/// Web says that it holds so much.
async fn hold(store: &Store, generation: Option<u64>, now: Timestamp) {
    let host = crate::intake::Host {
        id: HostId::from_bytes([1; 16]),
        name: "web".to_owned(),
    };
    let holding = instruments::Holding {
        at: now,
        generation,
        revoked: 1,
        digest: None,
        trouble: None,
        managed: 0,
        unmanaged: None,
        ..instruments::Holding::default()
    };
    let mut tx = store.begin().await.unwrap();
    reached::holding(&mut tx, &host, &holding, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_host_is_asked_as_soon_as_it_holds_a_revocation_and_after_a_while_in_any_case() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let mut tx = store.begin().await.unwrap();
        rows::revoke(&mut tx, &key).await.unwrap();
        tx.commit().await.unwrap();
        let second = Duration::from_secs(1);
        let asks_in = async |pass, at| {
            let due = due(store, (pass, both), at).await.unwrap();
            due.contains_key("web")
        };
        let asks = async |at| asks_in(Pass::First, at).await;
        hold(store, None, NOON).await;
        assert!(!asks(NOON + second).await && asks(NOON + AGAIN).await);
        let refused = [heard(
            "web",
            vec![door("zoe", Said::Refused, Control::None)],
        )];
        keep(store, &key.fingerprint, &refused, NOON + second)
            .await
            .unwrap();
        assert!(!asks(NOON + AGAIN).await);
        hold(store, Some(key.generation), NOON + 2 * second).await;
        assert!(
            asks(NOON + 2 * second).await,
            "what was said before says nothing"
        );
        keep(store, &key.fingerprint, &refused, NOON + 3 * second)
            .await
            .unwrap();
        hold(store, Some(key.generation + 1), NOON + 4 * second).await;
        assert!(!asks(NOON + AGAIN).await);
        let asks = async |at| asks_in(Pass::Daily, at).await;
        assert!(asks(NOON + AGAIN).await, "no other host was asked yet");
        let whole = [Heard {
            elsewhere: Elsewhere::of_none("there is none"),
            ..heard("web", vec![door("zoe", Said::Refused, Control::None)])
        }];
        keep(store, &key.fingerprint, &whole, NOON + 4 * second)
            .await
            .unwrap();
        assert!(!asks(NOON + AGAIN).await);
        assert!(asks(NOON + 4 * second + EVERY).await);
    }
}

/// What is kept of a host after these answers, one after the other.
fn after(answers: Vec<Answer>) -> Proven {
    let kept = answers.iter().fold(None, |before, answer| {
        Some(Proven::new(
            ("web", answer, &Elsewhere::default()),
            before,
            NOON,
        ))
    });
    kept.unwrap()
}

fn answer(doors: Vec<Door>) -> Answer {
    Answer {
        doors,
        ..Answer::default()
    }
}

#[test]
fn a_door_that_took_a_key_is_open_until_it_is_told_that_it_refuses() {
    let says = |said| door("root", said, Control::None);
    let other = || door("zoe", Said::Refused, Control::None);
    let taken = || answer(vec![says(Said::Accepted), other()]);
    let refused = || answer(vec![says(Said::Refused), other()]);
    let elsewhere = || Door {
        at: "127.0.0.1:2222".parse().unwrap(),
        ..says(Said::Refused)
    };
    let stays_open = [
        (
            "it cannot be told",
            answer(vec![says(Said::Unknown), other()]),
        ),
        ("no door was asked", answer(Vec::new())),
        ("trouble", Answer::of_trouble("nobody answers")),
        (
            "trouble besides",
            Answer {
                trouble: Some("sshd is replaced".into()),
                ..refused()
            },
        ),
        (
            "too little time",
            Answer {
                left: vec!["bob".into()],
                ..refused()
            },
        ),
    ];
    for (why, later) in stays_open {
        let kept = after(vec![taken(), later.clone()]);
        assert_eq!(kept.accepted.len(), 1, "{why}");
        let kept = after(vec![taken(), later, refused()]);
        assert_eq!(kept.accepted, [], "{why}");
    }
    for closed in [
        refused(),
        answer(vec![other()]),
        answer(vec![elsewhere(), other()]),
    ] {
        assert_eq!(after(vec![taken(), closed]).accepted, []);
    }
    let kept = after(vec![answer(vec![says(Said::Unknown), other()])]);
    assert_eq!((kept.unknown, kept.refused), (1, 1));
}

#[test]
fn a_host_that_says_much_fills_nothing() {
    let doors = (0..9000).map(|at| Door {
        note: "\u{1b}".repeat(9000),
        ..door(&format!("a{at}"), Said::Accepted, Control::None)
    });
    let kept = after(vec![answer(doors.collect())]);
    assert_eq!((kept.doors, kept.accepted.len()), (9000, MOST_OPENS));
    let longest = kept.accepted.iter().map(|it| it.note.chars().count()).max();
    assert_eq!(longest, Some(LONGEST_NOTE));
    assert_eq!(kept.trouble.as_deref(), Some("8950 more doors take it"));
}

#[tokio::test]
async fn who_could_not_be_asked_at_any_door_is_asked_again_soon() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let mut tx = store.begin().await.unwrap();
        rows::revoke(&mut tx, &key).await.unwrap();
        tx.commit().await.unwrap();
        let said = Ok(Answer::of_trouble("nobody answers"));
        assert!(failed(&said));
        let said = [Heard {
            host: "web".to_owned(),
            said,
            elsewhere: Elsewhere::default(),
        }];
        keep(store, &key.fingerprint, &said, NOON).await.unwrap();
        let due = due(store, (Pass::First, both), NOON + AGAIN).await.unwrap();
        assert!(due.contains_key("web"));
    }
}

#[tokio::test]
async fn who_revoked_a_key_and_who_took_that_back_is_on_the_trail() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, key) = (&*fresh, old());
        let later = NOON + AGAIN;
        for _ in 0..2 {
            let mut tx = store.begin().await.unwrap();
            assert!(rows::revoke(&mut tx, &key).await.unwrap());
            let by = (&*key.fingerprint, "bob");
            assert!(rows::reinstate(&mut tx, by, later).await.unwrap());
            assert!(!rows::reinstate(&mut tx, by, later).await.unwrap());
            tx.commit().await.unwrap();
        }
        let wanted = |who: &str| crate::people::deed::Wanted {
            since: NOON,
            before: later + AGAIN,
            who: who.to_owned(),
            limit: 10,
        };
        let all = crate::keys::deeds(store, &wanted("")).await.unwrap();
        let told: Vec<_> = all.iter().map(|it| (&*it.who, &*it.what)).collect();
        let (revoked, back) = (("ada", "revoked"), ("bob", "reinstated"));
        assert_eq!(told, [revoked, revoked, back, back]);
        let bobs = crate::keys::deeds(store, &wanted("bob")).await.unwrap();
        assert_eq!(bobs.len(), 2);
        assert!(bobs.iter().all(|it| it.whom == key.fingerprint));
    }
}

#[test]
fn what_another_host_saw_only_another_host_takes_back() {
    let seen = |said| Elsewhere {
        seen: Some((
            "db".to_owned(),
            vec![Door {
                at: "192.0.2.5:22".parse().unwrap(),
                ..door("root", said, Control::None)
            }],
        )),
        why: String::new(),
    };
    let own = answer(vec![door("root", Said::Refused, Control::None)]);
    let after = |before, seen: &Elsewhere| Proven::new(("web", &own, seen), before, NOON);
    let taken = after(None, &seen(Said::Accepted));
    assert_eq!(taken.accepted[0].at, "192.0.2.5:22 from db");
    assert_eq!((taken.doors, taken.refused), (1, 1), "of the host's own");
    let unseen = after(Some(taken), &Elsewhere::default());
    assert_eq!(unseen.accepted.len(), 1, "nobody looked again");
    let closed = after(Some(unseen), &seen(Said::Refused));
    assert_eq!(closed.accepted, []);
    assert!(
        closed.elsewhere.contains("asked from db"),
        "{}",
        closed.elsewhere
    );
}
