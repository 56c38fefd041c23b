//! What follows from what hosts tell of peers, on both databases.

mod back;
mod made_up;
mod renewal;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tower::ServiceExt;
use watchward_daemon::config::Live;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::peers::{Peer, PeerKey};
use watchward_protocol::receipt::{Receipt, Stand};
use watchward_protocol::record::{Epoch, Lane};

use super::*;
use crate::alerting::testing::raised;
use crate::intake::Watched;
use crate::keys::SCHEMA;
use crate::keys::revocation::{Desk, order, routes as revoke_routes};
use crate::keys::rows::revoked;
use crate::store::Store;
use crate::store::testing::{self, Fresh};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn host() -> Host {
    Host {
        id: HostId::from_bytes([1; 16]),
        name: "vpn-1".into(),
    }
}

fn watched(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async {
        let one = Watched {
            host: host(),
            is_silent: false,
        };
        Ok(vec![one])
    })
}

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, alerting::SCHEMA]).await
}

fn key(number: u8) -> PeerKey {
    PeerKey::from_bytes([number; 32])
}

fn peer(number: u8, allowed: &str) -> Peer {
    Peer {
        interface: "wg0".into(),
        key: key(number),
        allowed: vec![allowed.parse().unwrap()],
        endpoint: "192.0.2.7:40000".parse().ok(),
        proved_at: Some(at(-60)),
        received: 7,
        sent: 8,
        kept: None,
    }
}

fn policy(text: &str) -> Policy {
    toml::from_str(text).unwrap()
}

fn adas() -> Policy {
    policy(&format!(
        "[[peers]]\nkey = \"{}\"\nperson = \"ada\"",
        key(1)
    ))
}

async fn hear(store: &Store, report: Peers, policy: &Policy, now: Timestamp) {
    let heard = Heard {
        host: host(),
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: now,
        boot: [9; 16],
        report,
    };
    let mut tx = store.begin().await.unwrap();
    absorb(&mut tx, &[heard], policy, now).await.unwrap();
    tx.commit().await.unwrap();
}

fn stand(peers: &[Peer], generation: Option<u64>) -> Peers {
    Peers {
        peers: peers.to_vec(),
        generation,
        ..Peers::default()
    }
}

async fn open(store: &Store) -> Vec<String> {
    let all = raised(store).await;
    all.into_iter().map(|it| it.title).collect()
}

#[tokio::test]
async fn a_peer_that_nobody_knows_is_news_until_somebody_says_that_it_is_right() {
    for store in stores().await {
        let none = Policy::default();
        hear(&store, stand(&[peer(1, "10.9.0.1/32")], None), &none, at(0)).await;
        assert_eq!(open(&store).await, [""; 0], "the first look is no news");
        let both = [peer(1, "10.9.0.1/32"), peer(2, "10.9.0.2/32")];
        hear(&store, stand(&both, None), &none, at(5)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
        hear(&store, stand(&both, None), &none, at(10)).await;
        assert_eq!(open(&store).await.len(), 1, "once");

        let mut tx = store.begin().await.unwrap();
        let right = Accept {
            key: key(2).to_string(),
            ..Accept::default()
        };
        assert_eq!(accept(&mut tx, &right, at(15)).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(open(&store).await, [""; 0]);

        let wider = [peer(1, "10.9.0.1/32"), peer(2, "10.0.0.0/8")];
        hear(&store, stand(&wider, None), &none, at(20)).await;
        let wide = "vpn-1: a peer of wg0 may have other addresses";
        assert_eq!(open(&store).await, [wide]);
        hear(&store, stand(&wider[..1], None), &none, at(25)).await;
        assert_eq!(open(&store).await, [""; 0], "it stands no more");
    }
}

#[tokio::test]
async fn a_peer_that_the_policy_names_is_none() {
    for store in stores().await {
        hear(&store, stand(&[], None), &adas(), at(0)).await;
        hear(
            &store,
            stand(&[peer(1, "10.9.0.1/32")], None),
            &adas(),
            at(5),
        )
        .await;
        assert_eq!(open(&store).await, [""; 0]);
        let unnamed = [peer(1, "10.9.0.1/32"), peer(3, "10.9.0.3/32")];
        hear(&store, stand(&unnamed, None), &adas(), at(10)).await;
        assert_eq!(open(&store).await.len(), 1);
        let blind = Peers {
            trouble: Some("wg is not there".into()),
            ..Peers::default()
        };
        hear(&store, blind, &adas(), at(15)).await;
        let all = rows::all(&store).await.unwrap();
        assert_eq!(all.len(), 2, "who cannot look changes nothing");
    }
}

async fn ask<T: serde::de::DeserializeOwned>(routes: &Router, path: &str, body: &Value) -> T {
    let asked = match body.is_null() {
        true => Request::builder().uri(path).body(Body::empty()),
        false => Request::builder()
            .uri(path)
            .method("POST")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string())),
    };
    let answer = routes.clone().oneshot(asked.unwrap()).await.unwrap();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    serde_json::from_slice(&bytes).unwrap_or_else(|why| panic!("{why}: {text}"))
}

