//! Second factors, on both databases.

use super::*;
use crate::people::totp;
use crate::sealing::Sealing;

/// Somebody called ada, with her password and a second factor: its secret and her recovery codes.
pub(super) async fn ada(people: &People, now: Timestamp) -> (Vec<u8>, Vec<Secret>) {
    let new = Newcomer {
        name: "ada".to_owned(),
        email: None,
        roles: operator(),
    };
    let invited = people.invite(&new, &root(), now).await.unwrap().unwrap();
    let entered = welcomed(people, &by_hand(invited), now).await;
    let session = people.session(entered.reveal(), now).await.unwrap();
    let session = session.unwrap();
    let offer = people.factor(&session, now).await.unwrap().offer.unwrap();
    let again = people.factor(&session, now).await.unwrap().offer.unwrap();
    assert_eq!(offer.words.reveal(), again.words.reveal(), "the same page");
    let bytes = bytes(offer.words.reveal());
    let wrong = people.enrol(&session, "000000x", None, now).await.unwrap();
    assert!(matches!(wrong, Checked::Wrong));
    let typed = code(&bytes, now);
    let Checked::Right(codes) = people.enrol(&session, &typed, None, now).await.unwrap() else {
        panic!("the code is right");
    };
    assert_eq!(codes.len(), 10);
    let session = people.session(entered.reveal(), now).await.unwrap();
    assert!(!session.unwrap().must_enrol);
    (bytes, codes)
}

/// Base32, as an app reads it.
pub(super) fn bytes(words: &str) -> Vec<u8> {
    let letters = words.bytes().filter(|byte| *byte != b' ');
    let mut bits = String::new();
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            digit => digit - b'2' + 26,
        };
        bits += &format!("{value:05b}");
    }
    let whole = bits.as_bytes().chunks_exact(8);
    let byte = |eight: &[u8]| u8::from_str_radix(str::from_utf8(eight).unwrap(), 2).unwrap();
    whole.map(byte).collect()
}

pub(super) fn code(secret: &[u8], now: Timestamp) -> String {
    let step = now.as_micros() / 30_000_000;
    format!("{:06}", totp::code(secret, step))
}

