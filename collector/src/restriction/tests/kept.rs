//! What is raised, kept, ended and counted.

use super::*;
use crate::restriction::rows::listing::{self, Wanted};

fn wanted() -> Wanted {
    Wanted {
        limit: 100,
        ..Wanted::default()
    }
}

#[tokio::test]
async fn a_login_from_outside_is_a_critical_alert_at_once() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        hear(&store, &[login(1, 0, "203.0.113.7")], &policy, at(1)).await;
        let all = incidents(&store).await;
        let [(_, title, severity, detail, over)] = &all[..] else {
            panic!("{all:?}");
        };
        assert_eq!(
            title,
            "web-1: root logged in from 203.0.113.7, outside the permitted networks"
        );
        assert_eq!(*severity, 2);
        assert!(detail.contains("Permitted there: office, vpn."), "{detail}");
        assert!(!over);
    }
}

#[tokio::test]
async fn what_is_permitted_or_has_no_rule_or_no_address_raises_nothing() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        let mut elsewhere = login(4, 0, "203.0.113.7");
        elsewhere.host.name = "db-1".into();
        let mut console = login(5, 0, "203.0.113.7");
        console.report.peer = None;
        let mut session = login(6, 0, "203.0.113.7");
        session.report.action = Action::SessionOpened;
        let inside = ["192.0.2.77", "2001:db8::1", "::ffff:10.8.0.9"];
        let mut events: Vec<_> = (1..)
            .zip(inside)
            .map(|(seq, from)| login(seq, 0, from))
            .collect();
        events.extend([elsewhere, console, session]);
        hear(&store, &events, &policy, at(1)).await;
        assert_eq!(incidents(&store).await, []);
        assert!(
            listing::outside(&store, &wanted())
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn logins_join_for_an_account_and_an_address_and_end_when_it_is_quiet() {
    let policy = read(OFFICE).unwrap();
    let day = 86_400;
    for store in stores().await {
        let first = [login(1, 0, "203.0.113.7"), login(2, 5, "203.0.113.7")];
        hear(&store, &first, &policy, at(5)).await;
        let mut other = login(3, 6, "203.0.113.7");
        other.report.user = Some(User {
            name: "ada".into(),
            known: true,
        });
        let more = [
            other,
            login(4, 7, "203.0.113.8"),
            login(5, 8, "203.0.113.7"),
        ];
        hear(&store, &more, &policy, at(8)).await;
        let all = incidents(&store).await;
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].3.contains("\nBy: publickey\n"), "{}", all[0].3);
        assert!(all[0].3.contains(": 3\n"), "{}", all[0].3);

        assert_eq!(pass(&store, at(day)).await, 0, "not quiet for a day");
        assert_eq!(pass(&store, at(day + 8)).await, 3);
        assert!(incidents(&store).await.iter().all(|one| one.4), "all over");
        hear(
            &store,
            &[login(6, day + 9, "203.0.113.7")],
            &policy,
            at(day + 9),
        )
        .await;
        assert_eq!(incidents(&store).await.len(), 4, "begins anew");
    }
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        let events = [login(1, 0, "203.0.113.7"), failure(2, 1, "203.0.113.7")];
        hear(&store, &events, &policy, at(5)).await;
        hear(&store, &events, &policy, at(6)).await;
        let all = incidents(&store).await;
        assert!(all.len() == 1 && all[0].3.contains(": 1\n"), "{all:?}");
        let kept = listing::outside(&store, &wanted()).await.unwrap();
        assert_eq!(kept.len(), 2);
    }
}