/// What hosts are ordered.
async fn ordered(store: &Store) -> Instruments {
    let (generation, keys) = revoked::ordered(store).await.unwrap();
    order::instruments(generation, &keys, &[]).unwrap()
}

async fn receipt(routes: &Router) -> Receipt {
    let name = key(1).to_string().replace('=', "%3D");
    let path = format!("/v1/revoke/stand?fingerprint={name}");
    ask(routes, &path, &Value::Null).await
}

#[tokio::test]
async fn a_persons_peer_is_revoked_and_the_receipt_says_where_it_stood() {
    for store in stores().await {
        hear(
            &store,
            stand(&[peer(1, "10.9.0.1/32")], None),
            &adas(),
            at(0),
        )
        .await;
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let plan: Value = ask(&routes, "/v1/revoke/plan", &json!({"person": "ada"})).await;
        let place = &plan["keys"][0]["places"][0];
        assert_eq!(
            (&place["host"], &place["account"]),
            (&json!("vpn-1"), &json!("wg0"))
        );

        let wanted = json!({"what": {"person": "ada"}, "reason": "she has left"});
        let done: Value = ask(&routes, "/v1/revoke", &wanted).await;
        assert_eq!(done["revoked"], json!([key(1).to_string()]));
        let order = ordered(&store).await;
        assert_eq!((order.peers, order.revoked.len()), (vec![key(1)], 0));

        let early = receipt(&routes).await;
        assert_eq!(early.hosts[0].stand, Stand::Waiting);
        assert_eq!(
            (early.is_proven, early.missing.len()),
            (false, 1),
            "{early:#?}"
        );
        assert_eq!((&*early.key.person, early.key.is_peer()), ("ada", true));

        let taken = Taken {
            at: at(7),
            interface: "wg0".into(),
            key: key(1),
        };
        let gone = Peers {
            taken: vec![taken],
            ..stand(&[], Some(order.generation))
        };
        hear(&store, gone.clone(), &adas(), at(8)).await;
        let whole = receipt(&routes).await;
        assert!(whole.is_proven, "{whole:#?}");
        let tunnel = whole.hosts[0].tunnel.as_ref().unwrap();
        assert_eq!((tunnel.standing.len(), tunnel.taken.len()), (0, 1));
        assert_eq!(tunnel.taken[0].first_at, at(7).into());
        assert_eq!(whole.hosts[0].held_at, Some(at(8).into()));
        assert_eq!(open(&store).await, [""; 0]);

        hear(&store, gone, &adas(), at(60)).await;
        assert_eq!(
            open(&store).await,
            ["vpn-1: a revoked peer of wg0 was put back"]
        );
        let mut tx = store.begin().await.unwrap();
        assert_eq!(activate(&mut tx, at(60) + QUIET).await.unwrap(), 1);
        tx.commit().await.unwrap();
        assert_eq!(open(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_host_that_keeps_a_revoked_peer_says_why_and_people_are_told() {
    for store in stores().await {
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let what = json!({"peer": key(1).to_string()});
        let wanted = json!({"what": what, "reason": "lost"});
        let _done: Value = ask(&routes, "/v1/revoke", &wanted).await;
        let generation = Some(ordered(&store).await.generation);
        let stays = Peer {
            kept: Some("the host's guard file says never".into()),
            ..peer(1, "10.9.0.1/32")
        };
        hear(&store, stand(&[stays], generation), &adas(), at(5)).await;
        assert_eq!(open(&store).await, ["vpn-1: a revoked peer of wg0 stands"]);
        let said = receipt(&routes).await;
        assert_eq!(said.hosts[0].stand, Stand::Refused);
        assert_eq!(said.hosts[0].why, "the host's guard file says never");

        let back: Value = ask(&routes, "/v1/keys/reinstate", &what).await;
        assert_eq!(back["fingerprints"], json!([key(1).to_string()]));
        hear(
            &store,
            stand(&[peer(1, "10.9.0.1/32")], generation),
            &adas(),
            at(9),
        )
        .await;
        assert_eq!(open(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    for store in stores().await {
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let what = json!({"peer": "$(reboot)"});
        let said: Value = ask(&routes, "/v1/revoke/plan", &what).await;
        assert!(
            said.to_string().contains("no public key of WireGuard"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn who_stands_is_listed_with_whose_it_is() {
    for store in stores().await {
        let two = [peer(1, "10.9.0.1/32"), peer(2, "10.9.0.2/32")];
        hear(&store, stand(&two, None), &adas(), at(0)).await;
        let routes = routes(store.clone(), Live::fixed(adas()));
        let all: Value = ask(&routes, "/v1/keys/peers", &Value::Null).await;
        let names: Vec<_> = all["peers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["name"])
            .collect();
        assert_eq!(names, ["ada", ""]);
    }
}
