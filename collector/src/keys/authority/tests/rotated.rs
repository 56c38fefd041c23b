//! One authority takes the place of another, on both databases.

use futures_util::future::BoxFuture;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments::{self, Managed, Opens};
use watchward_protocol::keys::{Holder, Keys, Means, Opening, PublicKey};
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::text::Foreign;

use super::*;
use crate::intake::{Heard, Host, Watched};
use crate::keys::revocation::Inventory;
use crate::keys::rows::{managed, reached};

const LOGINS: &str = "[networks]\noffice = [\"192.0.2.0/24\"]\n\
    [keys.authority]\nevery = \"30d\"\noverlap = \"2d\"\n\
    [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"office\"]\nlife = \"4h\"\n\
    [[keys.logins]]\ngroups = [\"all\"]\naccounts = [\"deploy\"]\nroles = [\"operator\"]\n";
const DAY: i64 = 86_400;

fn host() -> Host {
    Host {
        id: HostId::from_bytes([1; 16]),
        name: "web".into(),
    }
}

fn inventory(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    let web = Watched {
        host: host(),
        is_silent: false,
    };
    Box::pin(async move { Ok(vec![web]) })
}

/// Where a host writes what it is ordered, for whom.
const ORDERED: (&str, &str) = ("deploy", "/etc/ssh/watchward/current/keys/deploy");

/// A host tells that it trusts all that it was ordered to.
async fn trusts(authority: &Authority, seq: u64, now: Timestamp) {
    let keys = trusted(authority.store.read()).await.unwrap();
    tells(authority, ORDERED, (seq, &keys), now).await;
}

