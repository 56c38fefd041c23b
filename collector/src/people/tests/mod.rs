//! Signing in, on both databases.

mod attacks;
mod factor;
mod invitation;
mod security_key;

use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::accounts::ONE_TIME_LIFE;
use super::*;
use crate::store::Schema;
use crate::store::testing::{self, Fresh};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn stranger(name: &str, password: &str) -> Stranger {
    Stranger {
        name: name.to_owned(),
        password: secret(password),
        address: "192.0.2.1".parse().ok(),
    }
}

/// The token of a link that was handed over.
fn by_hand(invited: Invited) -> String {
    let Invited::ByHand(link) = invited else {
        panic!("not handed over: {invited:?}");
    };
    let token = link.reveal().split("token=").nth(1);
    token.unwrap().to_owned()
}

/// Chooses the password [`NEW`] by this link.
async fn welcomed(people: &People, token: &str, now: Timestamp) -> Secret {
    let new = secret(NEW);
    match people.accept((token, &new), None, now).await.unwrap() {
        Welcome::In(secret) => secret,
        other @ (Welcome::Over | Welcome::Weak(_) | Welcome::Later(_)) => {
            panic!("not welcome: {other:?}")
        }
    }
}

/// What is kept, the newest first.
async fn kept(people: &People) -> Vec<Deed> {
    let everything = Wanted {
        since: Timestamp::default(),
        before: Timestamp::from_micros(i64::MAX),
        who: String::new(),
        limit: 100,
    };
    people.deeds(None, &everything).await.unwrap()
}

fn root() -> Author {
    Author {
        name: "root".to_owned(),
        address: None,
    }
}

fn operator() -> Roles {
    Roles::from(Role::Operator)
}

async fn everybody() -> Vec<(Fresh, People)> {
    let stores = testing::stores(&[SCHEMA]).await.into_iter();
    stores
        .map(|store| {
            let people = People::new(store.clone(), Live::fixed(Config::default()));
            (store, people)
        })
        .collect()
}

async fn enter(people: &People, stranger: &Stranger, now: Timestamp) -> Secret {
    let Answer::In(secret) = people.sign_in(stranger, now).await.unwrap() else {
        panic!("not let in");
    };
    secret
}

const NEW: &str = "correct horse battery";

#[tokio::test]
async fn a_one_time_password_lets_in_and_must_be_changed() {
    for (_store, people) in everybody().await {
        let once = people
            .add(("ada", &operator()), &root(), at(0))
            .await
            .unwrap()
            .unwrap();
        let twice = people.add(("ada", &operator()), &root(), at(0)).await;
        assert_eq!(twice.unwrap().unwrap_err(), Unfit::Taken);
        let first = enter(&people, &stranger("ada", once.reveal()), at(1)).await;
        let session = people
            .session(first.reveal(), at(2))
            .await
            .unwrap()
            .unwrap();
        assert!(session.must_change);

        let used = stranger("ada", once.reveal());
        let again = people.sign_in(&used, at(2)).await.unwrap();
        assert!(matches!(again, Answer::Wrong), "it was for once");

        let choose = async |new: &str| {
            let both = (None, &secret(new));
            let done = people.change(&session, both, None, at(3)).await;
            done.unwrap()
        };
        let weak = choose("short").await;
        assert!(matches!(weak, Change::Weak(Weakness::Short)));
        let same = choose(once.reveal()).await;
        assert!(matches!(same, Change::Weak(Weakness::Old)));
        let Change::Done(second) = choose(NEW).await else {
            panic!("not changed");
        };

        assert!(
            people
                .session(first.reveal(), at(4))
                .await
                .unwrap()
                .is_none()
        );
        let session = people.session(second.reveal(), at(4)).await.unwrap();
        let session = session.unwrap();
        assert!(!session.must_change);
        enter(&people, &stranger("ada", NEW), at(5)).await;

        let change = async |old: Option<&str>| {
            let (old, new) = (old.map(secret), secret("another horse battery"));
            let both = (old.as_ref(), &new);
            let done = people.change(&session, both, None, at(6)).await;
            done.unwrap()
        };
        assert!(matches!(change(None).await, Change::Wrong));
        assert!(matches!(change(Some("no")).await, Change::Wrong));
        assert!(matches!(change(Some(NEW)).await, Change::Done(_)));
    }
}

