//! Peers that left and are back: what was known before is known after.

use super::*;

const DAY: i64 = 86_400;

fn known(count: u8) -> Vec<Peer> {
    (1..=count).map(|it| peer(it, "10.9.0.1/32")).collect()
}

async fn first(store: &Store, number: u8) -> Timestamp {
    let all = rows::all(store).await.unwrap();
    let one = all.iter().find(|it| it.peer == key(number).to_string());
    one.unwrap().first_at
}

#[tokio::test]
async fn an_interface_that_comes_later_than_the_agent_brings_nobody_new() {
    for store in stores().await {
        let none = Policy::default();
        hear(&store, stand(&known(2), None), &none, at(0)).await;
        // The host starts: first there is no interface, then it has one of its peers, then all.
        for (count, moment) in [(0, 5 * DAY), (1, 8 * DAY), (2, 8 * DAY + 5)] {
            hear(&store, stand(&known(count), None), &none, at(moment)).await;
            assert_eq!(open(&store).await, [""; 0], "{count}");
            let standing = rows::all(&store).await.unwrap().len();
            assert_eq!(standing, usize::from(count));
        }
        assert_eq!(first(&store, 2).await, at(0), "it is as old as it was");
        hear(&store, stand(&known(3), None), &none, at(8 * DAY + 9)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
    }
}

#[tokio::test]
async fn what_was_new_before_its_interface_left_is_new_after() {
    for store in stores().await {
        let none = Policy::default();
        hear(&store, stand(&known(1), None), &none, at(0)).await;
        hear(&store, stand(&known(2), None), &none, at(5)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
        hear(&store, stand(&[], None), &none, at(60)).await;
        assert_eq!(open(&store).await, [""; 0]);
        hear(&store, stand(&known(2), None), &none, at(90)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
    }
}

#[tokio::test]
async fn a_peer_that_somebody_took_away_is_news_when_it_is_back_and_no_younger() {
    for store in stores().await {
        let none = Policy::default();
        let (one, two) = (known(1), known(2));
        hear(&store, stand(&two, None), &none, at(0)).await;
        hear(&store, stand(&one, None), &none, at(60)).await;
        hear(&store, stand(&two, None), &none, at(120)).await;
        assert_eq!(open(&store).await, [""; 0], "it was only set up anew");
        hear(&store, stand(&one, None), &none, at(180)).await;
        hear(&store, stand(&two, None), &none, at(DAY)).await;
        assert_eq!(open(&store).await, ["vpn-1: new peer of wg0"]);
        assert_eq!(first(&store, 2).await, at(0));
    }
}

#[tokio::test]
async fn an_interface_that_was_away_for_long_is_looked_at_anew() {
    for store in stores().await {
        let none = Policy::default();
        hear(&store, stand(&known(2), None), &none, at(0)).await;
        hear(&store, stand(&[], None), &none, at(DAY)).await;
        hear(&store, stand(&known(2), None), &none, at(32 * DAY)).await;
        assert_eq!(open(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn a_host_that_makes_peers_up_is_not_remembered_without_end() {
    for store in stores().await {
        let none = Policy::default();
        let made_up = |round: u8| {
            let one = |it: u16| Peer {
                key: PeerKey::from_bytes(
                    [round, it.to_le_bytes()[0], it.to_le_bytes()[1]].repeat(11)[..32]
                        .try_into()
                        .unwrap(),
                ),
                ..peer(1, "10.9.0.1/32")
            };
            (0..600).map(one).collect::<Vec<_>>()
        };
        for round in 0..4 {
            let report = stand(&made_up(round), None);
            hear(&store, report, &none, at(i64::from(round) * DAY)).await;
        }
        let sql = "SELECT COUNT(*) FROM keys_peer WHERE gone_at IS NOT NULL";
        let left: i64 = sqlx::query_scalar(sql)
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_eq!(left, 1_000);
    }
}

#[tokio::test]
async fn revoked_peers_that_stand_are_one_incident_of_their_host() {
    for store in stores().await {
        let kept = |peer: &Peer| Peer {
            kept: Some("the host's guard file says never".into()),
            ..peer.clone()
        };
        let many: Vec<_> = known(30).iter().map(kept).collect();
        hear(&store, stand(&many, None), &Policy::default(), at(0)).await;
        let all = raised(&store).await;
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!(one.title, "vpn-1: 30 revoked peers of WireGuard stand");
        assert!(one.detail.contains(&key(1).to_string()), "{}", one.detail);
        assert!(
            one.detail.ends_with("10 more: `watchward keys peers`"),
            "{}",
            one.detail
        );
        hear(&store, stand(&many[..1], None), &Policy::default(), at(5)).await;
        assert_eq!(open(&store).await, ["vpn-1: a revoked peer of wg0 stands"]);
        hear(&store, stand(&[], None), &Policy::default(), at(9)).await;
        assert_eq!(open(&store).await, [""; 0]);
    }
}
