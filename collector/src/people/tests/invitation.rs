//! Invitations: links that count once, for a day, and open one account.

use std::path::PathBuf;

use futures_util::future::BoxFuture;

use super::*;
use crate::people::invitation::LINK_LIFE;

/// A post that keeps what it was given, and fails as often as it is told.
#[derive(Debug, Default)]
struct Bag {
    letters: Mutex<Vec<Letter>>,
    fail: Mutex<Vec<Carried>>,
}

impl Post for Bag {
    fn link(&self, token: &Secret) -> String {
        format!("https://watch.example/welcome?token={}", token.reveal())
    }

    fn place(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            self.letters.lock().unwrap().push(letter);
            let failed = self.fail.lock().unwrap().pop();
            failed.unwrap_or_else(|| Carried::Taken("taken".to_owned()))
        })
    }
}

impl Bag {
    /// The tokens of all letters so far.
    fn tokens(&self) -> Vec<String> {
        let letters = self.letters.lock().unwrap();
        let tokens = letters
            .iter()
            .map(|letter| letter.token.reveal().to_owned());
        tokens.collect()
    }
}

fn ada(email: Option<&str>) -> Newcomer {
    Newcomer {
        name: "ada".to_owned(),
        email: email.map(|text| Email::of(text).unwrap()),
        roles: operator(),
    }
}

#[tokio::test]
async fn the_link_is_in_the_letter_alone_and_counts_once() {
    for (store, people) in everybody().await {
        let bag = Arc::new(Bag::default());
        let people = people.with_post(bag.clone());
        let new = ada(Some("ada@example.org"));
        let invited = people.invite(&new, &root(), at(0)).await.unwrap().unwrap();
        assert!(matches!(invited, Invited::ByEmail(to) if to == "ada@example.org"));
        let twice = people.invite(&new, &root(), at(0)).await.unwrap();
        assert_eq!(twice.unwrap_err(), Unfit::Taken);
        let like = Newcomer {
            name: "ADA".to_owned(),
            ..new.clone()
        };
        let like = people.invite(&like, &root(), at(0)).await.unwrap();
        assert_eq!(like.unwrap_err(), Unfit::Taken, "nobody tells them apart");
        let last_in = async || people.accounts().await.unwrap()[0].last_in;
        assert_eq!(last_in().await, None);

        people.send_due(at(1)).await.unwrap();
        people.send_due(at(2)).await.unwrap();
        let tokens = bag.tokens();
        assert_eq!(tokens.len(), 1, "it was taken");
        let hash: Vec<u8> = sqlx::query_scalar("SELECT hash FROM people_invitation")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_ne!(hash, tokens[0].as_bytes());

        let (short, new) = (secret("short"), secret(NEW));
        let weak = people.accept((&tokens[0], &short), None, at(3));
        assert!(matches!(
            weak.await.unwrap(),
            Welcome::Weak(Weakness::Short)
        ));
        let session = welcomed(&people, &tokens[0], at(4)).await;
        assert_eq!(last_in().await, Some(at(4)), "by the link");
        let session = people.session(session.reveal(), at(5)).await.unwrap();
        let session = session.unwrap();
        assert!(session.must_enrol && !session.must_change);
        let again = people.accept((&tokens[0], &new), None, at(6));
        assert!(matches!(again.await.unwrap(), Welcome::Over));
        let kept = kept(&people).await;
        assert_eq!(kept[0].what, Event::Accepted.words());
        assert_eq!(kept[1].what, Event::Invited.words());
        assert_eq!([&*kept[1].who, &*kept[1].whom], ["root", "ada"]);
        assert_eq!(kept[1].detail, "operator ada@example.org");
    }
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_gets_in() {
    for (_store, people) in everybody().await {
        let invited = people.invite(&ada(None), &root(), at(0)).await;
        let token = by_hand(invited.unwrap().unwrap());
        let (one, other) = (secret(NEW), secret("another horse battery"));
        let (one, other) = tokio::join!(
            people.accept((&token, &one), None, at(1)),
            people.accept((&token, &other), None, at(1))
        );
        let is_in = |it: anyhow::Result<Welcome>| matches!(it.unwrap(), Welcome::In(_));
        assert_ne!(is_in(one), is_in(other));
    }
}

#[tokio::test]
async fn a_link_is_over_after_a_day_after_a_newer_one_and_without_its_account() {
    for (_store, people) in everybody().await {
        let over = async |token: &str, now| {
            let answer = people.accept((token, &secret(NEW)), None, now).await;
            matches!(answer.unwrap(), Welcome::Over)
        };
        let invited = people.invite(&ada(None), &root(), at(0)).await;
        let first = by_hand(invited.unwrap().unwrap());
        let reset = async |second| {
            let link = people.reset("ada", &root(), at(second)).await;
            by_hand(link.unwrap().unwrap())
        };
        let second = reset(1).await;
        assert!(over(&first, at(2)).await, "a newer one took its place");
        welcomed(&people, &second, at(3)).await;

        let third = reset(4).await;
        let answer = people.sign_in(&stranger("ada", NEW), at(5)).await.unwrap();
        assert!(matches!(answer, Answer::Wrong), "the password is void");
        let day_after = at(4) + LINK_LIFE;
        assert!(over(&third, day_after).await, "it is too old");
        let invited = people.reset("ada", &root(), day_after).await;
        let fourth = by_hand(invited.unwrap().unwrap());
        let boss = ("grace", &Roles::from(Role::Administrator));
        people.add(boss, &root(), day_after).await.unwrap().unwrap();
        people
            .remove("ada", &root(), day_after)
            .await
            .unwrap()
            .unwrap();
        assert!(over(&fourth, day_after).await, "there is no such account");
    }
}

#[tokio::test]
async fn a_letter_that_did_not_go_is_sent_again_with_another_link() {
    for (_store, people) in everybody().await {
        let bag = Arc::new(Bag::default());
        let people = people.with_post(bag.clone());
        let later = Carried::Later("the server does not answer".to_owned());
        bag.fail.lock().unwrap().push(later);
        let new = ada(Some("ada@example.org"));
        people.invite(&new, &root(), at(0)).await.unwrap().unwrap();
        people.send_due(at(1)).await.unwrap();
        people.send_due(at(2)).await.unwrap();
        assert_eq!(bag.tokens().len(), 1, "not at once");
        let shown = people.accounts().await.unwrap();
        assert_eq!(
            shown[0].letter.as_deref(),
            Some("the server does not answer")
        );
        people.send_due(at(60)).await.unwrap();
        let tokens = bag.tokens();
        assert_ne!(tokens[0], tokens[1]);
        let first = people
            .accept((&tokens[0], &secret(NEW)), None, at(61))
            .await;
        assert!(matches!(first.unwrap(), Welcome::Over));
        welcomed(&people, &tokens[1], at(62)).await;
    }
}

#[tokio::test]
async fn who_guesses_links_is_slowed_down() {
    let (_store, people) = everybody().await.remove(0);
    let invited = people.invite(&ada(None), &root(), at(0)).await;
    let token = by_hand(invited.unwrap().unwrap());
    let address = "192.0.2.1".parse().ok();
    let mut waited = false;
    for n in 0..10 {
        let found = people.invited(&format!("guess {n}"), address, at(1)).await;
        waited |= found.unwrap().is_err();
    }
    assert!(waited);
    let elsewhere = "192.0.2.2".parse().ok();
    for _ in 0..10 {
        let found = people.invited(&token, elsewhere, at(1)).await.unwrap();
        assert_eq!(found.unwrap().as_deref(), Some("ada"), "who has it is not");
    }
}
