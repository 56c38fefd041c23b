//! The page of networks, as somebody sees it who has signed in.

use watchward_daemon::clock;
use watchward_protocol::restriction::{GateHeld, Holding, Mode, Phase};

use super::*;
use crate::people;
use crate::web::testing::Browser;

async fn open(store: &Store, policy: Policy) -> Browser {
    Browser::open(store, pages(store.clone(), Live::fixed(policy), hosts)).await
}

#[tokio::test]
async fn the_page_shows_networks_rules_and_who_came_from_outside() {
    let policy = read(OFFICE).unwrap();
    for store in testing::stores(&[SCHEMA, HELD, alerting::SCHEMA, people::SCHEMA]).await {
        let now = clock::now();
        let mut stranger = login(1, 0, "203.0.113.7");
        stranger.report.at = now;
        stranger.kept_at = now;
        stranger.report.user = Some(User {
            name: "<b>root".into(),
            known: true,
        });
        hear(&store, &[stranger], &policy, now).await;

        let browser = open(&store, policy.clone()).await;
        let page = browser.read("/networks").await;
        for expected in ["office", "192.0.2.0/24", "vpn", "203.0.113.7", "90 days: 1"] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("<b>root"), "{page}");
        assert!(page.contains("&#60;b&#62;root"), "{page}");
        let overview = browser.read("/").await;
        assert!(overview.contains("account used from outside"), "{overview}");
    }
}

#[tokio::test]
async fn without_a_policy_the_page_says_so() {
    for store in testing::stores(&[SCHEMA, HELD, alerting::SCHEMA, people::SCHEMA]).await {
        let browser = open(&store, Policy::default()).await;
        let page = browser.read("/networks").await;
        assert!(page.contains("Nobody has logged in from outside"), "{page}");
        assert!(page.contains("open to everywhere"), "{page}");
    }
}

#[tokio::test]
async fn the_page_shows_the_gates_of_each_host_with_their_exceptions() {
    let policy = read(GATED).unwrap();
    for store in testing::stores(&[SCHEMA, HELD, alerting::SCHEMA, people::SCHEMA]).await {
        let browser = open(&store, policy.clone()).await;
        let page = browser.read("/networks").await;
        let (_, gates) = page.split_once("id=\"gates\"").unwrap();
        for expected in [
            "web-1",
            "tcp/22",
            ">ordered shut: nothing heard<",
            "office",
            "home until 2999-12-31: &#60;i&#62;the move",
        ] {
            assert!(gates.contains(expected), "{expected}: {gates}");
        }
        assert!(!gates.contains("db-1"), "no rule is about it: {gates}");
        for (phase, expected) in [
            (Phase::Held, ">shut<"),
            (Phase::Refused, ">ordered shut: refused<"),
        ] {
            seen::told(&store, (1, "web-1"), holds(phase), at(0)).await;
            let page = browser.read("/networks").await;
            assert!(page.contains(expected), "{expected}: {page}");
        }
    }
}

fn holds(phase: Phase) -> News {
    News::Holding(Holding {
        enforcer: Some("1.0".to_owned()),
        phase,
        gates: vec![GateHeld {
            name: "ssh".to_owned(),
            mode: Mode::Enforce,
            turned_away: 0,
            from: Vec::new(),
        }],
        ..Holding::default()
    })
}
