//! Bans on both databases: decided by hosts and people, joined, spread, lifted, pinned, forgotten.

use std::collections::BTreeSet;

use ipnet::IpNet;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::restriction::{Banned, News, Restriction};

use super::api::{Asked, shown};
use super::wish::{Lifting, NewBan};
use super::*;
use crate::alerting;
use crate::intake::{Buckets, Heard, Host};
use crate::people as accounts;
use crate::policy::networks::Networks;
use crate::restriction::{BANS, HELD, Policy, SCHEMA, Table, hear};
use crate::store::testing::{self, Fresh};
use crate::web::testing::{Browser, text};

mod page;
mod trust;

async fn stores() -> Vec<Fresh> {
    let all = [SCHEMA, BANS, HELD, alerting::SCHEMA, accounts::SCHEMA];
    testing::stores(&all).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn policy() -> Policy {
    let text = "office = [\"192.0.2.0/24\"]";
    let mut networks: Networks = toml::from_str(text).unwrap();
    networks.join().unwrap();
    Policy::of(networks, Table::default())
}

/// What a host told: that it shut this one out, for five minutes.
fn banned(host: u8, seconds: i64, whom: &str) -> Heard<Restriction> {
    Heard {
        host: Host {
            id: HostId::from_bytes([host; 16]),
            name: format!("web-{host}"),
        },
        lane: Lane::Access,
        epoch: Epoch(7),
        seq: 1,
        kept_at: at(seconds),
        boot: [9; 16],
        report: Restriction {
            at: at(seconds),
            news: News::Banned(Banned {
                net: net(whom),
                until: at(seconds + 300),
                tries: 12,
                accounts: 3,
                within: Duration::from_secs(40),
                times: 1,
                lines: vec!["Failed password for root".into()],
            }),
        },
    }
}

async fn tell(store: &Store, heard: &[Heard<Restriction>], now: Timestamp) -> bool {
    let mut tx = store.begin().await.unwrap();
    let rules = (&policy(), &Config::default());
    let changed = hear(&mut tx, heard, rules, now).await.unwrap();
    tx.commit().await.unwrap();
    changed
}

/// Whom every host is ordered to shut out, and until when, in seconds.
fn ordered(buckets: &Buckets) -> Vec<(String, i64)> {
    let all = buckets.all().iter().flat_map(|bucket| &bucket.bans);
    let seconds = |until: Timestamp| until.since(at(0)).as_secs().cast_signed();
    let mut all: Vec<_> = all
        .map(|ban| (ban.net.to_string(), seconds(ban.until)))
        .collect();
    all.sort();
    all
}

fn lifted(buckets: &Buckets) -> BTreeSet<String> {
    let all = buckets.all().iter().flat_map(|bucket| &bucket.lifted);
    all.map(|lift| lift.net.to_string()).collect()
}

/// What a collector that starts then orders.
async fn orders(store: &Store, now: Timestamp) -> Buckets {
    let (_, bans) = Spread::open(store, now).await.unwrap();
    (*bans.now()).clone()
}

async fn list(store: &Store, now: Timestamp) -> Vec<Shown> {
    let asked = Asked {
        ended: Some(true),
        ..Asked::default()
    };
    shown(store, asked, now).await.unwrap()
}

fn wish(whom: &str, until: Timestamp) -> NewBan {
    NewBan {
        net: net(whom),
        until,
        reason: "scans us".to_owned(),
        even_so: false,
        from: None,
    }
}

fn lifting(net: IpNet) -> Lifting {
    Lifting {
        net,
        reason: "it was us".to_owned(),
        even_so: false,
    }
}

async fn decide(store: &Store, new: NewBan, now: Timestamp) -> Result<IpNet, String> {
    let policy = policy();
    let done = people::add(store, new, ("ada", &policy.networks), now).await;
    done.unwrap().map_err(|unfit| unfit.to_string())
}

#[tokio::test]
async fn what_one_host_decides_holds_everywhere_and_another_joins() {
    for store in stores().await {
        let (spread, bans) = Spread::open(&store, at(0)).await.unwrap();
        assert!(tell(&store, &[banned(1, 0, "203.0.113.7/32")], at(0)).await);
        assert_eq!(spread.look(&store, at(0)).await.unwrap(), 1);
        assert_eq!(ordered(&bans.now()), [("203.0.113.7/32".to_owned(), 3600)]);
        assert_eq!(
            spread.look(&store, at(1)).await.unwrap(),
            0,
            "nothing more to say"
        );

        assert!(tell(&store, &[banned(2, 60, "203.0.113.7/32")], at(60)).await);
        assert_eq!(spread.look(&store, at(60)).await.unwrap(), 1);
        assert_eq!(ordered(&bans.now()), [("203.0.113.7/32".to_owned(), 3660)]);
        let all = list(&store, at(60)).await;
        let [ban] = &all[..] else { panic!("{all:?}") };
        assert_eq!(ban.hosts, ["web-1", "web-2"]);
        assert_eq!(
            (ban.host.as_deref(), ban.repeats, ban.times),
            (Some("web-1"), 1, 1)
        );
        assert_eq!(ban.reason, "12 tries with 3 accounts in 40s");
        assert_eq!(ban.evidence, ["Failed password for root"]);
        let of = async |host: &str| {
            let host = Some(host.to_owned());
            let asked = Asked {
                host,
                ..Asked::default()
            };
            shown(&store, asked, at(60)).await.unwrap().len()
        };
        assert_eq!((of("web-2").await, of("web-3").await), (1, 0));
    }
}

#[tokio::test]
async fn who_comes_again_is_shut_out_longer_unless_the_ban_before_was_lifted() {
    for store in stores().await {
        let whom = "203.0.113.7/32";
        tell(&store, &[banned(1, 0, whom)], at(0)).await;
        tell(&store, &[banned(2, 4000, whom)], at(4000)).await;
        assert_eq!(
            ordered(&orders(&store, at(4000)).await),
            [(whom.to_owned(), 4000 + 4 * 3600)]
        );
        let ended = people::lift(&store, lifting(net(whom)), "ada", at(5000))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended, [net(whom)]);
        let now = orders(&store, at(5000)).await;
        assert_eq!(
            (ordered(&now), lifted(&now)),
            (vec![], [whom.to_owned()].into())
        );

        assert!(
            !tell(&store, &[banned(3, 4500, whom)], at(5001)).await,
            "decided before"
        );
        assert!(tell(&store, &[banned(3, 6000, whom)], at(6000)).await);
        let now = orders(&store, at(6000)).await;
        assert_eq!(ordered(&now), [(whom.to_owned(), 6000 + 4 * 3600)]);
        assert!(lifted(&now).is_empty(), "another one holds");
        let states: Vec<_> = list(&store, at(6000)).await;
        let states: Vec<_> = states.iter().map(|ban| (ban.times, ban.holds)).collect();
        assert_eq!(states, [(2, true), (2, false), (1, false)]);
    }
}