/// A host tells of these authorities in the file of an account.
async fn tells(
    authority: &Authority,
    (account, file): (&str, &str),
    (seq, keys): (u64, &[Vec<u8>]),
    now: Timestamp,
) {
    let opening = |wire: &Vec<u8>| Opening {
        means: Means::Authority,
        key: Some(PublicKey {
            kind: "ssh-ed25519".into(),
            bits: 256,
            fingerprint: fingerprint(wire),
            wire: wire.clone(),
        }),
        file: file.into(),
        line: Some(1),
        comment: Foreign::default(),
        options: "cert-authority,principals=\"role:operator\"".into(),
        principals: vec!["role:operator".into()],
        not_before: None,
        not_after: None,
        condition: None,
    };
    let report = Keys {
        at: now,
        holder: Holder::Account(account.into()),
        openings: keys.iter().map(opening).collect(),
        omitted: 0,
        troubles: Vec::new(),
    };
    let listed = Keys {
        holder: Holder::Host(vec!["deploy".into(), "zoe".into()]),
        openings: Vec::new(),
        ..report.clone()
    };
    let heard = [(listed, seq), (report, seq + 1)].map(|(report, seq)| Heard {
        host: host(),
        lane: Lane::Access,
        epoch: Epoch(1),
        seq,
        kept_at: now,
        boot: [9; 16],
        report,
    });
    let mut tx = authority.store.begin().await.unwrap();
    let policy = authority.policy.now();
    crate::keys::absorb(&mut tx, &heard, &policy, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn numbers(authority: &Authority, now: Timestamp) -> (Vec<i64>, i64) {
    let standing = authority.standing(inventory, now).await.unwrap();
    let all = standing.authorities.iter().map(|one| one.number).collect();
    let signs = standing.authorities.iter().find(|one| one.signs);
    (all, signs.unwrap().number)
}

async fn issued_by(authority: &Authority, key: &str, now: Timestamp) -> String {
    let roles = Roles::from(Role::Operator);
    let key = Offered::read(key).unwrap();
    let issued = authority
        .issue(&ada(&roles, "192.0.2.7"), &key, now)
        .await
        .unwrap();
    issued.unwrap().name
}

async fn incidents(store: &Store) -> Vec<String> {
    let sql = "SELECT key FROM alerting_incident WHERE resolved_at IS NULL ORDER BY key";
    sqlx::query_scalar(sql)
        .fetch_all(store.read())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_authority_gives_way_to_the_next_when_every_host_trusts_it() {
    for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
        let authority = of(&fresh, LOGINS).await;
        let go_on = async |now| authority.go_on(inventory as Inventory, now).await.unwrap();
        assert!(
            go_on(at(0)).await,
            "the policy needs one, so the first is made"
        );
        trusts(&authority, 1, at(1)).await;
        trusts(&authority, 3, at(100)).await;
        assert_eq!(
            incidents(&fresh).await,
            [""; 0],
            "it was ordered, and is no news"
        );
        assert!(!go_on(at(29 * DAY)).await);

        assert!(go_on(at(30 * DAY)).await, "its time is over");
        assert_eq!(numbers(&authority, at(30 * DAY)).await, (vec![1, 2], 1));
        assert_eq!(
            issued_by(&authority, LAPTOP, at(30 * DAY)).await,
            "ada watchward-1-1"
        );
        assert!(
            !go_on(at(31 * DAY)).await,
            "the host does not trust the next one"
        );
        assert!(!go_on(at(33 * DAY)).await);
        assert_eq!(incidents(&fresh).await, ["keys.authority next"]);
        assert_eq!(
            issued_by(&authority, LAPTOP, at(33 * DAY)).await,
            "ada watchward-1-2"
        );

        trusts(&authority, 5, at(33 * DAY)).await;
        assert!(go_on(at(33 * DAY + 5)).await);
        assert_eq!(numbers(&authority, at(33 * DAY + 5)).await, (vec![1, 2], 2));
        assert_eq!(
            issued_by(&authority, LAPTOP, at(33 * DAY + 9)).await,
            "ada watchward-2-1"
        );
        assert!(
            !go_on(at(33 * DAY + 3 * 3600)).await,
            "a certificate of the old one counts"
        );
        assert_eq!(incidents(&fresh).await, [""; 0]);
        assert!(go_on(at(33 * DAY + 5 * 3600)).await);
        assert_eq!(numbers(&authority, at(34 * DAY)).await, (vec![2], 2));
    }
}

#[tokio::test]
async fn what_a_user_trusts_in_a_file_of_their_own_holds_up_no_other() {
    for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
        let authority = of(&fresh, LOGINS).await;
        authority.go_on(inventory, at(0)).await.unwrap();
        let first = trusted(fresh.read()).await.unwrap();
        let own = ("zoe", "/home/zoe/.ssh/authorized_keys");
        tells(&authority, own, (1, &first), at(1)).await;
        tells(&authority, ORDERED, (3, &first), at(2)).await;
        assert!(authority.go_on(inventory, at(30 * DAY)).await.unwrap());
        assert_eq!(numbers(&authority, at(30 * DAY)).await, (vec![1, 2], 1));
        trusts(&authority, 5, at(30 * DAY + 1)).await;
        assert!(authority.go_on(inventory, at(30 * DAY + 2)).await.unwrap());
        assert_eq!(numbers(&authority, at(30 * DAY + 2)).await, (vec![1, 2], 2));
    }
}

#[tokio::test]
async fn what_is_on_trial_at_a_host_is_not_trusted_yet() {
    for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
        let authority = of(&fresh, LOGINS).await;
        authority.go_on(inventory, at(0)).await.unwrap();
        trusts(&authority, 1, at(1)).await;
        assert!(authority.go_on(inventory, at(30 * DAY)).await.unwrap());

        let keys = trusted(fresh.read()).await.unwrap();
        let lines = keys.into_iter().map(|key| Managed {
            account: "deploy".into(),
            opens: Opens::Authority {
                key,
                principals: vec!["role:operator".into()],
            },
            from: Vec::new(),
            until: None,
            forwarding: false,
        });
        let wanted = [("web".to_owned(), lines.collect())].into();
        let mut tx = fresh.begin().await.unwrap();
        managed::replace(&mut tx, &wanted, 7).await.unwrap();
        tx.commit().await.unwrap();
        trusts(&authority, 3, at(30 * DAY + 1)).await;
        for (generation, signs) in [(6, 1), (7, 2)] {
            let holding = instruments::Holding {
                generation: Some(generation),
                ..instruments::Holding::default()
            };
            let mut tx = fresh.begin().await.unwrap();
            let now = at(30 * DAY + 2);
            let kept = reached::holding(&mut tx, &host(), &holding, now).await;
            kept.unwrap();
            tx.commit().await.unwrap();
            authority.go_on(inventory, now).await.unwrap();
            assert_eq!(numbers(&authority, now).await, (vec![1, 2], signs));
        }
    }
}

