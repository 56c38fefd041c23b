//! A revocation from the order to the receipt, on both databases.

mod receipts;

use watchward_protocol::instruments::{self, Holding, Way};
use watchward_protocol::proof::{Answer, Control, Door, Said};
use watchward_protocol::receipt::{self, Receipt, Stand, verify};
use watchward_protocol::record::{Epoch, Lane};

use super::unheld::Doubts;
use super::*;
use crate::alerting::Severity;
use crate::alerting::testing::raised;
use crate::intake::{Host, Said as Sent};
use crate::keys::proof::{Revoked, fingerprint, keep_for_tests};
use crate::keys::rows::revoked::{self as rows, Which};
use crate::keys::{Policy, SCHEMA};
use crate::store::testing::{self, Fresh};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn host(number: u8) -> Host {
    Host {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
    }
}

/// The first is heard, and the second is silent.
fn two(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async {
        let watched = |number, is_silent| Watched {
            host: host(number),
            is_silent,
        };
        Ok(vec![watched(1, false), watched(2, true)])
    })
}

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, alerting::SCHEMA]).await
}

fn heard(number: u8, report: Told) -> Heard<Told> {
    Heard {
        host: host(number),
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: at(0),
        boot: [9; 16],
        report,
    }
}

fn holding(generation: Option<u64>, trouble: Option<&str>) -> Told {
    Told::Holding(Holding {
        at: at(0),
        generation,
        revoked: 1,
        digest: Some([0xab; 32]),
        trouble: trouble.map(str::to_owned),
        managed: 0,
        unmanaged: None,
        ..Holding::default()
    })
}

fn session(how: Way, survivors: &[&str]) -> Told {
    Told::Ended(instruments::Ended {
        at: at(3),
        account: "zoe".into(),
        address: "192.0.2.7".parse().ok(),
        fingerprint: stolen(),
        opened_at: at(-60),
        leader: 4711,
        how,
        survivors: survivors.iter().map(|it| (*it).to_owned()).collect(),
    })
}

const WIRE: [u8; 3] = [1, 2, 3];

fn stolen() -> String {
    fingerprint(&WIRE)
}

/// Revokes the key, and says with which generation.
async fn revoke(store: &Store, now: Timestamp) -> u64 {
    let mut tx = store.begin().await.unwrap();
    let generation = rows::next(&mut tx, now).await.unwrap();
    let key = Revoked {
        fingerprint: stolen(),
        kind: "ssh-ed25519".into(),
        wire: WIRE.to_vec(),
        reason: "the laptop was stolen".into(),
        author: "ada".into(),
        at: now,
        comment: "zoe@laptop".into(),
        person: "zoe".into(),
        generation,
    };
    assert!(rows::revoke(&mut tx, &key).await.unwrap());
    tx.commit().await.unwrap();
    generation
}

async fn hear(store: &Store, told: &[Heard<Told>], now: Timestamp) {
    let mut tx = store.begin().await.unwrap();
    absorb(&mut tx, told, now).await.unwrap();
    tx.commit().await.unwrap();
}

/// What host 1 says when it is asked about the key.
async fn answers(store: &Store, said: Said, now: Timestamp) {
    let door = Door {
        key: 0,
        account: "zoe".into(),
        at: "127.0.0.1:22".parse().unwrap(),
        said,
        control: Control::Other("root".into()),
        note: String::new(),
    };
    let answer = Answer {
        doors: vec![door],
        ..Answer::default()
    };
    keep_for_tests(store, &stolen(), ("web-1", answer), now).await;
}

async fn receipt_of(store: &Store, now: Timestamp) -> Receipt {
    let desk = Desk::of(store, two, Policy::default()).await;
    let found = desk
        .sources()
        .receipt(Which::Last(&stolen()), now)
        .await
        .unwrap();
    found.unwrap()
}

