//! What follows from what was heard: incidents, and their ends.

use std::time::Duration;

use super::*;
use crate::store::deadline;

const SPRAY: &str = "203.0.113.7";

#[tokio::test]
async fn ten_failures_are_one_incident_that_names_address_and_host() {
    for store in stores().await {
        hear(&store, &failures(1, 0, 9, SPRAY), at(9)).await;
        assert_eq!(incidents(&store).await.len(), 0);
        hear(&store, &[failure(1, 10, 9, SPRAY)], at(10)).await;
        let [incident] = &incidents(&store).await[..] else {
            panic!("not one incident")
        };
        assert_eq!(incident.key, "access.brute-force 203.0.113.7");
        assert_eq!(
            incident.title,
            "SSH brute force from 203.0.113.7: 10 failures on web-1"
        );
        assert_eq!(incident.severity, 2);
        hear(&store, &failures(1, 20, 60, SPRAY), at(80)).await;
        assert_eq!(incidents(&store).await.len(), 1, "a repeat joins");
    }
}

#[tokio::test]
async fn a_name_that_may_be_a_password_never_leaves_in_an_alert() {
    for store in stores().await {
        let mut events = failures(1, 0, 10, SPRAY);
        events[3] = failure(2, 1, 3, SPRAY);
        events[4].report.user = Some(User {
            name: "root\u{1b}[2J".into(),
            known: true,
        });
        let mut odd = failure(1, 50, 9, SPRAY);
        odd.report.form = "unrecognised".into();
        odd.report.attempt = false;
        events.push(odd);
        hear(&store, &events, at(10)).await;
        let incidents = incidents(&store).await;
        assert_eq!(incidents.len(), 2);
        let all = format!("{incidents:?}");
        assert!(!all.contains("Tr0ub4dor"), "{all}");
        let detail = &incidents[0].detail;
        assert!(
            detail.contains("unknown name (11 characters) ×9"),
            "{detail}"
        );
        assert!(detail.contains("web-1 ×9, web-2"), "{detail}");
        assert!(
            detail.contains("root") && !detail.contains('\u{1b}'),
            "{detail}"
        );
        assert!(incidents[0].title.ends_with("10 failures on 2 hosts"));
    }
}

#[tokio::test]
async fn failures_on_many_hosts_and_from_one_ipv6_network_count_together() {
    for store in stores().await {
        let events: Vec<_> = (0..10_u8)
            .map(|n| failure(n, 1, n.into(), &format!("2001:db8:0:1::{n}")))
            .collect();
        for event in events {
            hear(&store, &[event], at(20)).await;
        }
        let keys: Vec<_> = incidents(&store).await.into_iter().map(|i| i.key).collect();
        assert_eq!(keys, ["access.brute-force 2001:db8:0:1::/64"]);
    }
}

#[tokio::test]
async fn what_is_slow_or_no_attempt_does_not_count() {
    for store in stores().await {
        let slow: Vec<_> = (0..30)
            .map(|n| failure(1, n + 1, n.cast_signed() * 70, SPRAY))
            .collect();
        hear(&store, &slow, at(3_000)).await;
        let mut told_already = failures(2, 0, 30, "198.51.100.1");
        for event in &mut told_already {
            event.report.attempt = false;
        }
        hear(&store, &told_already, at(3_000)).await;
        assert_eq!(incidents(&store).await.len(), 0);
    }
}

