//! A rotation from the policy to the seal, on both databases: what hosts would say is said by the test.

mod asked;
mod claim;
mod kept;
mod stage;

use std::sync::{Mutex, PoisonError};

use watchward_protocol::instruments::Managed;
use watchward_protocol::keys::{Holder, Keys, Means, Opening, PublicKey};
use watchward_protocol::proof::{Answer, Control, Door, Said};
use watchward_protocol::text::Foreign;

use super::*;
use crate::alerting::{self, testing::raised};
use crate::keys::SCHEMA;
use crate::keys::proof::{fingerprint, keep_for_tests};
use crate::keys::rows::revoked;
use crate::keys::rows::rotation as rows;
use crate::store::testing::{self, Fresh};
use stage::{heard, host, stage, wire};

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, alerting::SCHEMA]).await
}

/// What hosts say of the old key.
async fn refuse(store: &Fresh, key: &[u8]) {
    for number in [1, 2] {
        let door = Door {
            key: 0,
            account: "backup".into(),
            at: "127.0.0.1:22".parse().unwrap(),
            said: Said::Refused,
            control: Control::None,
            note: String::new(),
        };
        let answer = Answer {
            doors: vec![door],
            ..Answer::default()
        };
        let of = (&*host(number).name, answer);
        keep_for_tests(store, &fingerprint(key), of, clock::now()).await;
    }
}

#[tokio::test]
async fn a_key_is_replaced_and_the_old_one_is_revoked_and_destroyed() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        stage.until("adding").await;
        stage.until("idle").await;
        stage.look().await;
        let first = &stage.looked.stands[0].rotation;
        assert_eq!(first.old.as_ref().map(|key| key.serial), Some(1));
        let [line] = &stage.lines(3).await[..] else {
            panic!()
        };
        assert_eq!(
            line.opens.key(),
            wire(1),
            "silent hosts are ordered it, too"
        );
        assert_eq!(line.from, ["192.0.2.1/32".parse().unwrap()]);
        assert!(line.sound() && !line.forwarding);

        stage.age(31).await;
        stage.until("adding").await;
        assert_eq!(stage.lines(2).await.len(), 1, "the canary is web-1");
        stage.until("switching").await;
        assert_eq!(stage.lines(2).await.len(), 2, "both keys");
        stage.until("revoking").await;
        let keys = revoked::revoked(&store).await.unwrap();
        let names: Vec<_> = keys.iter().map(|key| key.fingerprint.clone()).collect();
        assert_eq!(names, [fingerprint(&wire(1))]);
        for number in 1..=3 {
            let [line] = &stage.lines(number).await[..] else {
                panic!()
            };
            assert_eq!(line.opens.key(), wire(2));
        }
        stage.hosts_obey().await;
        refuse(&store, &wire(1)).await;
        stage.until("idle").await;
        stage.look().await;
        let after = &stage.looked.stands[0].rotation;
        assert_eq!(after.serials(), [2]);
        let told = rows::events_of(&store, &names[0]).await.unwrap();
        let last = told.last().unwrap();
        assert_eq!(last.what, "done: key 2 is the only one", "{told:?}");
        assert!(raised(&store).await.is_empty(), "all went well");
    }
}

/// How a host writes the only line.
fn options(lines: &[Managed]) -> String {
    let [line] = lines else {
        panic!("{lines:?}");
    };
    let from: Vec<_> = line.from.iter().map(ToString::to_string).collect();
    let from = from.join(",");
    format!("restrict,pty,from=\"{from}\",expiry-time=\"20260101000000Z\"")
}