#[tokio::test]
async fn of_a_customer_with_several_networks_all_are_shut_out() {
    for store in stores().await {
        let one = |host, number| banned(host, 0, &format!("2001:db9:1:20{number}::/64"));
        tell(&store, &[one(1, 1), one(1, 2)], at(0)).await;
        assert_eq!(ordered(&orders(&store, at(0)).await).len(), 2);
        tell(&store, &[one(2, 3)], at(1)).await;
        let now = ordered(&orders(&store, at(1)).await);
        let nets: Vec<_> = now.iter().map(|(net, _)| net.as_str()).collect();
        let single = [
            "2001:db9:1:201::/64",
            "2001:db9:1:202::/64",
            "2001:db9:1:203::/64",
        ];
        assert_eq!(
            nets,
            ["2001:db9:1:200::/56", single[0], single[1], single[2]]
        );
        let from = net("2001:db9:1:202::1/128");
        let ended = people::lift(&store, lifting(from), "ada", at(2))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended.len(), 2, "whatever shuts that one out: {ended:?}");
    }
}

#[tokio::test]
async fn people_shut_out_and_pin_and_a_pin_outlasts_what_hosts_decide() {
    for store in stores().await {
        let whom = "198.51.100.0/24";
        assert_eq!(
            decide(&store, wish(whom, at(86_400)), at(0)).await,
            Ok(net(whom))
        );
        let again = decide(&store, wish(whom, at(86_400)), at(1))
            .await
            .unwrap_err();
        assert!(again.contains("shut out already, until"), "{again}");

        tell(&store, &[banned(1, 0, "203.0.113.7/32")], at(0)).await;
        let other = net("203.0.113.7/32");
        let pinned = people::pin(&store, other, ("ada", at(600)), at(1))
            .await
            .unwrap();
        assert_eq!(pinned, Ok(other));
        tell(&store, &[banned(2, 60, "203.0.113.7/32")], at(60)).await;
        let now = ordered(&orders(&store, at(60)).await);
        assert_eq!(
            now,
            [
                (whom.to_owned(), 86_400),
                ("203.0.113.7/32".to_owned(), 600)
            ]
        );
        let nobody = people::pin(&store, net("203.0.113.8/32"), ("ada", at(600)), at(1)).await;
        assert!(nobody.unwrap().is_err());
    }
}