#[tokio::test]
async fn a_burst_deep_in_a_backlog_is_found() {
    for store in stores().await {
        // Told in two parts, the second ending long after the burst.
        hear(&store, &failures(1, 0, 6, SPRAY), at(50_000)).await;
        let mut rest = failures(1, 6, 4, SPRAY);
        rest.push(failure(1, 900, 40_000, SPRAY));
        hear(&store, &rest, at(50_000)).await;
        assert_eq!(incidents(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn clocks_that_are_ahead_do_not_hide_a_burst() {
    for store in stores().await {
        let mut events = failures(1, 0, 10, SPRAY);
        for (event, days) in events.iter_mut().zip(1..) {
            event.report.at = event.report.at + Duration::from_secs(86_400 * 365 * days);
        }
        hear(&store, &events, at(20)).await;
        assert_eq!(incidents(&store).await.len(), 1);
    }
}

#[tokio::test]
async fn a_login_after_the_failures_is_an_incident_of_its_own() {
    for store in stores().await {
        hear(&store, &[login(1, 100, -5, SPRAY)], at(0)).await;
        hear(&store, &failures(1, 0, 10, SPRAY), at(10)).await;
        assert_eq!(incidents(&store).await.len(), 1, "the login came before");
        let elsewhere = login(3, 101, 11, "198.51.100.1");
        hear(&store, &[elsewhere, login(2, 100, 11, SPRAY)], at(12)).await;
        let incidents = incidents(&store).await;
        assert_eq!(incidents.len(), 2);
        let success = &incidents[1];
        assert_eq!(success.severity, 2);
        assert_eq!(
            success.title,
            "SSH login after brute force from 203.0.113.7 on web-2"
        );
        assert!(
            success
                .detail
                .contains("root on web-2 by publickey, key SHA256:abc"),
            "{}",
            success.detail
        );
    }
}

#[tokio::test]
async fn a_login_amid_the_failures_is_found_though_it_came_first() {
    for store in stores().await {
        let mut events = failures(1, 0, 5, SPRAY);
        events.push(login(1, 100, 5, SPRAY));
        hear(&store, &events, at(6)).await;
        hear(&store, &failures(1, 6, 5, SPRAY), at(11)).await;
        let keys: Vec<_> = incidents(&store).await.into_iter().map(|i| i.key).collect();
        assert_eq!(
            keys,
            [
                "access.brute-force 203.0.113.7",
                "access.login-after-brute-force 203.0.113.7"
            ]
        );
    }
}

#[tokio::test]
async fn it_is_over_when_it_has_been_quiet() {
    for store in stores().await {
        hear(&store, &failures(1, 0, 10, SPRAY), at(10)).await;
        hear(&store, &[failure(1, 100, 1_000, SPRAY)], at(1_000)).await;
        assert_eq!(pass(&store, at(1_000 + 1_799)).await, 0);
        let again = store.reopen().await;
        assert_eq!(pass(&again, at(1_000 + 1_800)).await, 1);
        let incidents = incidents(&store).await;
        let over = incidents[0].over.as_deref().unwrap();
        assert!(over.contains("11 in all"), "{over}");
        assert_eq!(pass(&store, at(9_000)).await, 0);
    }
}

#[tokio::test]
async fn the_time_that_the_collector_was_away_does_not_count_as_quiet() {
    for store in stores().await {
        hear(&store, &failures(1, 0, 10, SPRAY), at(10)).await;
        let mut tx = store.begin().await.unwrap();
        deadline::put_off(&mut tx, DEADLINES, Duration::from_secs(3_600))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(pass(&store, at(10 + 3_600 + 1_700)).await, 0);
        assert_eq!(pass(&store, at(10 + 3_600 + 1_800)).await, 1);
    }
}

#[tokio::test]
async fn lines_that_nobody_recognises_are_one_incident_of_their_host() {
    for store in stores().await {
        let mut events = failures(1, 0, 12, SPRAY);
        for event in &mut events {
            event.report.form = "unrecognised".into();
            event.report.attempt = false;
            event.report.outcome = Outcome::Unknown;
        }
        hear(&store, &events[..1], at(1)).await;
        hear(&store, &events[1..], at(12)).await;
        let found = incidents(&store).await;
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].title,
            "web-1: 12 lines of a log that nobody recognises"
        );
        assert_eq!(pass(&store, at(12 + 86_400)).await, 1);
        assert!(incidents(&store).await[0].over.is_some());
    }
}

#[tokio::test]
async fn a_gap_is_an_incident_of_its_source_and_host() {
    for store in stores().await {
        let gaps = [
            gap(1, 1, "journal"),
            gap(1, 2, "journal"),
            gap(2, 1, "spool"),
        ];
        for _ in 0..2 {
            let mut tx = store.begin().await.unwrap();
            absorb_gaps(&mut tx, &gaps, &Config::default(), at(61))
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let found = incidents(&store).await;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].title, "web-1: access log has a gap");
        let detail = &found[0].detail;
        assert!(detail.contains("12 records are lost"), "{detail}");
        assert!(detail.contains("Gaps there so far: 2"), "{detail}");
        assert!(!detail.contains('\u{1b}'), "{detail}");
    }
}

/// A failure of sudo, or a success, of alice on a host.
pub(super) fn sudo(host: u8, seq: u64, seconds: i64, form: &str) -> Heard<AccessEvent> {
    let mut heard = failure(host, seq, seconds, "192.0.2.7");
    let event = &mut heard.report;
    event.service = Service::Sudo;
    event.peer = None;
    event.form = form.into();
    event.user = Some(User {
        name: "alice".into(),
        known: true,
    });
    event.target = Some("root".into());
    if form == "sudo" {
        event.outcome = Outcome::Success;
    }
    heard
}

#[tokio::test]
async fn a_user_who_fails_again_and_again_at_sudo_is_one_incident_and_a_slip_is_none() {
    for store in stores().await {
        let slips: Vec<_> = (1..=4)
            .map(|n| sudo(1, n, n.cast_signed(), "sudo-wrong-password"))
            .collect();
        hear(&store, &slips, at(10)).await;
        hear(&store, &[sudo(1, 5, 11, "sudo")], at(12)).await;
        let elsewhere = sudo(2, 1, 13, "sudo-wrong-password");
        let late = sudo(1, 6, 5_000, "sudo-wrong-password");
        hear(&store, &[elsewhere, late], at(5_000)).await;
        assert!(incidents(&store).await.is_empty());

        let more: Vec<_> = (7..=10)
            .map(|n| sudo(1, n, 5_000 + n.cast_signed(), "sudo-not-in-sudoers"))
            .collect();
        hear(&store, &more, at(5_020)).await;
        let found = incidents(&store).await;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(
            found[0].title,
            "web-1: alice failed 5 times to become root (sudo)"
        );
        assert_eq!(found[0].severity, 1);
        assert!(
            found[0].detail.contains("sudo-not-in-sudoers ×4"),
            "{}",
            found[0].detail
        );
        assert!(!found[0].detail.contains("any local user"));
        pass(&store, at(5_020 + 29 * 60)).await;
        assert!(incidents(&store).await[0].over.is_none());
        pass(&store, at(5_020 + 31 * 60)).await;
        assert!(incidents(&store).await[0].over.is_some());
    }
}

#[tokio::test]
async fn lines_of_a_text_file_accuse_nobody_without_a_doubt() {
    for store in stores().await {
        let failed = |n: u64| sudo(1, n, n.cast_signed(), "sudo-wrong-password");
        let mut all: Vec<_> = (1..=5).map(failed).collect();
        all[2].report.trust = Trust::Text;
        hear(&store, &all, at(10)).await;
        let detail = &incidents(&store).await[0].detail;
        assert!(detail.contains("any local user of the host"), "{detail}");
    }
}

#[tokio::test]
async fn failures_at_a_vpn_count_as_brute_force_together_with_those_of_ssh() {
    for store in stores().await {
        let mut events = failures(1, 0, 10, "203.0.113.7");
        for event in &mut events[..6] {
            event.report.service = Service::OpenVpn;
        }
        hear(&store, &events, at(20)).await;
        let found = incidents(&store).await;
        assert_eq!(
            found[0].title,
            "SSH and OpenVPN brute force from 203.0.113.7: 10 failures on web-1"
        );
    }
}
