//! What was heard is there, exactly once, and found by what is asked for.

use super::super::api::Asked;
use super::super::rows::listing;
use super::*;

async fn ask(store: &Store, query: &str) -> Vec<u64> {
    let asked: axum::extract::Query<Asked> =
        axum::extract::Query::try_from_uri(&format!("/?{query}").parse().unwrap()).unwrap();
    let kept = listing::list(store, &asked.0.wanted(at(100)))
        .await
        .unwrap();
    kept.iter()
        .map(|kept| u64::from(kept.event.peer.unwrap().port.unwrap()))
        .collect()
}

/// Events that are told apart by their ports.
fn sample() -> Vec<Heard<AccessEvent>> {
    let mut events = vec![
        failure(1, 1, 30, "10.1.0.1"),
        failure(1, 2, 10, "10.1.255.255"),
        failure(2, 1, 20, "10.2.0.0"),
        login(2, 2, 40, "2001:db8::1"),
        failure(2, 3, 50, "2001:db8::2"),
    ];
    events[4].report.attempt = false;
    for (event, port) in events.iter_mut().zip(1..) {
        event.report.peer.as_mut().unwrap().port = Some(port);
    }
    events
}

#[tokio::test]
async fn finds_by_what_is_asked_for_the_newest_last() {
    for store in stores().await {
        hear(&store, &sample(), at(60)).await;
        assert_eq!(ask(&store, "").await, [2, 3, 1, 4, 5]);
        assert_eq!(ask(&store, "limit=2").await, [4, 5]);
        assert_eq!(ask(&store, "host=web-2").await, [3, 4, 5]);
        assert_eq!(ask(&store, "address=10.1.0.0/16").await, [2, 1]);
        assert_eq!(ask(&store, "address=10.1.0.1").await, [1]);
        assert_eq!(ask(&store, "address=2001:db8::/32").await, [4, 5]);
        assert_eq!(ask(&store, "user=root").await, [4]);
        assert_eq!(
            ask(&store, "outcome=failure&attempts=true").await,
            [2, 3, 1]
        );
        assert_eq!(ask(&store, "form=accepted").await, [4]);
        assert_eq!(ask(&store, "since=60s").await, [4, 5]);
        let until = format!("until={}", at(20).as_micros());
        assert_eq!(ask(&store, &until).await, [2]);
        assert_eq!(ask(&store, "since=2027-01-15T08:00:40Z").await, [4, 5]);
        assert_eq!(ask(&store, "after=0&limit=2").await, [1, 2], "as they came");
        assert_eq!(ask(&store, "user=%27%20OR%201=1").await, [0_u64; 0]);
    }
}

#[tokio::test]
async fn what_a_host_dates_far_ahead_does_not_hide_what_came_since() {
    for store in stores().await {
        let mut events = sample();
        let ahead = &mut events[0];
        ahead.report.at = Timestamp::from_micros(i64::MAX);
        ahead.kept_at = Timestamp::from_micros(i64::MAX);
        hear(&store, &events[..1], at(20)).await;
        hear(&store, &events[1..], at(60)).await;
        assert_eq!(ask(&store, "limit=4").await, [1, 3, 4, 5]);
        assert_eq!(ask(&store, "limit=2").await, [4, 5]);
        assert_eq!(ask(&store, "since=70s").await, [4, 5], "from second 30 on");
    }
}

#[tokio::test]
async fn keeps_all_that_was_told_and_shows_it_escaped() {
    for store in stores().await {
        let mut told = login(1, 1, 5, "192.0.2.7");
        told.report.line = b"\xff\0\x1b]0;x"[..].into();
        hear(&store, &[told.clone()], at(6)).await;
        let wanted = listing::Wanted {
            limit: 1,
            ..listing::Wanted::default()
        };
        let kept = listing::list(&store, &wanted).await.unwrap();
        assert_eq!(kept[0].event, told.report);
        let shown = after(&store, 0, 10).await.unwrap();
        assert_eq!(shown[0].line, "\\xff\\u{0}\\u{1b}]0;x");
        assert_eq!(shown[0].certificate_id.as_deref(), Some("zo\\xff\\u{1b}"));
        assert_eq!(shown[0].certificate_serial, Some(u64::MAX));
        assert_eq!(shown[0].host, "web-1");
    }
}