/// Half a session of ada's.
pub(super) async fn half(people: &People, now: Timestamp) -> Session {
    let answer = people.sign_in(&stranger("ada", NEW), now).await.unwrap();
    let Answer::Code(secret) = answer else {
        panic!("no code is asked for: {answer:?}");
    };
    let whole = people.session(secret.reveal(), now).await.unwrap();
    assert!(whole.is_none(), "half a session opens nothing");
    people.half(secret.reveal(), now).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_code_follows_the_password_and_counts_once() {
    for (_store, people) in everybody().await {
        let (secret, _) = ada(&people, at(3000)).await;
        let first = half(&people, at(3001)).await;
        let prove = async |half: &Session, typed: &str, second| {
            let proved = people.prove(half, typed, None, at(second)).await;
            proved.unwrap()
        };
        let enrolled = code(&secret, at(3000));
        assert!(matches!(
            prove(&first, &enrolled, 3001).await,
            Answer::Wrong
        ));
        assert!(matches!(prove(&first, "123", 3100).await, Answer::Wrong));
        let now = code(&secret, at(3100));
        let Answer::In(entered) = prove(&first, &now, 3100).await else {
            panic!("the code is right");
        };
        assert!(
            people
                .session(entered.reveal(), at(3101))
                .await
                .unwrap()
                .is_some()
        );
        let second = half(&people, at(3101)).await;
        assert!(
            matches!(prove(&second, &now, 3101).await, Answer::Wrong),
            "it was used"
        );
        let next = code(&secret, at(3130));
        assert!(
            matches!(prove(&first, &next, 3130).await, Answer::Wrong),
            "so was that half"
        );
        let kept = kept(&people).await;
        let wrong = kept
            .iter()
            .filter(|one| one.what == Event::WrongCode.words());
        assert!(wrong.count() >= 3);
    }
}

#[tokio::test]
async fn of_many_who_use_a_code_at_once_one_gets_in() {
    for (_store, people) in everybody().await {
        let (secret, _) = ada(&people, at(3000)).await;
        let (one, other) = (half(&people, at(3100)).await, half(&people, at(3100)).await);
        let now = code(&secret, at(3100));
        let (one, other) = tokio::join!(
            people.prove(&one, &now, None, at(3100)),
            people.prove(&other, &now, None, at(3100))
        );
        let is_in = |it: anyhow::Result<Answer>| matches!(it.unwrap(), Answer::In(_));
        assert_ne!(is_in(one), is_in(other));
    }
}

#[tokio::test]
async fn who_guesses_codes_is_slowed_down_from_wherever() {
    let (_store, people) = everybody().await.remove(0);
    let (secret, _) = ada(&people, at(3000)).await;
    let half = half(&people, at(3100)).await;
    let mut waits = 0;
    for n in 0..20 {
        let address = format!("192.0.2.{n}").parse().ok();
        let proved = people.prove(&half, "000000", address, at(3100)).await;
        waits += usize::from(matches!(proved.unwrap(), Answer::Later(_)));
    }
    assert!(waits >= 14, "{waits}");
    let late = at(3100 + 3700);
    let typed = code(&secret, late);
    let gone = people.half("whatever it was", late).await.unwrap();
    assert!(gone.is_none());
    let proved = people.prove(&half, &typed, None, late).await.unwrap();
    assert!(matches!(proved, Answer::In(_)), "not for ever: {proved:?}");
}

#[tokio::test]
async fn recovery_codes_let_in_once_each_and_another_phone_takes_the_place() {
    for (store, people) in everybody().await {
        let (old, codes) = ada(&people, at(3000)).await;
        let kept: Vec<u8> = sqlx::query_scalar("SELECT hash FROM people_recovery LIMIT 1")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_eq!(kept.len(), 32);
        let typed = format!(" {} ", codes[3].reveal().to_uppercase());
        let first = half(&people, at(3100)).await;
        let Answer::In(entered) = people.prove(&first, &typed, None, at(3100)).await.unwrap()
        else {
            panic!("a recovery code lets in");
        };
        let second = half(&people, at(3101)).await;
        let again = people.prove(&second, &typed, None, at(3101)).await.unwrap();
        assert!(matches!(again, Answer::Wrong), "once");

        let session = people.session(entered.reveal(), at(3102)).await.unwrap();
        let session = session.unwrap();
        let having = people.factor(&session, at(3103)).await.unwrap();
        assert!(having.phone.is_some() && having.recovery == 9, "{having:?}");
        let typed = codes[4].reveal();
        let gone = people
            .unenrol(&session, typed, None, at(3103))
            .await
            .unwrap();
        assert!(matches!(gone, Checked::Right(())));
        let having = people.factor(&session, at(3103)).await.unwrap();
        let offer = having.offer.expect("another is offered");
        assert!(!session.must_enrol);
        let fresh = bytes(offer.words.reveal());
        let early = half(&people, at(3130)).await;
        let typed = code(&fresh, at(3130));
        let proved = people.prove(&early, &typed, None, at(3130)).await.unwrap();
        assert!(matches!(proved, Answer::Wrong), "it is not confirmed yet");
        let typed = code(&old, at(3160));
        let proved = people.prove(&early, &typed, None, at(3160)).await.unwrap();
        assert!(matches!(proved, Answer::In(_)), "the one before counts");

        let typed = code(&fresh, at(3190));
        let checked = people.enrol(&session, &typed, None, at(3190)).await;
        assert!(matches!(checked.unwrap(), Checked::Right(_)));
        let having = people.factor(&session, at(3250)).await.unwrap();
        assert!(
            having.phone.is_some() && having.recovery == 10,
            "{having:?}"
        );
        let late = half(&people, at(3250)).await;
        for (typed, right) in [
            (code(&old, at(3250)), false),
            (code(&fresh, at(3250)), true),
        ] {
            let proved = people.prove(&late, &typed, None, at(3250)).await.unwrap();
            assert_eq!(matches!(proved, Answer::In(_)), right);
        }
        let typed = codes[5].reveal();
        let last = half(&people, at(3300)).await;
        let proved = people.prove(&last, typed, None, at(3300)).await.unwrap();
        assert!(matches!(proved, Answer::Wrong), "with its written codes");
    }
}

#[tokio::test]
async fn the_secret_is_sealed_and_without_its_master_key_the_written_codes_are_left() {
    for (store, people) in everybody().await {
        let (secret, codes) = ada(&people, at(3000)).await;
        let kept: Vec<u8> = sqlx::query_scalar("SELECT secret FROM people_factor")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert!(!kept.windows(secret.len()).any(|some| some == secret));

        let people = people.sealed_by(Sealing::fleeting());
        people.reseal().await.unwrap();
        let first = half(&people, at(3100)).await;
        let typed = code(&secret, at(3100));
        let proved = people.prove(&first, &typed, None, at(3100)).await.unwrap();
        assert!(matches!(proved, Answer::Wrong));
        let typed = codes[0].reveal();
        let proved = people.prove(&first, typed, None, at(3101)).await.unwrap();
        assert!(matches!(proved, Answer::In(_)));
    }
}

#[tokio::test]
async fn after_another_master_key_everybody_signs_in_as_before() {
    const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW_KEY: &str = "HxAREhMUFRYXGBkaGxwdHgABAgMEBQYHCAkKCwwNDg8=";
    for (_store, people) in everybody().await {
        let people = people.sealed_by(Sealing::of(OLD));
        let (secret, _) = ada(&people, at(3000)).await;
        let both = Sealing::of(&format!("{NEW_KEY}\n{OLD}\n"));
        people.clone().sealed_by(both).reseal().await.unwrap();
        let people = people.sealed_by(Sealing::of(NEW_KEY));
        let first = half(&people, at(3100)).await;
        let typed = code(&secret, at(3100));
        let proved = people.prove(&first, &typed, None, at(3100)).await.unwrap();
        assert!(matches!(proved, Answer::In(_)), "{proved:?}");
    }
}