#[tokio::test]
async fn what_is_over_is_kept_for_a_while_and_ordered_no_more() {
    for store in stores().await {
        tell(&store, &[banned(1, 0, "203.0.113.7/32")], at(0)).await;
        let pass = async |now| {
            let mut tx = store.begin().await.unwrap();
            activate(&mut tx, &Config::default(), now).await.unwrap();
            tx.commit().await.unwrap();
            list(&store, now).await.len()
        };
        assert!(ordered(&orders(&store, at(3601)).await).is_empty());
        assert_eq!(pass(at(3601)).await, 1);
        assert_eq!(pass(at(401 * 86_400)).await, 0);
        let late = banned(1, 0, "203.0.113.9/32");
        assert!(
            !tell(&store, &[late], at(7200)).await,
            "over before it was heard"
        );
        assert_eq!(list(&store, at(7200)).await.len(), 1, "and yet it is known");
    }
}

#[tokio::test]
async fn of_two_collectors_on_one_database_each_hears_of_the_others_bans() {
    for store in stores().await {
        let (spread, bans) = Spread::open(&store, at(0)).await.unwrap();
        let other = store.reopen().await;
        let mine: Vec<_> = (0..200).map(|it| format!("203.0.113.{it}/32")).collect();
        let heard: Vec<_> = mine.iter().map(|whom| banned(1, 0, whom)).collect();
        tell(&other, &heard, at(0)).await;
        tell(&store, &[banned(2, 0, "203.0.113.7/32")], at(0)).await;
        spread.look(&store, at(0)).await.unwrap();
        assert_eq!(ordered(&bans.now()).len(), 200);
    }
}

#[tokio::test]
async fn very_many_are_let_in_again_only_when_that_is_meant() {
    for store in stores().await {
        let all = ["203.0.113.7/32", "198.51.100.7/32"];
        let heard: Vec<_> = all.iter().map(|whom| banned(1, 0, whom)).collect();
        tell(&store, &heard, at(0)).await;
        let lift = async |wish: Lifting| people::lift(&store, wish, "ada", at(1)).await.unwrap();
        let everybody = lifting(net("0.0.0.0/0"));
        let refused = lift(everybody.clone()).await.unwrap_err().to_string();
        let expected = "0.0.0.0/0 is wider than /24, and that ends 2 bans: \
            if it is meant so, say `--even-so`";
        assert_eq!(refused, expected);
        let now = orders(&store, at(1)).await;
        assert_eq!((ordered(&now).len(), lifted(&now).len()), (2, 0));
        let meant = Lifting {
            even_so: true,
            ..everybody
        };
        assert_eq!(lift(meant).await.unwrap().len(), 2);
        let wide = wish("203.0.112.0/23", at(900));
        let even_so = true;
        decide(&store, NewBan { even_so, ..wide }, at(1))
            .await
            .unwrap();
        let one = lift(lifting(net("203.0.112.0/23"))).await.unwrap();
        assert_eq!(one.len(), 1, "just the one that was named");
    }
}