#[tokio::test]
async fn a_vpn_and_sudo_are_kept_shown_and_found() {
    for store in stores().await {
        let mut vpn = login(1, 1, 5, "192.0.2.7");
        vpn.report.peer.as_mut().unwrap().port = Some(1);
        vpn.report.service = Service::OpenVpn;
        vpn.report.certificate = Some(Certificate {
            id: "ada".into(),
            serial: None,
            authority: None,
        });
        vpn.report.tunnel = Tunnel {
            v4: Some([10, 8, 0, 6].into()),
            v6: Some("fd00::1000".parse().unwrap()),
        };
        let mut sudo = failure(1, 2, 6, "192.0.2.7");
        sudo.report.service = Service::Sudo;
        sudo.report.peer.as_mut().unwrap().port = Some(2);
        sudo.report.target = Some("root\n".into());
        sudo.report.command = Some(b"/usr/bin/id \xff"[..].into());
        hear(&store, &[vpn.clone(), sudo.clone()], at(7)).await;
        let wanted = listing::Wanted {
            limit: 9,
            ..listing::Wanted::default()
        };
        let kept = listing::list(&store, &wanted).await.unwrap();
        assert_eq!(kept[0].event, vpn.report);
        assert_eq!(kept[1].event, sudo.report);
        let shown = after(&store, 1, 10).await.unwrap();
        assert_eq!(shown[0].target.as_deref(), Some("root\\n"));
        assert_eq!(shown[0].command.as_deref(), Some("/usr/bin/id \\xff"));
        for (question, expected) in [
            ("service=openvpn", 1),
            ("service=sudo", 2),
            ("tunnel=10.8.0.6", 1),
            ("tunnel=fd00::1000", 1),
        ] {
            assert_eq!(ask(&store, question).await, [expected], "{question}");
        }
        for question in ["service=sshd", "tunnel=10.8.0.7"] {
            assert!(ask(&store, question).await.is_empty(), "{question}");
        }
    }
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    for store in stores().await {
        let mut events = failures(1, 0, 12, "203.0.113.7");
        events.push(login(2, 1, 13, "203.0.113.7"));
        events.push(failure(2, 2, 14, "203.0.113.8"));
        events[11].report.form = "unrecognised".into();
        hear(&store, &events[..8], at(20)).await;
        hear(&store, &events, at(20)).await;
        let once = everything(&store).await;
        assert!(once.contains("brute-force"), "{once}");
        hear(&store, &events, at(20)).await;
        hear(&store, &[&events[3..], &events[..3]].concat(), at(20)).await;
        assert_eq!(everything(&store).await, once);
    }
}

#[tokio::test]
async fn the_same_number_in_another_life_of_the_spool_is_another_event() {
    for store in stores().await {
        let mut events = vec![failure(1, 1, 1, "192.0.2.7"); 3];
        events[1].epoch = Epoch(5);
        events[2].host = host(2);
        hear(&store, &events, at(2)).await;
        assert_eq!(after(&store, 0, 10).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn whatever_an_agent_sends_the_database_takes() {
    for store in stores().await {
        let mut event = login(1, 1, 1, "192.0.2.7");
        let report = &mut event.report;
        report.at = Timestamp::from_micros(i64::MIN);
        report.form = "a\0b".into();
        report.method = Some("\0".repeat(100));
        let noise: Vec<u8> = (0..100_000_u32)
            .map(|n| (n.wrapping_mul(n) % 251) as u8)
            .collect();
        report.user.as_mut().unwrap().name = noise[..].into();
        report.line = noise.into();
        hear(&store, &[event], Timestamp::from_micros(i64::MAX)).await;
        let mut hole = gap(1, 2, &"\0é".repeat(50_000));
        hole.report.lost = Some(u64::MAX);
        let mut tx = store.begin().await.unwrap();
        absorb_gaps(&mut tx, &[hole], &Config::default(), at(1))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(after(&store, 0, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_the_last_stays() {
    for store in stores().await {
        let day = |day: i64| at(day * 86_400);
        hear(&store, &failures(1, 0, 1_500, "192.0.2.7"), day(0)).await;
        hear(&store, &[failure(2, 1, 0, "192.0.2.7")], day(10)).await;
        let left = async |now| {
            pass(&store, now).await;
            after(&store, 0, 10_000).await.unwrap().len()
        };
        assert_eq!(left(day(400)).await, 1_501);
        // On a slow machine that takes a turn for each thousand.
        left(day(401)).await;
        assert_eq!(left(day(401)).await, 1);
        assert_eq!(left(day(900)).await, 1, "the last one");
    }
}
