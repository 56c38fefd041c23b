//! What somebody may revoke, by the paths of the operator's command, and what the page says of it.

use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use watchward_protocol::receipt::{Public, verify};

use super::*;
use crate::keys::proof::fingerprint as named;
use crate::web::testing::command as ask;

/// A key that is known as it is on the wire, by a letter.
fn whole(letter: char) -> Opening {
    let mut opening = key(letter);
    let wire = format!("\0\0\0\u{b}ssh-ed25519{letter}").into_bytes();
    let known = opening.key.as_mut().unwrap();
    (known.fingerprint, known.wire) = (named(&wire), wire);
    opening
}

fn name(opening: &Opening) -> String {
    opening.key.as_ref().unwrap().fingerprint.clone()
}

/// Root of host 1 has `a` and `b`, and bob has `a` alone; `a` and one that nobody told of are ada's.
async fn begun(store: &Store) -> Router {
    let bob = Holder::Account("bob".into());
    let told = [
        root(1, 0, &[whole('a'), whole('b')]),
        heard(1, 2, 0, bob, &[whole('a')]),
    ];
    hear(store, &told, at(0)).await;
    let owned = [name(&whole('a')), fingerprint('x')];
    let policy = format!("[[owners]]\nperson = \"ada\"\nkeys = {owned:?}\n");
    let policy: Policy = toml::from_str(&policy).unwrap();
    revoke_routes(Desk::of(store, pages::nobody, policy).await)
}

#[tokio::test]
async fn who_is_left_without_a_way_in_is_named_and_nothing_is_revoked() {
    for store in stores().await {
        let routes = begun(&store).await;
        let both = json!({"what": {"person": "ada"}, "reason": "she has left"});
        let (status, said) = ask(&routes, "/v1/revoke", Some(&both)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(said.contains("without a way in: bob@web-1"), "{said}");
        let (status, _) = ask(&routes, &path_of(&name(&whole('a'))), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "nothing was revoked");

        let other = json!({"what": {"fingerprint": name(&whole('b'))}, "reason": "old"});
        let (status, said) = ask(&routes, "/v1/revoke", Some(&other)).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        // Root has `a` alone now.
        let (_, said) = ask(&routes, "/v1/revoke/plan", Some(&json!({"person": "ada"}))).await;
        let plan: Value = serde_json::from_str(&said).unwrap();
        let lonely: Vec<_> = plan["lonely"].as_array().unwrap().iter().collect();
        let who: Vec<_> = lonely.iter().map(|it| it["account"].as_str()).collect();
        assert_eq!(who, [Some("bob"), Some("root")]);

        let mut nevertheless = both.clone();
        nevertheless["even_so"] = json!(true);
        let (status, said) = ask(&routes, "/v1/revoke", Some(&nevertheless)).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let done: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(done["revoked"].as_array().unwrap().len(), 2);
        let (_, ordered) = rows::revoked::ordered(&store).await.unwrap();
        let unknown = ordered.iter().filter(|(_, wire)| wire.is_empty());
        assert_eq!(
            (ordered.len(), unknown.count()),
            (3, 1),
            "x by its fingerprint"
        );
        let (_, again) = ask(&routes, "/v1/revoke", Some(&nevertheless)).await;
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(again["before"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_is_not_known_is_said_to_be_so() {
    for store in stores().await {
        let routes = begun(&store).await;
        for (what, word) in [
            (json!({"person": "eve"}), "no keys of a person eve"),
            (
                json!({"fingerprint": fingerprint('z')}),
                "no host has told of a key",
            ),
            (
                json!({"fingerprint": "SHA256:short"}),
                "expected a fingerprint",
            ),
            (json!({"key": "hello"}), "no public key is in it"),
        ] {
            let wanted = json!({"what": what, "reason": "x"});
            let (status, said) = ask(&routes, "/v1/revoke", Some(&wanted)).await;
            assert!(status.is_client_error() && said.contains(word), "{said}");
        }
        let reasonless = json!({"what": {"fingerprint": name(&whole('b'))}, "reason": " "});
        let (_, said) = ask(&routes, "/v1/revoke", Some(&reasonless)).await;
        assert!(said.contains("a reason is needed"), "{said}");
    }
}

#[tokio::test]
async fn a_receipt_is_given_as_it_was_signed_and_says_that_the_key_is_reinstated() {
    for store in stores().await {
        let routes = begun(&store).await;
        let key = name(&whole('b'));
        let wanted = json!({"what": {"fingerprint": key}, "reason": "lost"});
        ask(&routes, "/v1/revoke", Some(&wanted)).await;
        let (_, said) = ask(&routes, "/v1/receipt/key", None).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        let public = Public::from_pem(said["pem"].as_str().unwrap()).unwrap();
        let (_, text) = ask(&routes, &path_of(&key), None).await;
        let receipt = verify(text.as_bytes(), &public).unwrap();
        assert_eq!(
            (receipt.key.fingerprint, &*receipt.revoked.why),
            (key.clone(), "lost")
        );
        assert_eq!(receipt.key.comment, "b@laptop");
        let back = json!({"fingerprint": key});
        let before = rows::revoked::generation(&store).await.unwrap();
        let (status, _) = ask(&routes, "/v1/keys/reinstate", Some(&back)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(rows::revoked::generation(&store).await.unwrap() > before);
        let (_, text) = ask(&routes, &path_of(&key), None).await;
        let receipt = verify(text.as_bytes(), &public).unwrap();
        assert!(!receipt.is_proven);
        assert!(receipt.missing[0].starts_with("It was reinstated at"));
    }
}

fn path_of(fingerprint: &str) -> String {
    let escaped = fingerprint.replace('+', "%2B").replace('/', "%2F");
    format!("/v1/receipt?fingerprint={escaped}")
}
