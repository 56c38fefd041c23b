//! What hosts see of each other's gates, on both databases.

use watchward_protocol::restriction::{
    Holding, Phase, Probe, Probed, Reached, Restriction, Transport,
};

use axum::extract::State;

use super::*;
use crate::alerting::testing::raised;
use crate::restriction::vantage;
use crate::web::testing::Browser;
use crate::web::{Pages, Visitor};

const TARGET: &str = "192.0.2.1";
const STRANGER: &str = "203.0.113.9";

pub(super) async fn told(store: &Store, (host, name): (u8, &str), news: News, now: Timestamp) {
    let heard = Heard {
        host: Host {
            id: HostId::from_bytes([host; 16]),
            name: name.to_owned(),
        },
        lane: Lane::Access,
        epoch: Epoch(7),
        seq: 1,
        kept_at: now,
        boot: [9; 16],
        report: Restriction { at: now, news },
    };
    let mut tx = store.begin().await.unwrap();
    let rules = (&Policy::default(), &Config::default());
    crate::restriction::hear(&mut tx, &[heard], rules, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

pub(super) fn at_home(address: &str) -> News {
    News::Holding(Holding {
        enforcer: Some("1.0".to_owned()),
        phase: Phase::Held,
        addresses: vec![address.parse().unwrap()],
        ..Holding::default()
    })
}

fn saw(reached: Reached) -> News {
    News::Probed(Probed {
        probe: Probe {
            address: TARGET.parse().unwrap(),
            transport: Transport::Tcp,
            port: 22,
            ssh: true,
        },
        from: Some(STRANGER.parse().unwrap()),
        reached,
        banner: Some("SSH-2.0-OpenSSH_9.2".into()),
        took: std::time::Duration::from_millis(3),
    })
}

/// A host with a gate, and one from which it is shut.
async fn two(store: &Store) {
    told(store, (1, "web-1"), at_home(TARGET), at(0)).await;
    told(store, (2, "db-1"), at_home(STRANGER), at(0)).await;
}

async fn look(store: &Store, seconds: i64) -> crate::intake::Errands {
    let policy = read(GATED).unwrap();
    let rules = (&policy, &Config::default(), at(-3600));
    let (errands, _) = vantage::activate(store, rules, at(seconds)).await.unwrap();
    errands
}

async fn settle(store: &Store, seconds: i64) {
    let mut tx = store.begin().await.unwrap();
    let now = at(seconds);
    activate(&mut tx, &Config::default(), now).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn who_may_not_pass_tries_the_gate_of_the_other() {
    for store in stores().await {
        assert_eq!(look(&store, 0).await, crate::intake::Errands::default());
        two(&store).await;
        let (errands, none) = (look(&store, 1).await, crate::intake::Errands::default());
        let tries = |host| errands.of(HostId::from_bytes([host; 16]));
        assert_eq!(tries(2).probes.len(), 1);
        assert_eq!(tries(1), none.of(HostId::from_bytes([1; 16])));
    }
}

#[tokio::test]
async fn a_gate_that_leaks_is_told_once_with_who_saw_it_and_ends_when_it_is_shut() {
    for store in stores().await {
        two(&store).await;
        told(&store, (2, "db-1"), saw(Reached::Silent), at(5)).await;
        look(&store, 10).await;
        assert!(raised(&store).await.is_empty());
        told(&store, (2, "db-1"), saw(Reached::Open), at(20)).await;
        for seconds in [21, 26, 31] {
            look(&store, seconds).await;
            settle(&store, seconds).await;
        }
        let alerts = raised(&store).await;
        let [alert] = &alerts[..] else {
            panic!("{alerts:?}")
        };
        assert_eq!(
            alert.title,
            "web-1: ssh is open to db-1 (203.0.113.9), and should be shut"
        );
        assert!(alert.detail.contains("port 22 of 192.0.2.1"), "{alert:?}");
        assert!(
            alert.detail.contains("Permitted there: home, office"),
            "{alert:?}"
        );
        told(&store, (2, "db-1"), saw(Reached::Silent), at(40)).await;
        look(&store, 41).await;
        settle(&store, 90).await;
        assert!(raised(&store).await.is_empty());
    }
}

#[tokio::test]
async fn a_new_policy_is_given_time() {
    for store in stores().await {
        two(&store).await;
        told(&store, (2, "db-1"), saw(Reached::Open), at(5)).await;
        let policy = read(GATED).unwrap();
        let rules = (&policy, &Config::default(), at(0));
        vantage::activate(&store, rules, at(639)).await.unwrap();
        assert!(raised(&store).await.is_empty());
        vantage::activate(&store, rules, at(640)).await.unwrap();
        assert_eq!(raised(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn what_nobody_asked_for_and_whose_address_two_hosts_have_says_nothing() {
    for store in stores().await {
        two(&store).await;
        told(&store, (3, "web-3"), at_home("198.51.100.99"), at(0)).await;
        // Of another address than it has, and then of one that another host has as well.
        told(&store, (3, "web-3"), saw(Reached::Open), at(5)).await;
        look(&store, 10).await;
        assert!(raised(&store).await.is_empty());
        told(&store, (4, "docker"), at_home(TARGET), at(20)).await;
        told(&store, (2, "db-1"), saw(Reached::Open), at(21)).await;
        let tried = look(&store, 25).await.of(HostId::from_bytes([2; 16]));
        let target: IpAddr = TARGET.parse().unwrap();
        assert!(tried.probes.iter().all(|probe| probe.address != target));
        assert!(raised(&store).await.is_empty());
    }
}

#[tokio::test]
async fn the_page_of_a_host_shows_what_others_see_of_its_gates() {
    let policy = read(GATED).unwrap();
    let schemas = [SCHEMA, BANS, HELD, alerting::SCHEMA, crate::people::SCHEMA];
    for store in testing::stores(&schemas).await {
        let now = watchward_daemon::clock::now();
        told(&store, (1, "web-1"), at_home(TARGET), now).await;
        told(&store, (2, "db-1"), at_home(STRANGER), now).await;
        let own = (Store::clone(&store), policy.clone());
        let shows = async |State((store, policy)): State<(Store, Policy)>, visitor: Visitor| {
            let html = vantage::part(&store, &policy, (&visitor, "web-1")).await;
            html.unwrap().to_string()
        };
        let pages = Pages::new()
            .get("/part", crate::people::Needs::See, shows)
            .with_state(own);
        let browser = Browser::open(&store, pages).await;
        assert_eq!(browser.read("/part").await, "");
        for (reached, expected) in [
            (Reached::Silent, ">shut<"),
            (Reached::Open, ">open, and should be shut<"),
        ] {
            told(&store, (2, "db-1"), saw(reached), now).await;
            let page = browser.read("/part").await;
            for expected in [expected, "db-1", STRANGER, "tcp/22", "SSH-2.0-OpenSSH_9.2"] {
                assert!(page.contains(expected), "{expected}: {page}");
            }
        }
    }
}
