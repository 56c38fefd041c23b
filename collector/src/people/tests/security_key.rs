//! Security keys, on both databases, by one that is made of a key in memory.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::factor::half;
use super::*;
use crate::people::Removed;

const ORIGIN: &str = "https://watch.example.org";

/// A security key.
struct Key {
    pair: EcdsaKeyPair,
    id: [u8; 16],
    used: u32,
    /// The page that its browser shows.
    origin: &'static str,
}

impl Key {
    fn new(id: u8) -> Self {
        Self {
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: [id; 16],
            used: 0,
            origin: ORIGIN,
        }
    }

    /// What it says of itself and of the page: RP id, flags, how often it was used.
    fn data(&mut self, flags: u8) -> Vec<u8> {
        self.used += 1;
        let page = self.origin.strip_prefix("https://").unwrap();
        let mut data = Sha256::digest(page).to_vec();
        data.push(flags);
        data.extend(self.used.to_be_bytes());
        data
    }

    fn client(&self, kind: &str, question: &str) -> Vec<u8> {
        let asked: Value = serde_json::from_str(question).unwrap();
        let challenge = &asked["publicKey"]["challenge"];
        let client = json!({ "type": kind, "challenge": challenge, "origin": self.origin });
        client.to_string().into_bytes()
    }

    /// Answers the question to a new key.
    fn made(&mut self, question: &str) -> String {
        // User present, and a key follows (W3C WebAuthn, 6.1).
        let mut data = self.data(0x41);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        let point = self.pair.public_key().as_ref();
        // COSE: EC2, ES256, P-256, x and y.
        data.extend([0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&point[33..]);
        let mut object = vec![0xa3];
        for word in [
            &b"\x63fmt\x64none"[..],
            b"\x67attStmt\xa0",
            b"\x68authData\x58",
        ] {
            object.extend(word);
        }
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        let response = json!({
            "attestationObject": text(&object),
            "clientDataJSON": text(&self.client("webauthn.create", question)),
        });
        self.answer(&response)
    }

    /// Answers the question whether it is there.
    fn shown(&mut self, question: &str) -> String {
        let data = self.data(0x01);
        let client = self.client("webauthn.get", question);
        let signed = [&data[..], &Sha256::digest(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        let response = json!({
            "authenticatorData": text(&data),
            "clientDataJSON": text(&client),
            "signature": text(signature.as_ref()),
        });
        self.answer(&response)
    }

    fn answer(&self, response: &Value) -> String {
        let id = text(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "clientExtensionResults": {},
        })
        .to_string()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Ada's first session, in which she has no second factor yet.
async fn arrived(people: &People) -> Session {
    let new = Newcomer {
        name: "ada".to_owned(),
        email: None,
        roles: operator(),
    };
    let invited = people.invite(&new, &root(), at(3000)).await.unwrap();
    let entered = welcomed(people, &by_hand(invited.unwrap()), at(3000)).await;
    let session = people.session(entered.reveal(), at(3000)).await.unwrap();
    session.unwrap()
}

/// Adds a key to ada's account, as her first second factor: her recovery codes.
async fn added(people: &People, session: &Session, key: &mut Key) -> Vec<Secret> {
    let question = people.ask_new_key(session, at(3001)).await.unwrap();
    let told = ("the blue one", key.made(&question.unwrap()));
    let told = (told.0, told.1.as_str());
    let added = people.add_key(session, told, None, at(3002)).await.unwrap();
    let Checked::Right(codes) = added else {
        panic!("{added:?}");
    };
    codes
}

async fn everybody_at() -> Vec<(Fresh, People)> {
    let all = everybody().await.into_iter();
    all.map(|(store, people)| (store, people.at(ORIGIN)))
        .collect()
}

#[tokio::test]
async fn a_key_is_a_second_factor_whose_answer_counts_once() {
    for (_store, people) in everybody_at().await {
        let session = arrived(&people).await;
        assert!(session.must_enrol);
        let mut key = Key::new(1);
        assert_eq!(added(&people, &session, &mut key).await.len(), 10);
        let half_session = half(&people, at(3100)).await;
        let question = people.ask_key(&half_session).await.unwrap().unwrap();
        let answer = key.shown(&question);
        let prove = async |half: &Session, answer: &str| {
            people
                .prove_by_key(half, answer, None, at(3101))
                .await
                .unwrap()
        };
        let Answer::In(secret) = prove(&half_session, &answer).await else {
            panic!("the key is hers");
        };
        let entered = people.session(secret.reveal(), at(3102)).await.unwrap();
        assert!(entered.is_some_and(|it| it.has_proved() && !it.must_enrol));
        let again = half(&people, at(3103)).await;
        assert!(
            matches!(prove(&again, &answer).await, Answer::Wrong),
            "nothing was asked"
        );
        people.ask_key(&again).await.unwrap().unwrap();
        assert!(
            matches!(prove(&again, &answer).await, Answer::Wrong),
            "another was asked"
        );
        let wrong = kept(&people).await;
        let wrong = wrong
            .iter()
            .filter(|one| one.what == Event::WrongCode.words());
        assert_eq!(wrong.count(), 2);
    }
}

#[tokio::test]
async fn neither_anothers_key_nor_a_page_of_another_name_lets_in() {
    for (_store, people) in everybody_at().await {
        let session = arrived(&people).await;
        let mut key = Key::new(1);
        added(&people, &session, &mut key).await;
        let mut other = Key::new(1);
        let mut led_astray = Key {
            origin: "https://watch.example.net",
            ..key
        };
        for stranger in [&mut other, &mut led_astray] {
            let half = half(&people, at(3100)).await;
            let question = people.ask_key(&half).await.unwrap().unwrap();
            let answer = stranger.shown(&question);
            let proved = people.prove_by_key(&half, &answer, None, at(9000)).await;
            assert!(matches!(proved.unwrap(), Answer::Wrong));
        }
    }
}

#[tokio::test]
async fn keys_are_changed_just_after_a_second_factor_was_shown_and_one_is_left() {
    for (_store, people) in everybody_at().await {
        let session = arrived(&people).await;
        let (mut first, mut second) = (Key::new(1), Key::new(2));
        added(&people, &session, &mut first).await;
        let half_session = half(&people, at(4000)).await;
        let question = people.ask_key(&half_session).await.unwrap().unwrap();
        let proved = people
            .prove_by_key(&half_session, &first.shown(&question), None, at(4000))
            .await;
        let Answer::In(secret) = proved.unwrap() else {
            panic!("the key is hers");
        };
        let session = people.session(secret.reveal(), at(4001)).await.unwrap();
        let session = session.unwrap();
        let late = people.ask_new_key(&session, at(4000 + 601)).await.unwrap();
        assert!(late.is_none());
        let question = people.ask_new_key(&session, at(4002)).await.unwrap();
        let told = second.made(&question.unwrap());
        let late = people.add_key(&session, ("late", &told), None, at(4000 + 601));
        assert!(matches!(late.await.unwrap(), Checked::Wrong));
        let question = people.ask_new_key(&session, at(4002)).await.unwrap();
        let told = second.made(&question.unwrap());
        let both = people.add_key(&session, ("red", &told), None, at(4003));
        let Checked::Right(codes) = both.await.unwrap() else {
            panic!("it is fresh");
        };
        assert!(codes.is_empty(), "those of before count on");
        let keys = people.factor(&session, at(4004)).await.unwrap().keys;
        let [blue, red] = &keys[..] else {
            panic!("{keys:?}");
        };
        let remove = async |id, second| {
            let removed = people.remove_key(&session, id, None, at(second)).await;
            removed.unwrap()
        };
        assert_eq!(remove(blue.id, 4000 + 601).await, Removed::Stale);
        assert_eq!(remove(blue.id, 4005).await, Removed::Done);
        assert_eq!(remove(blue.id, 4006).await, Removed::Last);
        assert_eq!(remove(red.id, 4007).await, Removed::Last);
        let left = people.factor(&session, at(4008)).await.unwrap().keys;
        assert_eq!(left.len(), 1);
    }
}

#[tokio::test]
async fn who_confirms_a_second_factor_first_voids_what_others_began() {
    for (_store, people) in everybody_at().await {
        let session = arrived(&people).await;
        let answer = people
            .sign_in(&stranger("ada", NEW), at(3000))
            .await
            .unwrap();
        let Answer::In(theirs) = answer else {
            panic!("{answer:?}");
        };
        let thief = people
            .session(theirs.reveal(), at(3000))
            .await
            .unwrap()
            .unwrap();
        let asked = people.ask_new_key(&thief, at(3000)).await.unwrap().unwrap();
        added(&people, &session, &mut Key::new(1)).await;
        let told = Key::new(2).made(&asked);
        let late = people
            .add_key(&thief, ("mine", &told), None, at(3003))
            .await;
        assert!(matches!(late.unwrap(), Checked::Wrong));
        let keys = people.factor(&session, at(3004)).await.unwrap().keys;
        assert_eq!(keys.len(), 1);
        let done = people.reset("ada", &root(), at(3005)).await.unwrap();
        done.unwrap();
        let keys = rows::security_key::of(people.store.read(), session.account).await;
        let keys = keys.unwrap();
        assert!(keys.is_empty(), "a lost key opens nothing after a reset");
    }
}