#[tokio::test]
async fn one_that_was_stolen_is_replaced_and_revoked_at_once() {
    for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
        let authority = of(&fresh, LOGINS).await;
        authority.go_on(inventory, at(0)).await.unwrap();
        assert_eq!(
            issued_by(&authority, LAPTOP, at(1)).await,
            "ada watchward-1-1"
        );
        assert!(authority.rotate("root", at(2)).await.unwrap());
        assert!(
            !authority.rotate("root", at(2)).await.unwrap(),
            "it waits already"
        );
        let old = own(fresh.read()).await.unwrap();
        let gone = authority.replace(("root", "stolen"), at(3)).await.unwrap();
        assert_eq!(
            (gone.len(), &gone),
            (2, &old),
            "the next one may be stolen, too"
        );
        assert_eq!(numbers(&authority, at(4)).await, (vec![3], 3));
        assert_eq!(
            issued_by(&authority, LAPTOP, at(5)).await,
            "ada watchward-3-1"
        );
        let revoked = crate::keys::rows::revoked::revoked(&fresh).await.unwrap();
        assert_eq!(revoked.len(), 2);
        assert!(
            revoked
                .iter()
                .all(|one| !one.wire.is_empty() && one.reason == "stolen")
        );
    }
}

/// What people can read, by kind.
async fn told(authority: &Authority) -> Vec<String> {
    let all = crate::alerting::testing::raised(&authority.store).await;
    all.into_iter().map(|one| one.key).collect()
}

#[tokio::test]
async fn people_hear_ahead_and_are_paged_when_it_is_missed() {
    for missed in ["page", "revoke"] {
        let policy = LOGINS.replace("overlap", &format!("missed = \"{missed}\"\noverlap"));
        for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
            let authority = of(&fresh, &policy).await;
            let go = async |days: i64| authority.go_on(inventory, at(days * DAY)).await.unwrap();
            go(0).await;
            trusts(&authority, 1, at(60)).await;
            go(15).await;
            assert_eq!(told(&authority).await, [""; 0]);
            go(16).await;
            assert_eq!(told(&authority).await, ["keys.authority-soon next"]);
            // The host hears of the next one, and does not take it.
            go(30).await;
            assert_eq!(told(&authority).await, [""; 0]);
            go(59).await;
            assert_eq!(told(&authority).await, ["keys.authority next"]);
            let before = own(fresh.read()).await.unwrap();
            go(60).await;
            let after = own(fresh.read()).await.unwrap();
            match missed {
                "page" => {
                    let both = ["keys.authority next", "keys.authority-missed next"];
                    assert_eq!(
                        (told(&authority).await, after),
                        (both.map(String::from).to_vec(), before)
                    );
                }
                _ => {
                    assert_eq!(told(&authority).await, [""; 0]);
                    assert!(after.len() == 1 && !before.contains(&after[0]));
                    let revoked = crate::keys::rows::revoked::revoked(&fresh).await.unwrap();
                    let revoked: Vec<_> = revoked.into_iter().map(|one| one.fingerprint).collect();
                    assert!(before.iter().all(|one| revoked.contains(one)));
                }
            }
        }
    }
}
