//! What logins say of keys.

use std::time::Duration;

use watchward_protocol::access::Certificate;

use super::*;
use crate::store::deadline;

#[tokio::test]
async fn a_login_is_the_last_use_of_its_key() {
    for store in stores().await {
        begin(&store).await;
        log_in(&store, &[login(3, 100, 'a'), login(4, 200, 'a')], at(201)).await;
        // What was seen late does not hide what came after it.
        log_in(&store, &[login(5, 150, 'a')], at(300)).await;
        let found = all(&store, at(300)).await;
        let used = (
            found[0].used_at,
            found[0].used_from.as_deref(),
            found[0].uses,
        );
        assert_eq!(used, (Some(at(200)), Some("192.0.2.7"), 3));
        hear(&store, &[root(6, 400, &[key('a')])], at(400)).await;
        assert_eq!(
            all(&store, at(500)).await[0].uses,
            3,
            "a report forgets no use"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_a_use_of_its_authority() {
    for store in stores().await {
        let trust = means(Means::Authority, key('t'));
        hear(
            &store,
            &[root(1, 0, &[trust]), itself(2, 0, &["root"], &[])],
            at(0),
        )
        .await;
        let mut by_certificate = login(3, 100, 'k');
        by_certificate.report.certificate = Some(Certificate {
            id: "ada".into(),
            serial: Some(7),
            authority: Some(fingerprint('t')),
        });
        log_in(&store, &[by_certificate], at(101)).await;
        assert_eq!(all(&store, at(102)).await[0].uses, 1);
        pass(&store, at(1000)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_login_with_a_key_that_is_nowhere_listed_is_told_after_a_while() {
    for store in stores().await {
        begin(&store).await;
        log_in(&store, &[login(3, 3600, 'x')], at(3600)).await;
        pass(&store, at(3659)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        pass(&store, at(3660)).await;
        assert_eq!(
            open(&store).await,
            ["critical web-1: root opened with a key that is nowhere listed"]
        );
        log_in(&store, &[login(4, 80_000, 'x')], at(80_000)).await;
        pass(&store, at(3660 + DAY)).await;
        assert_eq!(open(&store).await.len(), 1, "it was seen again meanwhile");
        pass(&store, at(80_000 + DAY)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_login_that_overtakes_the_inventory_is_no_stray() {
    for store in stores().await {
        begin(&store).await;
        log_in(&store, &[login(3, 3600, 'b')], at(3600)).await;
        hear(&store, &[root(4, 3602, &[key('a'), key('b')])], at(3602)).await;
        pass(&store, at(4000)).await;
        assert_eq!(open(&store).await, ["critical web-1: new key opens root"]);
        let found = all(&store, at(4000)).await;
        assert_eq!(
            found.iter().map(|one| one.uses).sum::<u64>(),
            1,
            "and is written down"
        );
    }
}

#[tokio::test]
async fn a_login_that_is_heard_after_its_key_has_gone_is_no_stray() {
    for store in stores().await {
        begin(&store).await;
        hear(&store, &[root(3, 3600, &[])], at(3600)).await;
        log_in(&store, &[login(4, 3500, 'a')], at(3700)).await;
        log_in(&store, &[login(5, 3800, 'a')], at(3800)).await;
        pass(&store, at(3800 + 60)).await;
        assert_eq!(
            open(&store).await,
            [
                "info web-1: key of root is gone",
                "critical web-1: root opened with a key that is nowhere listed"
            ],
            "only the one after it had gone"
        );
        assert_eq!(all(&store, at(4000)).await[0].uses, 1);
    }
}

#[tokio::test]
async fn nothing_is_said_of_what_cannot_be_known() {
    for store in stores().await {
        // No inventory at all; then one that begins later; then a program that may name any key.
        log_in(&store, &[login(1, 0, 'x')], at(0)).await;
        hear(
            &store,
            &[root(2, 100, &[key('a')]), itself(3, 100, &["root"], &[])],
            at(100),
        )
        .await;
        log_in(&store, &[login(4, 50, 'x')], at(110)).await;
        let program = Opening {
            key: None,
            ..means(Means::Command, key('p'))
        };
        hear(&store, &[root(5, 120, &[key('a'), program])], at(120)).await;
        log_in(&store, &[login(6, 130, 'x')], at(130)).await;
        pass(&store, at(1000)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn while_the_collector_is_away_nobody_is_late() {
    for store in stores().await {
        begin(&store).await;
        log_in(&store, &[login(3, 3600, 'b')], at(3600)).await;
        let mut tx = store.begin().await.unwrap();
        deadline::put_off(&mut tx, DEADLINES, Duration::from_secs(1000))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        pass(&store, at(4600)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        hear(&store, &[root(4, 3602, &[key('a'), key('b')])], at(4601)).await;
        pass(&store, at(5000)).await;
        assert_eq!(open(&store).await, ["critical web-1: new key opens root"]);
    }
}

#[tokio::test]
async fn where_keys_cannot_be_read_a_stray_wakes_nobody() {
    for store in stores().await {
        begin(&store).await;
        let mut blind = root(3, 100, &[key('a')]);
        blind.report.troubles = vec![trouble(Effect::Unread)];
        hear(&store, &[blind], at(100)).await;
        log_in(&store, &[login(4, 3600, 'x')], at(3600)).await;
        pass(&store, at(4000)).await;
        let found = open(&store).await;
        let last = found.last().unwrap();
        assert_eq!(
            last,
            "warning web-1: root opened with a key that is nowhere listed"
        );
    }
}

#[tokio::test]
async fn a_program_that_names_principals_lets_in_no_key() {
    for store in stores().await {
        begin(&store).await;
        let names = Opening {
            key: None,
            ..means(Means::PrincipalsCommand, key('p'))
        };
        hear(&store, &[root(3, 100, &[key('a'), names])], at(100)).await;
        log_in(&store, &[login(4, 3600, 'x')], at(3600)).await;
        pass(&store, at(4000)).await;
        assert_eq!(
            open(&store).await,
            [
                "critical web-1: new program that names principals opens root",
                "critical web-1: root opened with a key that is nowhere listed"
            ]
        );
    }
}