#[tokio::test]
async fn of_two_who_use_a_one_time_password_at_once_one_gets_in() {
    for (_store, people) in everybody().await {
        let once = people
            .add(("ada", &operator()), &root(), at(0))
            .await
            .unwrap()
            .unwrap();
        let ada = stranger("ada", once.reveal());
        let (one, other) = tokio::join!(people.sign_in(&ada, at(1)), people.sign_in(&ada, at(1)));
        let is_in = |answer: anyhow::Result<Answer>| matches!(answer.unwrap(), Answer::In(_));
        assert_ne!(is_in(one), is_in(other));
    }
}

#[tokio::test]
async fn a_one_time_password_does_not_wait_for_ever() {
    for (_store, people) in everybody().await {
        let once = people
            .add(("ada", &operator()), &root(), at(0))
            .await
            .unwrap()
            .unwrap();
        let late = at(0) + ONE_TIME_LIFE;
        let answer = people.sign_in(&stranger("ada", once.reveal()), late).await;
        assert!(matches!(answer.unwrap(), Answer::Wrong));
    }
}

#[tokio::test]
async fn failures_are_slowed_down_and_kept_without_names_that_nobody_has() {
    for (_store, people) in everybody().await {
        let made = people.add(("ada", &operator()), &root(), at(0)).await;
        made.unwrap().unwrap();
        for name in ["ada", "hunter2-in-the-wrong-field", "bob\0", "", "ada"] {
            let answer = people.sign_in(&stranger(name, "guess"), at(1)).await;
            assert!(matches!(answer.unwrap(), Answer::Wrong), "{name}");
        }
        let answer = people.sign_in(&stranger("ada", "guess"), at(1)).await;
        assert!(matches!(answer.unwrap(), Answer::Later(_)));
        let kept = kept(&people).await;
        let whoever: Vec<_> = kept.iter().map(|one| one.who.as_str()).collect();
        assert_eq!(whoever, ["ada", "", "", "", "ada", "root"]);
        assert_eq!(kept[0].what, Event::Failed.words());
        assert_eq!(kept[0].address, "192.0.2.1".parse().ok());
    }
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_when_told_and_when_reset() {
    for (_store, people) in everybody().await {
        let once = people
            .add(("ada", &operator()), &root(), at(0))
            .await
            .unwrap()
            .unwrap();
        let first = enter(&people, &stranger("ada", once.reveal()), at(0)).await;
        let first = people.session(first.reveal(), at(0)).await.unwrap();
        let chosen = (None, &secret(NEW));
        let done = people.change(&first.unwrap(), chosen, None, at(0)).await;
        assert!(matches!(done.unwrap(), Change::Done(_)));
        let ada = stranger("ada", NEW);
        let (hour, day) = (3600, 86_400);
        let counts = async |secret: &Secret, second| {
            let found = people.session(secret.reveal(), at(second)).await;
            found.unwrap()
        };

        let idle = enter(&people, &ada, at(1)).await;
        assert!(counts(&idle, 11 * hour).await.is_some());
        assert!(counts(&idle, 22 * hour).await.is_some(), "it was in use");
        assert!(counts(&idle, 35 * hour).await.is_none(), "it was idle");

        let used = enter(&people, &ada, at(1)).await;
        for hours in (10..168).step_by(10) {
            assert!(counts(&used, hours * hour).await.is_some(), "{hours}");
        }
        assert!(counts(&used, 7 * day + 2).await.is_none(), "it was old");

        let left = enter(&people, &ada, at(2)).await;
        let session = counts(&left, 3).await.unwrap();
        people.sign_out(&session, None, at(3)).await.unwrap();
        assert!(counts(&left, 4).await.is_none());

        let reset = enter(&people, &ada, at(2)).await;
        let link = people.reset("ada", &root(), at(3)).await.unwrap().unwrap();
        assert!(counts(&reset, 4).await.is_none());
        let answer = people.sign_in(&ada, at(4)).await.unwrap();
        assert!(matches!(answer, Answer::Wrong), "that password is void");
        let gone = welcomed(&people, &by_hand(link), at(4)).await;
        let boss = ("grace", &Roles::from(Role::Administrator));
        people.add(boss, &root(), at(5)).await.unwrap().unwrap();
        people.remove("ada", &root(), at(5)).await.unwrap().unwrap();
        assert!(counts(&gone, 6).await.is_none());
        let none = people.reset("ada", &root(), at(7)).await.unwrap();
        assert_eq!(none.unwrap_err(), Unfit::Missing);
    }
}

#[tokio::test]
async fn nothing_that_opens_an_account_is_kept_as_it_is() {
    for (store, people) in everybody().await {
        let once = people
            .add(("ada", &operator()), &root(), at(0))
            .await
            .unwrap()
            .unwrap();
        let session = enter(&people, &stranger("ada", once.reveal()), at(1)).await;
        let kept: String = sqlx::query_scalar("SELECT password FROM people_account")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert!(kept.starts_with("$argon2id$") && !kept.contains(once.reveal()));
        let hash: Vec<u8> = sqlx::query_scalar("SELECT hash FROM people_session")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_ne!(hash, session.reveal().as_bytes());
    }
}

#[tokio::test]
async fn roles_count_from_the_next_click_on_and_somebody_stays_administrator() {
    let (boss, reader) = (
        Roles::from(Role::Administrator),
        Roles::from(Role::Security),
    );
    for (_store, people) in everybody().await {
        let once = people.add(("ada", &boss), &root(), at(0)).await;
        let once = once.unwrap().unwrap();
        let secret = enter(&people, &stranger("ada", once.reveal()), at(0)).await;
        let may = async |needs| {
            let session = people.session(secret.reveal(), at(1)).await.unwrap();
            session.unwrap().roles.may(needs)
        };
        assert!(may(Needs::People).await && may(Needs::See).await);

        let become_reader = async || people.set_roles(("ada", &reader), &root(), at(1)).await;
        let refused = become_reader().await.unwrap().unwrap_err();
        assert_eq!(refused, Unfit::LastAdministrator);
        let refused = people.remove("ada", &root(), at(1)).await.unwrap();
        assert_eq!(refused.unwrap_err(), Unfit::LastAdministrator);
        let none = ("ada", &Roles::default());
        let refused = people.set_roles(none, &root(), at(1)).await.unwrap();
        assert_eq!(refused.unwrap_err(), Unfit::NoRole);

        let other = people.add(("grace", &boss), &root(), at(1)).await;
        other.unwrap().unwrap();
        become_reader().await.unwrap().unwrap();
        assert!(!may(Needs::People).await && may(Needs::See).await);
        let administrators = people.administrators().await.unwrap();
        assert_eq!(administrators, ["grace"]);
        let kept = kept(&people).await;
        assert_eq!(kept[0].what, Event::Roles.words());
        assert_eq!([&*kept[0].who, &*kept[0].whom], ["root", "ada"]);
        assert_eq!(kept[0].detail, "security");
    }
}

#[tokio::test]
async fn who_had_an_account_before_there_were_roles_is_an_administrator() {
    let before = Schema {
        room: SCHEMA.room,
        steps: &SCHEMA.steps[..1],
    };
    for store in testing::stores(&[before]).await {
        let mut tx = store.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO people_account (name, password, must_change, created_at, changed_at) \
             VALUES ('grace', 'none', 0, 0, 0)",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO people_event (at, event, name) VALUES (1, 'account made', 'grace')",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let store = store.upgrade(&[SCHEMA]).await;
        let people = People::new(store, Live::fixed(Config::default()));
        assert_eq!(people.administrators().await.unwrap(), ["grace"]);
        assert_eq!(kept(&people).await[0].what, Event::Added.words());
    }
}
