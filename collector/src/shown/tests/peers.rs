//! What the page of a host says of its peers of WireGuard.

use watchward_protocol::peers::{Peer, PeerKey, Peers};

use super::*;

fn peer(number: u8) -> Peer {
    Peer {
        interface: "wg0".into(),
        key: PeerKey::from_bytes([number; 32]),
        allowed: vec!["10.9.0.2/32".parse().unwrap()],
        endpoint: "192.0.2.7:40000".parse().ok(),
        proved_at: None,
        received: 0,
        sent: 0,
        kept: None,
    }
}

#[tokio::test]
async fn the_page_of_a_host_has_its_own_peers_what_is_wrong_first() {
    for store in testing::stores(SCHEMAS).await {
        let now = clock::now();
        for (id, name) in [(1_u8, "vpn-1"), (2, "vpn-2"), (3, "web-1")] {
            let host = HostId::from_bytes([id; 16]);
            let add = "INSERT INTO host (id, name, enrolled_at, version, system, seen_at, deadline, \
                silent, certificate_expires) VALUES ($1, $2, 0, '', '', 0, 0, 0, 0)";
            let added = sqlx::query(add).bind(host.to_string()).bind(name);
            added.execute(store.read()).await.unwrap();
            let mut peers: Vec<_> = (1..=25).map(|it| peer(it * 4 + id)).collect();
            if let Some(last) = peers.last_mut() {
                last.kept = Some("the guard file says never".into());
            }
            let heard = Heard {
                host: Host {
                    id: host,
                    name: name.into(),
                },
                lane: Lane::Access,
                epoch: Epoch(1),
                seq: 1,
                kept_at: now,
                boot: [0; 16],
                report: Peers {
                    peers: if name == "web-1" { Vec::new() } else { peers },
                    ..Peers::default()
                },
            };
            let mut tx = store.begin().await.unwrap();
            let rules = keys::Policy::default();
            keys::hear_peers(&mut tx, &[heard], &rules, now)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let rules = Live::fixed(keys::Policy::default());
        let pages = hosts::pages(store.clone()).and(keys::peer_pages(store.clone(), rules));
        let browser = Browser::open(&store, pages).await;
        let page = browser.read("/hosts/vpn-1").await;
        let place = |number: u8| page.find(&PeerKey::from_bytes([number; 32]).to_string());
        assert!(
            page.contains("5 more: ") && page.contains("the guard file says never"),
            "{page}"
        );
        assert!(
            place(101).is_some() && place(101) < place(5),
            "what stands although revoked"
        );
        assert_eq!(place(6), None, "another host's");
        assert!(
            !browser
                .read("/hosts/web-1")
                .await
                .contains("Peers of WireGuard")
        );
    }
}
