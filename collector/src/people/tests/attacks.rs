//! What somebody tries who knows a password, has an account, or only reaches the door; on both
//! databases.

use super::factor::{ada, bytes, code, half};
use super::*;
use crate::people::rows::{account, session};

/// A session of somebody who knows ada's password, begun now.
async fn begun(people: &People, now: Timestamp) -> Secret {
    let secret = password::secret();
    let hash = password::session_hash(secret.reveal());
    let mut tx = people.store.begin().await.unwrap();
    let login = account::login(&mut *tx, "ada").await.unwrap().unwrap();
    let begin = session::begin(&mut tx, &hash, login.account, now);
    begin.await.unwrap();
    tx.commit().await.unwrap();
    secret
}

/// Somebody called ada, who has chosen her password and nothing more: her session.
async fn newcomer(people: &People) -> Secret {
    let new = Newcomer {
        name: "ada".to_owned(),
        email: None,
        roles: operator(),
    };
    let invited = people.invite(&new, &root(), at(3000)).await.unwrap();
    welcomed(people, &by_hand(invited.unwrap()), at(3000)).await
}

async fn offered(people: &People, session: &Session) -> Vec<u8> {
    let having = people.factor(session, at(3000)).await.unwrap();
    bytes(having.offer.expect("there is one already").words.reveal())
}

#[tokio::test]
async fn who_knew_a_password_before_the_second_factor_has_nothing_after_it() {
    for (_store, people) in everybody().await {
        let counts = async |secret: &Secret| people.session(secret.reveal(), at(3002)).await;
        let own = newcomer(&people).await;
        let mallory = enter(&people, &stranger("ada", NEW), at(3000)).await;
        let (one, other) = (
            counts(&own).await.unwrap().unwrap(),
            counts(&mallory).await.unwrap().unwrap(),
        );
        let seen = offered(&people, &other).await;
        let secret = offered(&people, &one).await;
        assert_ne!(seen, secret, "each session is offered its own");
        let enrol = async |session: &Session, typed: &str| {
            let done = people.enrol(session, typed, None, at(3001)).await;
            matches!(done.unwrap(), Checked::Right(_))
        };
        assert!(!enrol(&one, &code(&seen, at(3001))).await, "not hers");
        assert!(enrol(&one, &code(&secret, at(3001))).await);

        assert!(counts(&mallory).await.unwrap().is_none(), "it has ended");
        assert!(!enrol(&other, &code(&seen, at(3001))).await);
        let late = begun(&people, at(3001)).await;
        assert!(counts(&late).await.unwrap().is_none(), "begun meanwhile");
        let own = counts(&own).await.unwrap().unwrap();
        assert!(!own.must_enrol);
        let account = &people.accounts().await.unwrap()[0];
        assert!(account.second_factor);
    }
}

#[tokio::test]
async fn giving_a_second_factor_up_ends_the_other_sessions() {
    for (_store, people) in everybody().await {
        let (_, codes) = ada(&people, at(3000)).await;
        let mut sessions = Vec::new();
        for (n, second) in [3100, 3101].into_iter().enumerate() {
            let half = half(&people, at(second)).await;
            let typed = codes[n].reveal();
            let proved = people.prove(&half, typed, None, at(second)).await;
            let Answer::In(secret) = proved.unwrap() else {
                panic!("a recovery code lets in");
            };
            sessions.push(secret);
        }
        let found = async |n: usize| {
            let found = people.session(sessions[n].reveal(), at(3102)).await;
            found.unwrap()
        };
        let own = found(0).await.unwrap();
        assert!(found(1).await.is_some());
        let typed = codes[2].reveal();
        let gone = people.unenrol(&own, typed, None, at(3102)).await.unwrap();
        assert!(matches!(gone, Checked::Right(())));
        assert!(found(0).await.is_some() && found(1).await.is_none());
    }
}

#[tokio::test]
async fn another_password_takes_a_second_factor_along() {
    for (_store, people) in everybody().await {
        let (_, codes) = ada(&people, at(3000)).await;
        let half = half(&people, at(3100)).await;
        let proved = people.prove(&half, codes[0].reveal(), None, at(3100)).await;
        let Answer::In(own) = proved.unwrap() else {
            panic!("a recovery code lets in");
        };
        let own = people.session(own.reveal(), at(3101)).await.unwrap();
        let own = own.unwrap();
        let (old, new) = (secret(NEW), secret("another horse battery"));
        let change = people.change(&own, (Some(&old), &new), None, at(3101));
        let Change::Done(fresh) = change.await.unwrap() else {
            panic!("not changed");
        };
        let fresh = people.session(fresh.reveal(), at(3102)).await.unwrap();
        assert!(!fresh.unwrap().must_enrol);
    }
}