/// Host 1 is told twice.
async fn said(store: &Store, generation: u64) {
    let sent = Sent {
        host: host(1),
        generation,
        at: at(1),
    };
    let mut tx = store.begin().await.unwrap();
    reached::said(&mut tx, &[sent.clone(), Sent { at: at(9), ..sent }])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_receipt_says_everything_that_was_done_and_what_is_missing() {
    for store in stores().await {
        let generation = revoke(&store, at(0)).await;
        let early = receipt_of(&store, at(1)).await;
        assert!(!early.is_proven && early.missing.len() == 4, "{early:#?}");
        said(&store, generation).await;
        let told = [
            heard(1, holding(Some(generation), None)),
            heard(1, session(Way::Ended, &["user@1000.service lingers"])),
        ];
        hear(&store, &told, at(2)).await;
        hear(
            &store,
            &[heard(1, holding(Some(generation + 5), None))],
            at(8),
        )
        .await;
        answers(&store, Said::Refused, at(4)).await;

        let receipt = receipt_of(&store, at(10)).await;
        assert_eq!(receipt.revoked.why, "the laptop was stolen");
        assert_eq!(
            (&*receipt.key.person, &*receipt.key.comment),
            ("zoe", "zoe@laptop")
        );
        let [first, second] = &receipt.hosts[..] else {
            panic!("{receipt:#?}");
        };
        assert_eq!(first.stand, Stand::Held);
        let moment = |seconds| Some(receipt::Moment::from(at(seconds)));
        assert_eq!(
            (first.said_at.clone(), first.held_at.clone()),
            (moment(1), moment(2))
        );
        assert_eq!(first.generation, Some(generation));
        assert_eq!(first.digest.as_deref(), Some(&*"ab".repeat(32)));
        let [session] = &first.sessions[..] else {
            panic!("{first:#?}");
        };
        assert_eq!((&*session.account, &*session.address), ("zoe", "192.0.2.7"));
        assert_eq!(session.survivors, ["user@1000.service lingers"]);
        let doors = &first.proof.as_ref().unwrap().doors;
        assert_eq!(
            (doors[0].said, &*doors[0].control),
            (Said::Refused, "a key of root")
        );
        assert_eq!(second.stand, Stand::Pending);
        let counts = receipt.counts;
        assert_eq!((counts.held, counts.pending, counts.doors), (1, 1, 1));
        assert_eq!((counts.sessions_ended, counts.survivors), (1, 1));
        assert!(!receipt.is_proven);
        assert!(
            receipt.missing.iter().all(|it| it.starts_with("web-2")),
            "{:?}",
            receipt.missing
        );
    }
}

#[tokio::test]
async fn sessions_that_may_be_of_the_key_as_nobody_knows_what_opened_them_are_in_the_receipt() {
    for store in stores().await {
        let generation = revoke(&store, at(0)).await;
        let Told::Holding(held) = holding(Some(generation), None) else {
            panic!("no holding");
        };
        let unknown = Holding {
            // The clock of the host is ahead. The last came when it refused the key already.
            at: at(600),
            unknown_sessions: vec![at(-3600), at(599), at(630)],
            ..held.clone()
        };
        hear(&store, &[heard(1, Told::Holding(unknown))], at(2)).await;
        answers(&store, Said::Refused, at(4)).await;
        let receipt = receipt_of(&store, at(5)).await;
        assert_eq!(receipt.hosts[0].unknown_sessions, 2);
        assert_eq!(receipt.counts.sessions_unknown, 2);
        let doubt = "web-1: of 2 sessions it is not known what opened them: they were not ended.";
        assert_eq!(receipt.missing[0], doubt);
        hear(&store, &[heard(1, Told::Holding(held))], at(6)).await;
        let receipt = receipt_of(&store, at(7)).await;
        assert_eq!(receipt.counts.sessions_unknown, 0, "they are over");
    }
}

#[tokio::test]
async fn what_was_asked_before_a_host_held_it_proves_nothing() {
    for store in stores().await {
        let generation = revoke(&store, at(0)).await;
        answers(&store, Said::Refused, at(1)).await;
        hear(&store, &[heard(1, holding(Some(generation), None))], at(2)).await;
        let receipt = receipt_of(&store, at(3)).await;
        let again = receipt
            .missing
            .iter()
            .any(|it| it.contains("again since it holds it"));
        assert!(again, "{:?}", receipt.missing);
        answers(&store, Said::Accepted, at(4)).await;
        let receipt = receipt_of(&store, at(5)).await;
        let opens = receipt
            .missing
            .iter()
            .any(|it| it.contains("takes it still"));
        assert!(opens, "{:?}", receipt.missing);
    }
}

#[tokio::test]
async fn a_host_that_takes_revoked_keys_is_told_of_after_a_minute() {
    for store in stores().await {
        let store = &*store;
        let generation = revoke(store, at(0)).await;
        let mut doubts = Doubts::default();
        let mut look = async |seconds| doubts.look((store, two), at(seconds)).await.unwrap();
        assert!(
            !look(0).await,
            "one that never held anything has no part in this"
        );
        let nobody = format!("{}: there is no socket", Holding::NOBODY);
        hear(store, &[heard(1, holding(None, Some(&nobody)))], at(0)).await;
        assert!(!look(0).await && !look(61).await, "nor who could not");
        let Told::Holding(mut unable) = holding(None, None) else {
            panic!("no holding");
        };
        unable.unmanaged = Some(nobody);
        hear(store, &[heard(1, Told::Holding(unable))], at(0)).await;
        assert!(!look(0).await && !look(61).await, "nor of lines alone");
        hear(
            store,
            &[heard(1, holding(None, None)), heard(2, holding(None, None))],
            at(1),
        )
        .await;
        assert!(!look(1).await && !look(60).await);
        assert!(look(61).await);
        let [alert] = &raised(store).await[..] else {
            panic!("one incident");
        };
        assert_eq!(
            (alert.severity, alert.host.as_deref()),
            (Severity::Critical, Some("web-1"))
        );
        assert!(!look(62).await, "it is told once");
        hear(
            store,
            &[heard(1, holding(None, Some("sshd -t fails")))],
            at(70),
        )
        .await;
        assert!(look(70).await, "why is news");
        assert!(raised(store).await[0].detail.contains("sshd -t fails"));
        hear(store, &[heard(1, holding(Some(generation), None))], at(80)).await;
        assert!(look(80).await);
        assert!(raised(store).await.is_empty());
    }
}

#[tokio::test]
async fn a_session_that_lives_is_told_until_it_is_over() {
    for store in stores().await {
        revoke(&store, at(0)).await;
        let lives = session(Way::Refused("it is no session of sshd".into()), &[]);
        hear(&store, &[heard(1, lives)], at(1)).await;
        let [alert] = &raised(&store).await[..] else {
            panic!("one incident");
        };
        assert_eq!(alert.severity, Severity::Critical);
        assert!(alert.title.contains("zoe@web-1"), "{}", alert.title);
        assert_eq!(receipt_of(&store, at(1)).await.counts.sessions_alive, 1);
        hear(
            &store,
            &[heard(1, session(Way::Gone, &["tmux lives"]))],
            at(2),
        )
        .await;
        let [left] = &raised(&store).await[..] else {
            panic!("one incident");
        };
        assert_eq!(left.severity, Severity::Warning);
        let receipt = receipt_of(&store, at(3)).await;
        assert_eq!(
            (receipt.counts.sessions_alive, receipt.counts.survivors),
            (0, 1)
        );
        let mut tx = store.begin().await.unwrap();
        reinstated(&mut tx, &stolen(), at(4)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(raised(&store).await.is_empty());
    }
}

#[tokio::test]
async fn hosts_hear_of_each_change_with_a_newer_generation_whatever_the_clock_does() {
    for store in stores().await {
        let (all, refusing) = Revocations::open(&store).await.unwrap();
        assert_eq!(
            refusing.refuse.now().generation(),
            0,
            "nothing was ever revoked"
        );
        let first = revoke(&store, at(100)).await;
        all.look(&store, at(0)).await.unwrap();
        assert_eq!(refusing.refuse.now().generation(), first);
        let mut tx = store.begin().await.unwrap();
        let next = rows::next(&mut tx, at(-100)).await.unwrap();
        assert!(
            rows::reinstate(&mut tx, (&stolen(), "ada"), at(-100))
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        assert!(next > first);
        all.look(&store, at(0)).await.unwrap();
        assert_eq!(refusing.refuse.now().generation(), next);
    }
}
