//! A person's certificates are revoked by their serials.

use axum::Router;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::intake::Watched;
use crate::keys::revocation::{Desk, routes};
use crate::web::testing::command;

const PHONE: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIBiPXpTMeRpYJUlvXsmYc3T7GIjsAHOKKJDp9GGzTdlC ada@phone";

fn nobody(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async { Ok(Vec::new()) })
}

async fn ask(routes: &Router, path: &str, body: Option<&Value>) -> Value {
    let (_, said) = command(routes, path, body).await;
    serde_json::from_str(&said).unwrap()
}

#[tokio::test]
async fn a_certificate_is_revoked_as_one_and_doors_say_nothing_of_it() {
    for (fresh, authority) in authorities().await {
        let roles = Roles::from(Role::Operator);
        let now = watchward_daemon::clock::now();
        for key in [LAPTOP, PHONE] {
            let key = Offered::read(key).unwrap();
            let person = ada(&roles, "192.0.2.7");
            let issued = authority.issue(&person, &key, now).await;
            issued.unwrap().unwrap();
        }
        let routes = routes(Desk::of(&fresh, nobody, Policy::default()).await);
        let plan = ask(&routes, "/v1/revoke/plan", Some(&json!({"person": "ada"}))).await;
        assert_eq!(plan["keys"].as_array().unwrap().len(), 2);
        let plan = ask(&routes, "/v1/revoke/plan", Some(&json!({"serial": 1}))).await;
        let [key] = &plan["keys"].as_array().unwrap()[..] else {
            panic!("{plan}");
        };
        assert_eq!(key["kind"], "ssh-ed25519-cert-v01@openssh.com");
        assert_eq!(
            key["certificates"][0]["principals"],
            "role:operator person:ada"
        );
        assert_eq!(
            (&key["comment"], &key["person"]),
            (&json!("ada watchward-1-1"), &json!("ada"))
        );

        let wanted = json!({"what": {"serial": 1}, "reason": "lost"});
        ask(&routes, "/v1/revoke", Some(&wanted)).await;
        let own = trusted(fresh.read()).await.unwrap().remove(0);
        assert_eq!(revoked(&fresh, now).await.unwrap(), [(own.clone(), 1)]);
        let later = now + Duration::from_secs(3 * 86_400);
        assert_eq!(revoked(&fresh, later).await.unwrap(), [], "it has ended");
        let name = key["fingerprint"].as_str().unwrap();
        let path = name.replace('+', "%2B").replace('/', "%2F");
        let stand = format!("/v1/revoke/stand?fingerprint={path}");
        let receipt = ask(&routes, &stand, None).await;
        assert_eq!(receipt["missing"], json!([]), "no door is missing");
        assert_eq!(receipt["counts"]["doors"], 0);

        take_back(&routes, (&fresh, own), &stand).await;
    }
}

/// The other one is revoked with the person, and then both are reinstated.
async fn take_back(routes: &Router, (store, own): (&Store, Vec<u8>), stand: &str) {
    let both = json!({"what": {"person": "ada"}, "reason": "she has left"});
    let done = ask(routes, "/v1/revoke", Some(&both)).await;
    let lengths = ["before", "revoked"].map(|it| done[it].as_array().unwrap().len());
    assert_eq!(lengths, [1, 1]);
    let now = watchward_daemon::clock::now();
    let all = revoked(store, now).await.unwrap();
    assert_eq!(all, [(own.clone(), 1), (own, 2)]);
    let why = ask(routes, stand, None).await["revoked"]["why"].clone();
    let why = why.as_str().unwrap();
    assert!(
        why.starts_with("lost; ") && why.ends_with(": she has left"),
        "{why}"
    );

    let back = ask(
        routes,
        "/v1/keys/reinstate",
        Some(&json!({"person": "ada"})),
    )
    .await;
    assert_eq!(back["fingerprints"].as_array().unwrap().len(), 2);
    assert_eq!(revoked(store, now).await.unwrap(), []);
    let receipt = ask(routes, stand, None).await;
    assert_eq!(receipt["is_proven"], false);
    let missing = receipt["missing"][0].as_str().unwrap();
    assert!(missing.contains("It was reinstated at"), "{missing}");
    let none = ask(
        routes,
        "/v1/keys/reinstate",
        Some(&json!({"person": "ada"})),
    )
    .await;
    assert_eq!(none["error"], "no key of ada is revoked");
}
