//! What a host that makes things up brings about, and what it does not.

use watchward_protocol::access::{AccessEvent, Action, Key, Outcome, Service, Trust, Tunnel, User};

use super::*;
use crate::keys::rows::prune;

fn taken(interface: String, number: u8) -> Taken {
    Taken {
        at: at(7),
        interface,
        key: key(number),
    }
}

async fn revoke(store: &Store) -> u64 {
    let routes = revoke_routes(Desk::of(store, watched, adas()).await);
    let wanted = json!({"what": {"person": "ada"}, "reason": "she has left"});
    let _done: Value = ask(&routes, "/v1/revoke", &wanted).await;
    ordered(store).await.generation
}

#[tokio::test]
async fn what_nobody_revoked_was_not_taken_away() {
    for store in stores().await {
        revoke(&store).await;
        let unknown = (2..=200).map(|number| taken("wg0".into(), number));
        let many = (0..200).map(|number| taken(format!("wg{number}"), 1));
        let report = Peers {
            taken: unknown.chain(many).collect(),
            ..Peers::default()
        };
        hear(&store, report.clone(), &adas(), at(8)).await;
        hear(&store, report, &adas(), at(9)).await;
        let away = rows::away(&store, &key(1).to_string()).await.unwrap();
        assert_eq!(away.len(), 16);
        assert_eq!(rows::away(&store, &key(2).to_string()).await.unwrap(), []);
        assert_eq!(
            open(&store).await.len(),
            16,
            "of those that were revoked alone"
        );
    }
}

#[tokio::test]
async fn what_was_taken_away_is_forgotten_after_the_key_is_taken_again() {
    for store in stores().await {
        revoke(&store).await;
        let report = Peers {
            taken: vec![taken("wg0".into(), 1)],
            ..Peers::default()
        };
        hear(&store, report, &adas(), at(8)).await;
        let forget = async || {
            let mut tx = store.begin().await.unwrap();
            prune(&mut tx, at(1000)).await.unwrap();
            tx.commit().await.unwrap();
            rows::away(&store, &key(1).to_string()).await.unwrap().len()
        };
        assert_eq!(forget().await, 1, "a receipt shows it");
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let what = json!({"peer": key(1).to_string()});
        let _back: Value = ask(&routes, "/v1/keys/reinstate", &what).await;
        assert_eq!(forget().await, 0);
    }
}

#[tokio::test]
async fn a_thousand_new_peers_are_one_incident_that_is_over_with_the_last() {
    for store in stores().await {
        let none = Policy::default();
        hear(&store, stand(&[], None), &none, at(0)).await;
        let many: Vec<_> = (1..=250).map(|it| peer(it, "10.9.0.1/32")).collect();
        hear(&store, stand(&many[..200], None), &none, at(5)).await;
        hear(&store, stand(&many, None), &none, at(10)).await;
        assert_eq!(
            open(&store).await,
            ["vpn-1: 250 peers of WireGuard are new, or may have other addresses"]
        );
        let last = stand(&[peer(7, "10.9.0.1/32")], None);
        hear(&store, last, &none, at(60)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
        let later = [peer(7, "10.9.0.1/32"), peer(8, "10.9.0.2/32")];
        hear(&store, stand(&later, None), &none, at(65)).await;
        assert_eq!(
            open(&store).await.len(),
            2,
            "nothing hides behind what is open"
        );
        hear(&store, stand(&[], None), &none, at(70)).await;
        assert_eq!(open(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn peers_that_stood_before_the_host_could_look_are_not_new() {
    for store in stores().await {
        let none = Policy::default();
        let blind = Peers {
            trouble: Some("nobody answers".into()),
            ..Peers::default()
        };
        hear(&store, blind.clone(), &none, at(0)).await;
        hear(&store, stand(&[peer(1, "10.9.0.1/32")], None), &none, at(5)).await;
        assert_eq!(open(&store).await, [""; 0]);
        hear(&store, blind, &none, at(10)).await;
        let both = [peer(1, "10.9.0.1/32"), peer(2, "10.9.0.2/32")];
        hear(&store, stand(&both, None), &none, at(15)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
    }
}

#[tokio::test]
async fn a_receipt_of_a_host_that_leaves_peers_out_is_open_until_it_has_taken_it_away() {
    for store in stores().await {
        let one = stand(&[peer(1, "10.9.0.1/32")], None);
        hear(&store, one, &adas(), at(0)).await;
        let generation = revoke(&store).await;
        hear(&store, stand(&[], None), &adas(), at(2)).await;
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let some = Peers {
            omitted: 5,
            ..stand(&[peer(2, "10.9.0.2/32")], Some(generation))
        };
        hear(&store, some.clone(), &adas(), at(5)).await;
        let host = receipt(&routes).await.hosts.remove(0);
        assert_eq!(host.stand, Stand::Refused);
        assert_eq!(
            host.why,
            "nobody knows, for the host has more peers than it tells of"
        );
        let gone = Peers {
            taken: vec![taken("wg0".into(), 1)],
            ..some
        };
        hear(&store, gone, &adas(), at(8)).await;
        assert_eq!(receipt(&routes).await.hosts[0].stand, Stand::Held);
    }
}

#[test]
fn a_peer_has_a_name_only_where_it_may_stand() {
    let event = AccessEvent {
        at: at(0),
        service: Service::WireGuard,
        action: Action::Authentication,
        outcome: Outcome::Success,
        attempt: true,
        form: "handshake".into(),
        user: Some(User {
            name: key(1).to_string().as_str().into(),
            known: true,
        }),
        target: None,
        peer: None,
        tunnel: Tunnel::default(),
        method: None,
        key: Some(Key {
            kind: PeerKey::KIND.into(),
            fingerprint: key(1).to_string(),
        }),
        certificate: None,
        command: None,
        pid: None,
        trust: Trust::Server,
        line: "".into(),
    };
    let heard = [Heard {
        host: host(),
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: at(0),
        boot: [9; 16],
        report: event,
    }];
    let name = |policy: &Policy| {
        let named = named(&heard, policy);
        named[0].report.user.as_ref().unwrap().name.to_string()
    };
    assert_eq!(name(&adas()), "ada");
    let elsewhere = format!(
        "[[peers]]\nkey = \"{}\"\nperson = \"ada\"\ngroups = [\"office\"]",
        key(1)
    );
    assert_eq!(name(&policy(&elsewhere)), key(1).to_string());
}
