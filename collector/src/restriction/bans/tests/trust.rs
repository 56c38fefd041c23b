//! What the word of one host can do, and what it cannot.

use watchward_protocol::restriction::bucket;

use super::*;

#[tokio::test]
async fn somebody_of_ours_is_shut_out_on_one_host_alone_and_that_is_told() {
    for store in stores().await {
        assert!(!tell(&store, &[banned(1, 0, "192.0.2.7/32")], at(0)).await);
        assert!(ordered(&orders(&store, at(0)).await).is_empty());
        let all = list(&store, at(0)).await;
        assert_eq!(
            all[0].unspread.as_deref(),
            Some("it is in the network office")
        );
        assert_eq!(all[0].until, at(300), "as long as the host says");
        let titles: Vec<(String, i64)> =
            sqlx::query_as("SELECT title, severity FROM alerting_incident")
                .fetch_all(store.read())
                .await
                .unwrap();
        let title = "web-1 shut out 192.0.2.7/32, which is in the network office";
        assert_eq!(titles, [(title.to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_host_that_lies_about_the_past_or_the_end_makes_no_ban_longer() {
    for store in stores().await {
        let whom = "203.0.113.7/32";
        // Long over, so that it counts for the next time; almost over, so that the next can begin.
        for ago in [90_000, 80_000, 70_000, 3599, 3598] {
            tell(&store, &[banned(1, 100_000 - ago, whom)], at(100_000)).await;
        }
        let mut forever = banned(1, 100_000, whom);
        if let News::Banned(banned) = &mut forever.report.news {
            banned.until = at(1_000_000);
        }
        tell(&store, &[forever], at(100_000)).await;
        let first = (whom.to_owned(), 103_600);
        assert_eq!(ordered(&orders(&store, at(100_000)).await), [first]);
        tell(&store, &[banned(1, 103_600, whom)], at(103_600)).await;
        let again = (whom.to_owned(), 103_600 + 4 * 3600);
        assert_eq!(
            ordered(&orders(&store, at(103_600)).await),
            [again],
            "really again"
        );
    }
}

#[tokio::test]
async fn a_host_that_fills_a_bucket_hinders_nobody_else() {
    for store in stores().await {
        let all =
            (0..=u32::MAX).map(|bits| IpNet::from(std::net::IpAddr::from(bits.to_be_bytes())));
        let of_one = all.skip(0x3000_0000).filter(|net| bucket(net) == 7);
        let nets: Vec<_> = of_one.take(300).map(|net| net.to_string()).collect();
        let heard: Vec<_> = nets.iter().map(|net| banned(1, 0, net)).collect();
        tell(&store, &heard, at(0)).await;
        let held = ordered(&orders(&store, at(0)).await);
        assert_eq!(held.len(), 256);
        let left = nets
            .iter()
            .find(|net| !held.iter().any(|(held, _)| held == *net));
        let left = left.unwrap();
        let why = |all: Vec<Shown>| {
            let of = all.into_iter().find(|ban| ban.net == *left).unwrap();
            (of.host.unwrap(), of.until, of.unspread)
        };
        let beyond = Some("web-1 decided too many that hold".to_owned());
        let alone = why(list(&store, at(0)).await);
        assert_eq!(alone, ("web-1".to_owned(), at(300), beyond));

        assert!(!tell(&store, &[banned(1, 10, left)], at(10)).await);
        assert!(
            tell(&store, &[banned(2, 20, left)], at(20)).await,
            "another says so"
        );
        let held = ordered(&orders(&store, at(20)).await);
        assert!(held.contains(&(left.clone(), 3620)), "{held:?}");
        let spread = why(list(&store, at(20)).await);
        assert_eq!(spread, ("web-2".to_owned(), at(3620), None));
        assert!(!tell(&store, &[banned(1, 30, left)], at(31)).await || held.len() == 257);
        assert_eq!(
            ordered(&orders(&store, at(31)).await).len(),
            257,
            "it stays spread"
        );
    }
}

#[tokio::test]
async fn a_neighbour_of_a_host_of_ours_is_shut_out_everywhere_and_alone() {
    for store in stores().await {
        let mut site = banned(1, 0, "203.0.113.7/32");
        site.report.news = News::Holding(watchward_protocol::restriction::Holding {
            addresses: vec!["2001:db9::1".parse().unwrap()],
            ..Default::default()
        });
        tell(&store, &[site], at(0)).await;
        assert!(tell(&store, &[banned(1, 0, "2001:db9::66/128")], at(0)).await);
        let held = ordered(&orders(&store, at(0)).await);
        assert_eq!(held, [("2001:db9::66/128".to_owned(), 3600)]);
        tell(&store, &[banned(1, 0, "2001:db9::/64")], at(0)).await;
        let all = list(&store, at(0)).await;
        let whole = all.iter().find(|ban| ban.net == "2001:db9::/64").unwrap();
        assert_eq!(whole.unspread.as_deref(), Some("it is the host web-1"));
        let typed = net("2001:db9::66/128");
        let ended = people::lift(&store, lifting(typed), "ada", at(2))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended.len(), 2);
    }
}

#[tokio::test]
async fn one_hosts_word_that_it_is_there_does_not_keep_an_attacker_of_many_from_being_shut_out() {
    for store in stores().await {
        let whom = "203.0.113.7/32";
        let mut liar = banned(9, 0, whom);
        liar.report.news = News::Holding(watchward_protocol::restriction::Holding {
            addresses: vec!["203.0.113.7".parse().unwrap()],
            ..Default::default()
        });
        tell(&store, &[liar], at(0)).await;
        for (host, seconds) in [(1, 0), (2, 10_000), (2, 20_000), (9, 20_000)] {
            assert!(!tell(&store, &[banned(host, seconds, whom)], at(seconds)).await);
            assert!(ordered(&orders(&store, at(seconds)).await).is_empty());
        }
        assert!(tell(&store, &[banned(3, 30_000, whom)], at(30_000)).await);
        let held = ordered(&orders(&store, at(30_000)).await);
        assert_eq!(held, [(whom.to_owned(), 33_600)]);
        let titles: Vec<(String,)> =
            sqlx::query_as("SELECT title FROM alerting_incident WHERE severity = 2")
                .fetch_all(store.read())
                .await
                .unwrap();
        let title = "203.0.113.7/32, where web-9 says it is, attacked 3 other hosts";
        assert_eq!(titles, [(title.to_owned(),)]);
    }
}

#[tokio::test]
async fn a_host_that_is_seen_there_is_shut_out_by_nobody_however_many_say_so() {
    for store in stores().await {
        let mut site = banned(9, 0, "203.0.113.7/32");
        site.report.news = News::Holding(watchward_protocol::restriction::Holding {
            addresses: vec!["203.0.113.7".parse().unwrap()],
            ..Default::default()
        });
        let mut tx = store.begin().await.unwrap();
        let seen = [(site.host.id, "203.0.113.7".parse().unwrap())];
        crate::restriction::see(&mut tx, &seen).await.unwrap();
        tx.commit().await.unwrap();
        tell(&store, &[site], at(0)).await;
        let all: Vec<_> = (1..=5)
            .map(|host| banned(host, 0, "203.0.113.7/32"))
            .collect();
        assert!(!tell(&store, &all, at(0)).await);
    }
}

#[tokio::test]
async fn since_when_somebody_is_shut_out_and_of_how_many_hosts_can_be_asked() {
    for store in stores().await {
        let holding = |host: u8, vetoed: &[&str]| {
            let vetoed = vetoed
                .iter()
                .map(|it| watchward_protocol::restriction::Vetoed {
                    net: net(it),
                    why: watchward_protocol::restriction::Veto::Guard,
                });
            let mut heard = banned(host, 0, "203.0.113.7/32");
            heard.report.news = News::Holding(watchward_protocol::restriction::Holding {
                enforcer: (host < 4).then(|| "1.0.0".to_owned()),
                vetoed: vetoed.collect(),
                ..Default::default()
            });
            heard
        };
        let whom = "203.0.113.7/32";
        let mut all: Vec<_> = (1..=4).map(|host| holding(host, &[])).collect();
        all.push(holding(2, &[whom]));
        all.extend([banned(1, 30, whom), banned(3, 40, "192.0.2.7/32")]);
        tell(&store, &all, at(60)).await;
        let asked = async |whom: &str, now| {
            let mut tx = store.begin().await.unwrap();
            let out = shut_out(&mut tx, net(whom), now).await.unwrap();
            tx.rollback().await.unwrap();
            out.map(|out| (out.since, out.hosts))
        };
        assert_eq!(
            asked(whom, at(61)).await,
            Some((at(30), 2)),
            "one of three will not"
        );
        assert_eq!(asked("192.0.2.7/32", at(61)).await, Some((at(40), 1)));
        assert_eq!(asked("203.0.113.8/32", at(61)).await, None);
        assert_eq!(asked(whom, at(7200)).await, None, "it is over");
    }
}