#[tokio::test]
async fn what_was_ordered_is_no_new_key() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        stage.until("adding").await;
        stage.until("idle").await;
        stage.look().await;
        let options = options(&stage.lines(2).await);
        let opening = |(file, number): (&str, u8)| Opening {
            means: Means::AuthorizedKey,
            key: Some(PublicKey {
                kind: "ssh-ed25519".into(),
                bits: 256,
                fingerprint: fingerprint(&wire(number)),
                wire: wire(number),
            }),
            file: file.into(),
            line: Some(1),
            comment: Foreign::default(),
            options: options.as_str().into(),
            principals: Vec::new(),
            not_before: None,
            not_after: None,
            condition: None,
        };
        let ours = ("/etc/ssh/watchward/current/keys/backup", 1);
        let strange = ("/etc/ssh/watchward/current/keys/backup", 9);
        let account = || Holder::Account("backup".into());
        let reports = [
            (account(), vec![]),
            (Holder::Host(vec!["backup".into()]), vec![]),
            (account(), vec![ours]),
            (account(), vec![ours, strange]),
        ];
        let mut counts = Vec::new();
        for (seq, (holder, files)) in (1..).zip(reports) {
            let keys = Keys {
                // The first looks are long ago.
                at: clock::now() - Duration::from_secs(3600 * (4 - seq)),
                holder,
                openings: files.into_iter().map(opening).collect(),
                omitted: 0,
                troubles: Vec::new(),
            };
            let report = Heard {
                seq,
                ..heard(2, keys)
            };
            let mut tx = store.begin().await.unwrap();
            let policy = Policy::default();
            crate::keys::absorb(&mut tx, &[report], &policy, clock::now())
                .await
                .unwrap();
            tx.commit().await.unwrap();
            counts.push(raised(&store).await.len());
        }
        let why = "only what was not ordered is new";
        assert_eq!(counts, [0, 0, 0, 1], "{why}");
    }
}

async fn titles_of(store: &Fresh) -> Vec<String> {
    let all = raised(store).await.into_iter();
    all.map(|alert| alert.title).collect()
}

#[tokio::test]
async fn people_hear_ahead_and_when_it_is_missed() {
    for store in stores().await {
        let mut stage = stage(&store, "revoke").await;
        stage.until("adding").await;
        stage.until("idle").await;
        stage.age(25).await;
        stage.look().await;
        let titles = titles_of(&store).await;
        assert!(
            titles[0].starts_with("the key backup is replaced on"),
            "{titles:?}"
        );
        // Nobody does anything: the client does not make the key.
        stage.age(6).await;
        stage.look().await;
        stage.age(8).await;
        stage.look().await;
        let mut titles = titles_of(&store).await;
        titles.sort_unstable();
        assert_eq!(titles.len(), 2, "held up, and missed: {titles:?}");
        assert!(
            titles[0].starts_with("the key backup is not replaced: web-1"),
            "{titles:?}"
        );
        assert!(
            titles[1].starts_with("the key backup was to be replaced by"),
            "{titles:?}"
        );
        assert!(
            stage.looked.stands[0].rotation.revoked,
            "as the policy says"
        );
        assert_eq!(stage.lines(2).await, []);
        stage.until("revoking").await;
        stage.hosts_obey().await;
        refuse(&store, &wire(1)).await;
        stage.until("idle").await;
        stage.look().await;
        let after = &stage.looked.stands[0].rotation;
        assert_eq!(
            (after.serials(), after.revoked),
            (vec![2], false),
            "and it ends"
        );
    }
}

#[tokio::test]
async fn of_two_that_go_on_at_once_one_does() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        stage.until("making").await;
        let known = rows::all(&store).await.unwrap().remove("backup").unwrap();
        let kept = Mutex::new(Vec::new());
        for _ in 0..2 {
            let mut tx = store.begin().await.unwrap();
            let is_kept = rows::keep(&mut tx, &known).await.unwrap();
            tx.commit().await.unwrap();
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(is_kept);
        }
        assert_eq!(kept.into_inner().unwrap(), [true, false]);
        let again = rows::all(&store).await.unwrap().remove("backup").unwrap();
        assert_eq!(again.version, known.version + 1);
        assert_eq!((again.new, again.from), (known.new, known.from));
    }
}