#[tokio::test]
async fn a_link_that_no_letter_carries_is_for_the_command_alone() {
    for (_store, people) in everybody().await {
        newcomer(&people).await;
        let refused = people.reset_by_letter("ada", &root(), at(3001)).await;
        assert_eq!(refused.unwrap().unwrap_err(), Unfit::NoEmail);
        enter(&people, &stranger("ada", NEW), at(3002)).await;
        let link = people.reset("ada", &root(), at(3003)).await.unwrap();
        by_hand(link.unwrap());
    }
}

#[tokio::test]
async fn behind_a_proxy_strangers_shut_nobody_out_who_has_a_link_or_a_password() {
    for (_store, people) in everybody().await {
        let (secret, _) = ada(&people, at(3000)).await;
        let first = half(&people, at(3100)).await;
        let link = people.reset("nobody", &root(), at(3100)).await.unwrap();
        assert_eq!(link.unwrap_err(), Unfit::Missing);
        let grace = Newcomer {
            name: "grace".to_owned(),
            email: None,
            roles: operator(),
        };
        let invited = people.invite(&grace, &root(), at(3100)).await.unwrap();
        let token = by_hand(invited.unwrap());
        for n in 0..200 {
            let name = ["ada", "grace"][n % 2];
            let asking = limits::Asking::new(name, None, false);
            let _ = people.limits().ask(&asking, at(3100));
            let other = limits::Asking::new(&n.to_string(), None, false);
            let _ = people.limits().ask(&other, at(3100));
            let guess = people.invited("a guess", None, at(3100)).await.unwrap();
            assert!(guess.unwrap().is_none());
        }
        let mut behind = stranger("ada", NEW);
        behind.address = None;
        let held = people.sign_in(&behind, at(3100)).await.unwrap();
        assert!(matches!(held, Answer::Later(_)), "the door itself is held");

        welcomed(&people, &token, at(3100)).await;
        let typed = code(&secret, at(3100));
        let proved = people.prove(&first, &typed, None, at(3100)).await.unwrap();
        assert!(matches!(proved, Answer::In(_)), "{proved:?}");
    }
}

#[tokio::test]
async fn who_signs_in_to_their_own_account_gains_no_guesses_at_others() {
    for (_store, people) in everybody().await {
        newcomer(&people).await;
        let mut guessed = 0;
        for n in 0..20 {
            let own = people.sign_in(&stranger("ada", NEW), at(3001)).await;
            let guess = stranger(&format!("victim {n}"), "guess");
            let guess = people.sign_in(&guess, at(3001)).await.unwrap();
            guessed += usize::from(matches!(guess, Answer::Wrong));
            assert!(matches!(own.unwrap(), Answer::In(_) | Answer::Later(_)));
        }
        assert_eq!(guessed, 5);
    }
}

#[tokio::test]
async fn who_is_refused_all_day_fills_no_trail() {
    for (_store, people) in everybody().await {
        let own = newcomer(&people).await;
        let session = people.session(own.reveal(), at(3001)).await.unwrap();
        let session = session.unwrap();
        let refused = async || {
            let kept = kept(&people).await;
            let refused = kept.iter().filter(|it| it.what == Event::Refused.words());
            refused.count()
        };
        for n in 0..300 {
            let what = format!("/page/{}", n % 30);
            let refuse = people.refuse(&session, &what, None, at(3001));
            refuse.await.unwrap();
        }
        assert_eq!(refused().await, 5);
        let again = people.refuse(&session, "/page/1", None, at(3061));
        again.await.unwrap();
        assert_eq!(refused().await, 6);
    }
}

#[tokio::test]
async fn a_second_factor_of_before_counts_on_and_what_was_only_offered_does_not() {
    let before = Schema {
        room: SCHEMA.room,
        steps: &SCHEMA.steps[..3],
    };
    for store in testing::stores(&[before]).await {
        let mut tx = store.begin().await.unwrap();
        for (account, name) in [(1, "ada"), (2, "grace")] {
            sqlx::query(
                "INSERT INTO people_account (name, password, must_change, created_at, changed_at) \
                 VALUES ($1, 'none', 0, 0, 0)",
            )
            .bind(name)
            .execute(&mut *tx)
            .await
            .unwrap();
            sqlx::query(
                "INSERT INTO people_factor (account, secret, confirmed, last_step, made_at) \
                 VALUES ($1, $2, $3, 0, 0)",
            )
            .bind(account)
            .bind(vec![1_u8; 20])
            .bind(i64::from(name == "ada"))
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
        let store = store.upgrade(&[SCHEMA]).await;
        let people = People::new(store.clone(), Live::fixed(Config::default()));
        let shown = people.accounts().await.unwrap();
        let having = shown.iter().map(|it| (it.name.as_str(), it.second_factor));
        assert!(having.eq([("ada", true), ("grace", false)]));
        let late = begun(&people, at(3001)).await;
        let found = people.session(late.reveal(), at(3001)).await.unwrap();
        assert!(found.is_none());
    }
}