#[tokio::test]
async fn a_failure_from_outside_is_marked_as_it_was_judged_then() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        let events = [failure(1, 0, "203.0.113.7"), failure(2, 1, "192.0.2.1")];
        hear(&store, &events, &policy, at(5)).await;
        hear(
            &store,
            &[failure(3, 6, "203.0.113.9")],
            &Policy::default(),
            at(6),
        )
        .await;
        assert_eq!(incidents(&store).await, []);
        let kept = listing::outside(&store, &wanted()).await.unwrap();
        let [one] = &kept[..] else {
            panic!("{kept:?}");
        };
        assert_eq!(one.permitted, "office, vpn");
        assert!(!one.login && one.address.to_string() == "203.0.113.7");
        let of = |addresses: &str| Wanted {
            addresses: Some((addresses.parse().unwrap(), addresses.parse().unwrap())),
            ..wanted()
        };
        let at_address = async |text| listing::outside(&store, &of(text)).await.unwrap().len();
        assert_eq!(at_address("203.0.113.7").await, 1);
        assert_eq!(at_address("203.0.113.8").await, 0);
    }
}

#[tokio::test]
async fn logins_are_counted_by_the_networks_of_today() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        let events = [
            login(1, 0, "192.0.2.1"),
            login(2, 1, "192.0.2.1"),
            login(3, 2, "2001:db8::1"),
            login(4, 3, "10.8.0.1"),
            login(5, 4, "203.0.113.7"),
            login(6, 5, "203.0.113.7"),
            failure(7, 6, "203.0.113.7"),
            login(8, -91 * 86_400, "203.0.113.9"),
        ];
        hear(&store, &events, &policy, at(10)).await;
        let summary = summary(&store, (&policy, hosts), at(10)).await.unwrap();
        let counts: Vec<_> = summary
            .networks
            .iter()
            .map(|network| (network.name.as_str(), network.logins))
            .collect();
        assert_eq!(counts, [("office", 3), ("vpn", 1)]);
        assert_eq!(summary.elsewhere, 2);
        let [who] = &summary.outside[..] else {
            panic!("{summary:?}");
        };
        assert_eq!((who.logins, who.user.as_deref()), (2, Some("root")));
        assert_eq!((who.first_at, who.last_at), (at(4), at(5)));
    }
}

#[tokio::test]
async fn who_came_from_outside_is_said_by_the_rules_of_today_too() {
    let policy = read(OFFICE).unwrap();
    let moved = read(&OFFICE.replace("192.0.2.0/24", "203.0.113.0/24")).unwrap();
    for store in stores().await {
        let events = [login(1, 0, "192.0.2.1"), login(2, 1, "203.0.113.7")];
        hear(&store, &events, &policy, at(10)).await;
        for (policy, outside) in [(&policy, "203.0.113.7"), (&moved, "192.0.2.1")] {
            let summary = summary(&store, (policy, hosts), at(10)).await.unwrap();
            let office = summary.networks.iter().find(|one| one.name == "office");
            assert_eq!((office.unwrap().logins, summary.elsewhere), (1, 1));
            let [who] = &summary.outside[..] else {
                panic!("{summary:?}");
            };
            assert_eq!(who.address, outside);
        }
    }
}

#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    for store in stores().await {
        let events = [login(1, 0, "192.0.2.1"), login(2, 1, "192.0.2.1")];
        hear(&store, &events, &Policy::default(), at(1)).await;
        let kept = async || -> i64 {
            sqlx::query_scalar("SELECT COUNT(*) FROM restriction_mark")
                .fetch_one(store.read())
                .await
                .unwrap()
        };
        pass(&store, at(399 * 86_400)).await;
        assert_eq!(kept().await, 2);
        pass(&store, at(401 * 86_400)).await;
        assert_eq!(kept().await, 0);
    }
}

#[tokio::test]
async fn what_a_stranger_typed_is_escaped_and_a_long_title_is_cut_where_it_makes_sense() {
    let policy = read(OFFICE).unwrap();
    for store in stores().await {
        let mut event = login(1, 0, "2001:db9:1111:2222:3333:4444:5555:6666");
        event.report.user = Some(User {
            name: b"ro\x1b[2Jot"[..].into(),
            known: true,
        });
        event.report.trust = Trust::Text;
        hear(&store, &[event], &policy, at(1)).await;
        let all = incidents(&store).await;
        assert!(all[0].1.ends_with(", outside"), "{}", all[0].1);
        assert!(!all[0].1.contains('\x1b') && !all[0].3.contains('\x1b'));
        assert!(all[0].3.contains("any local user"), "{}", all[0].3);
    }
}
