//! Keys of peers that grow old.

use super::*;
use crate::alerting::Severity;

const DAY: i64 = 86_400;

const SCHEDULE: &str = "every = \"90d\"\nwarn_ahead = \"10d\"\ndeadline = \"5d\"\n";

/// Of all peers; hers has a name.
fn schedule(more: &str) -> Policy {
    let hers = format!("[[peers]]\nkey = \"{}\"\nperson = \"ada\"\n", key(1));
    policy(&format!("{hers}[[peers]]\n{SCHEDULE}{more}"))
}

fn another(number: u8) -> Host {
    Host {
        id: HostId::from_bytes([number; 16]),
        name: format!("vpn-{number}"),
    }
}

async fn tell(store: &Store, host: Host, peers: &[Peer], day: i64) {
    let heard = Heard {
        host,
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: at(day * DAY),
        boot: [9; 16],
        report: stand(peers, None),
    };
    let mut tx = store.begin().await.unwrap();
    let rules = schedule("");
    absorb(&mut tx, &[heard], &rules, at(day * DAY))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn look(store: &Store, policy: &Policy, day: i64) {
    renew(store, policy, at(day * DAY)).await.unwrap();
}

/// What is open, with how much it matters.
async fn told(store: &Store) -> Vec<(Severity, String)> {
    let all = raised(store).await;
    let about = |it: &alerting::Alert| {
        it.key.starts_with("keys.peer-due") || it.key.starts_with("keys.peer-missed")
    };
    let all = all.into_iter().filter(about);
    all.map(|it| (it.severity, it.title)).collect()
}

fn one(severity: Severity, title: &str) -> Vec<(Severity, String)> {
    vec![(severity, title.to_owned())]
}

async fn revoked_now(store: &Store) -> Vec<String> {
    let all = revoked::revoked(store).await.unwrap();
    all.into_iter().map(|one| one.fingerprint).collect()
}

#[tokio::test]
async fn a_key_is_told_of_ahead_then_when_it_is_too_old_then_paged() {
    let policy = schedule("");
    for store in stores().await {
        tell(&store, host(), &[peer(1, "10.9.0.1/32")], 0).await;
        look(&store, &policy, 79).await;
        assert_eq!(told(&store).await, []);
        look(&store, &policy, 81).await;
        let soon = "vpn-1: peer ada of wg0 needs a new key by 2027-04-15";
        assert_eq!(told(&store).await, one(Severity::Info, soon));
        look(&store, &policy, 90).await;
        let late = "vpn-1: peer ada of wg0 needs a new key since 2027-04-15";
        assert_eq!(told(&store).await, one(Severity::Warning, late));
        look(&store, &policy, 96).await;
        let missed = "vpn-1: peer ada of wg0 was to have a new key by 2027-04-20";
        assert_eq!(told(&store).await, one(Severity::Critical, missed));
        // Its interface is down there for an hour.
        tell(&store, another(2), &[], 97).await;
        look(&store, &policy, 97).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        assert_eq!(revoked_now(&store).await, [""; 0]);
        for alert in raised(&store).await {
            assert!(alerting::testing::is_of_a_known_kind(&alert.key));
        }
        // Another key for the same addresses; the old one carries nothing any more.
        let mut bare = peer(1, "10.9.0.1/32");
        bare.allowed.clear();
        tell(&store, host(), &[bare, peer(2, "10.9.0.1/32")], 97).await;
        look(&store, &policy, 97).await;
        assert_eq!(told(&store).await, []);
        look(&store, &policy, 97 + 79).await;
        assert_eq!(told(&store).await, [], "it starts anew");
    }
}

#[tokio::test]
async fn a_key_that_was_set_up_anew_is_no_younger() {
    let policy = schedule("");
    for store in stores().await {
        tell(
            &store,
            host(),
            &[peer(1, "10.9.0.1/32"), peer(2, "10.9.0.2/32")],
            0,
        )
        .await;
        tell(&store, host(), &[peer(2, "10.9.0.2/32")], 40).await;
        let other = Peer {
            interface: "wg1".into(),
            ..peer(1, "10.9.0.1/32")
        };
        tell(&store, host(), &[other], 50).await;
        look(&store, &policy, 85).await;
        let soon = "vpn-1: peer ada of wg1 needs a new key by 2027-04-15";
        assert_eq!(told(&store).await, one(Severity::Info, soon));
    }
}

#[tokio::test]
async fn what_the_policy_revokes_is_revoked_everywhere_with_a_receipt() {
    let policy = schedule("missed = \"revoke\"\n");
    for store in stores().await {
        tell(&store, host(), &[peer(1, "10.9.0.1/32")], 0).await;
        look(&store, &policy, 90).await;
        look(&store, &policy, 94).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        look(&store, &policy, 95).await;
        assert_eq!(revoked_now(&store).await, [key(1).to_string()]);
        assert_eq!(told(&store).await, []);
        assert_eq!(ordered(&store).await.peers, [key(1)]);
        let found = revoked::find(&store, revoked::Which::Last(&key(1).to_string()))
            .await
            .unwrap()
            .unwrap()
            .1;
        assert_eq!(
            (&*found.author, &*found.person, &*found.kind),
            ("policy", "ada", "wireguard")
        );

        // Whoever takes it back has until the deadline once more.
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        look(&store, &policy, 96).await;
        let what = json!({"peer": key(1).to_string()});
        let _back: Value = ask(&routes, "/v1/keys/reinstate", &what).await;
        look(&store, &policy, 97).await;
        look(&store, &policy, 101).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        look(&store, &policy, 102).await;
        assert_eq!(revoked_now(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn a_policy_of_today_revokes_nothing_today() {
    let policy = schedule("missed = \"revoke\"\n");
    for store in stores().await {
        tell(&store, host(), &[peer(1, "10.9.0.1/32")], 0).await;
        look(&store, &policy, 400).await;
        look(&store, &policy, 404).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        assert_eq!(told(&store).await.len(), 1);
        look(&store, &policy, 405).await;
        assert_eq!(revoked_now(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn a_peer_that_another_host_may_keep_for_longer_is_paged_and_stays() {
    let policy = schedule("missed = \"revoke\"\n");
    for store in stores().await {
        tell(&store, host(), &[peer(1, "10.9.0.1/32")], 0).await;
        tell(&store, another(2), &[peer(1, "10.9.0.1/32")], 60).await;
        look(&store, &policy, 90).await;
        look(&store, &policy, 96).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        let missed = "vpn-1: peer ada of wg0 was to have a new key by 2027-04-20";
        assert_eq!(told(&store).await, one(Severity::Critical, missed));
        // Its interface is down there for an hour.
        tell(&store, another(2), &[], 97).await;
        look(&store, &policy, 97).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn many_that_are_due_at_once_are_one_incident() {
    let policy = schedule("");
    for store in stores().await {
        let many: Vec<_> = (1..=200).map(|it| peer(it, "10.9.0.1/32")).collect();
        tell(&store, host(), &many, 0).await;
        look(&store, &policy, 85).await;
        let soon = "vpn-1: 200 peers of WireGuard need new keys by 2027-04-15";
        assert_eq!(told(&store).await, one(Severity::Info, soon));
        look(&store, &Policy::default(), 86).await;
        assert_eq!(
            told(&store).await,
            [],
            "the policy does not speak of them any more"
        );
    }
}

#[tokio::test]
async fn the_calendar_the_list_and_the_plan_say_it() {
    let policy = schedule("interfaces = [\"wg0\"]\nmissed = \"revoke\"\n");
    for store in stores().await {
        let elsewhere = Peer {
            interface: "wg1".into(),
            ..peer(2, "10.9.1.1/32")
        };
        tell(&store, host(), &[peer(1, "10.9.0.1/32"), elsewhere], 0).await;
        let now = at(10 * DAY);
        let day = |it: i64| at(it * DAY);
        let all = entries(&store, &policy, (day(100), now)).await.unwrap();
        let [entry] = &all[..] else { panic!("{all:?}") };
        assert_eq!(
            (&*entry.what, &*entry.whose, entry.missed),
            ("peer ada of wg0", "vpn-1", "revoke")
        );
        assert_eq!(
            (entry.due_at, entry.warn_at, entry.deadline_at),
            (day(90), Some(day(80)), Some(day(95)))
        );
        assert!(!entry.is_late && !entry.by_itself);
        assert_eq!(entries(&store, &policy, (day(50), now)).await.unwrap(), []);
        let aged = outlook(&store, (&Policy::default(), &policy), day(91))
            .await
            .unwrap();
        assert_eq!(aged, ["peer ada of wg0 on vpn-1"]);
        assert_eq!(
            outlook(&store, (&policy, &policy), day(91)).await.unwrap(),
            [""; 0]
        );
        let listed = api::all(&store, &policy, day(91)).await.unwrap().peers;
        let states: Vec<_> = listed.iter().map(|it| (it.state, it.due_at)).collect();
        assert_eq!(states, [("overdue", Some(day(90))), ("unused", None)]);
    }
}

/// So many peers that nobody knows.
fn made_up(count: u16) -> Vec<Peer> {
    let one = |number: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        bytes[31] = 1;
        Peer {
            key: PeerKey::from_bytes(bytes),
            ..peer(1, "10.9.0.1/32")
        }
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn of_one_host_the_policy_revokes_so_many_and_no_other_hosts_wait_for_that() {
    let policy = schedule("missed = \"revoke\"\n");
    for store in stores().await {
        tell(&store, host(), &made_up(600), 0).await;
        tell(&store, another(2), &[peer(7, "10.9.0.7/32")], 0).await;
        look(&store, &policy, 90).await;
        look(&store, &policy, 95).await;
        let gone = revoked_now(&store).await;
        assert_eq!(gone.len(), 501);
        assert!(gone.contains(&key(7).to_string()));
        let missed = "vpn-1: 100 peers of WireGuard were to have new keys by 2027-04-20";
        assert_eq!(told(&store).await, one(Severity::Critical, missed));
        let why = "The policy has revoked 500 of this host by itself";
        assert!(
            raised(&store)
                .await
                .iter()
                .any(|it| it.detail.starts_with(why))
        );
        look(&store, &policy, 96).await;
        assert_eq!(revoked_now(&store).await.len(), 501);

        // What somebody says is right makes room for another, and so does what is revoked by hand.
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let mut gone = gone.into_iter().filter(|it| *it != key(7).to_string());
        let what = json!({"peer": gone.next().unwrap()});
        let _back: Value = ask(&routes, "/v1/keys/reinstate", &what).await;
        let again = json!({"what": {"peer": gone.next().unwrap()}, "reason": "nobody's"});
        let _done: Value = ask(&routes, "/v1/revoke", &again).await;
        look(&store, &policy, 97).await;
        assert_eq!(revoked_now(&store).await.len(), 502);
    }
}

#[tokio::test]
async fn what_people_revoke_has_room_before_what_the_policy_does() {
    let policy = schedule("missed = \"revoke\"\n");
    for store in stores().await {
        let routes = revoke_routes(Desk::of(&store, watched, adas()).await);
        let wanted = json!({"what": {"person": "ada"}, "reason": "she has left"});
        let _done: Value = ask(&routes, "/v1/revoke", &wanted).await;
        tell(
            &store,
            host(),
            &[peer(8, "10.9.0.8/32"), peer(9, "10.9.0.9/32")],
            0,
        )
        .await;
        look(&store, &policy, 90).await;
        look(&store, &policy, 95).await;
        let wanted = json!({"what": {"peer": key(9).to_string()}, "reason": "it is a thief's"});
        let _done: Value = ask(&routes, "/v1/revoke", &wanted).await;
        let order = ordered(&store).await.peers;
        assert_eq!(
            order.last(),
            Some(&key(8)),
            "the policy's own is the first to go: {order:?}"
        );
        assert_eq!(order.len(), 3);
    }
}
