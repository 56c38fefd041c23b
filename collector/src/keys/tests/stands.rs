//! What stands, what is new, what is gone, what is due.

use std::time::Duration;

use watchward_protocol::span::Span;

use std::slice::from_ref;

use super::*;

#[tokio::test]
async fn what_stands_at_the_first_look_is_no_news_but_weak_keys_are_told_once() {
    for store in stores().await {
        let mut weak: Vec<_> = ['c', 'd', 'e'].map(key).into();
        for one in &mut weak {
            let key = one.key.as_mut().unwrap();
            (key.kind, key.bits) = ("ssh-rsa".into(), 1024);
        }
        let trust = means(Means::Authority, key('t'));
        let deploy = heard(1, 2, 3, Holder::Account("deploy".into()), &weak);
        hear(&store, &[root(1, 0, &[key('a'), trust]), deploy], at(5)).await;
        let host_key = means(Means::HostKey, key('h'));
        hear(
            &store,
            &[itself(3, 5, &["root", "deploy"], &[host_key])],
            at(10),
        )
        .await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: 3 keys of deploy are too weak"]
        );
        assert_eq!(all(&store, at(20)).await.len(), 6);
        assert_eq!(told(&store).await, 1);
    }
}

#[tokio::test]
async fn a_new_key_is_told_until_somebody_says_that_it_is_right() {
    for store in stores().await {
        begin(&store).await;
        hear(&store, &[root(3, 3600, &[key('a'), key('b')])], at(3600)).await;
        assert_eq!(open(&store).await, ["critical web-1: new key opens root"]);
        // Another one an hour later cannot hide behind it.
        let three = ['a', 'b', 'c'].map(key);
        hear(&store, &[root(4, 7200, &three)], at(7200)).await;
        assert_eq!(open(&store).await.len(), 2);

        let wanted = Accept {
            key: fingerprint('b'),
            ..Accept::default()
        };
        let elsewhere = Accept {
            host: Some("web-2".into()),
            ..wanted.clone()
        };
        assert_eq!(say_right(&store, elsewhere, at(7300)).await, 0);
        assert_eq!(say_right(&store, wanted, at(7300)).await, 1);
        assert_eq!(open(&store).await.len(), 1);
        hear(&store, &[root(5, 7400, &[key('a'), key('b')])], at(7400)).await;
        assert_eq!(open(&store).await, ["info web-1: key of root is gone"]);
        pass(&store, at(7400 + DAY)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_storm_is_one_incident() {
    for store in stores().await {
        begin(&store).await;
        let many: Vec<_> = ('a'..='z').map(key).collect();
        let deploy = heard(1, 4, 3601, Holder::Account("deploy".into()), &many);
        hear(&store, &[root(3, 3600, &many)], at(3600)).await;
        hear(&store, &[deploy], at(3610)).await;
        assert_eq!(
            open(&store).await,
            ["critical web-1: 51 new keys open deploy, root"]
        );
        assert_eq!(told(&store).await, 1);
    }
}

#[tokio::test]
async fn a_new_authority_or_program_is_critical_whomever_it_lets_in() {
    for store in stores().await {
        begin(&store).await;
        let program = Opening {
            key: None,
            file: "/usr/local/bin/keys".into(),
            ..means(Means::Command, key('p'))
        };
        let holder = Holder::Account("deploy".into());
        hear(
            &store,
            &[heard(1, 3, 3600, holder.clone(), from_ref(&program))],
            at(3600),
        )
        .await;
        assert_eq!(
            open(&store).await,
            ["critical web-1: new program that names keys opens deploy"]
        );
        let wanted = Accept {
            key: program.file.clone(),
            account: Some("deploy".into()),
            ..Accept::default()
        };
        assert_eq!(say_right(&store, wanted, at(3700)).await, 1);
        assert_eq!(open(&store).await, Vec::<String>::new());
        let trust = means(Means::Authority, key('t'));
        hear(
            &store,
            &[heard(1, 4, 3800, holder, &[program, trust])],
            at(3800),
        )
        .await;
        assert_eq!(
            open(&store).await,
            ["critical web-1: new certificate authority opens deploy"]
        );
    }
}

#[tokio::test]
async fn limits_that_are_taken_away_are_told_and_a_key_that_moves_is_the_same() {
    for store in stores().await {
        let mut limited = key('a');
        limited.options = "from=\"10.0.0.0/8\",restrict".into();
        hear(
            &store,
            &[root(1, 0, &[limited.clone()]), itself(2, 0, &["root"], &[])],
            at(0),
        )
        .await;
        let mut moved = limited.clone();
        (moved.line, moved.file) = (Some(70), "/etc/ssh/keys/root".into());
        hear(&store, &[root(3, 3600, &[moved.clone()])], at(3600)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        assert_eq!(all(&store, at(3601)).await[0].first_at, at(0));

        moved.options = "restrict".into();
        hear(&store, &[root(4, 7200, &[moved.clone()])], at(7200)).await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: key of root may do more than before"]
        );
        moved.options = limited.options;
        hear(&store, &[root(5, 7300, &[moved])], at(7300)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_opened_an_account_that_is_no_more_is_gone() {
    for store in stores().await {
        let bob = heard(1, 1, 0, Holder::Account("bob".into()), &[key('b')]);
        hear(&store, &[bob, itself(2, 0, &["bob", "root"], &[])], at(0)).await;
        hear(&store, &[itself(3, 3600, &["root"], &[])], at(3600)).await;
        assert_eq!(open(&store).await, ["info web-1: key of bob is gone"]);
        // Somebody makes it anew: that is news.
        let again = heard(1, 4, 9000, Holder::Account("bob".into()), &[key('b')]);
        hear(&store, &[again], at(9000)).await;
        assert_eq!(open(&store).await, ["warning web-1: new key opens bob"]);
    }
}

#[tokio::test]
async fn another_host_key_is_told_with_what_it_was() {
    for store in stores().await {
        let one = |letter| Opening {
            file: "/etc/ssh/ssh_host_ed25519_key.pub".into(),
            ..means(Means::HostKey, key(letter))
        };
        hear(&store, &[itself(1, 0, &[], &[one('h')])], at(0)).await;
        hear(&store, &[itself(2, 3600, &[], &[one('i')])], at(3600)).await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: its host key has changed"]
        );
        let detail: String = sqlx::query_scalar("SELECT detail FROM alerting_incident")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert!(
            detail.contains(&fingerprint('h')) && detail.contains(&fingerprint('i')),
            "{detail}"
        );
        let wanted = Accept {
            key: fingerprint('i'),
            ..Accept::default()
        };
        assert_eq!(say_right(&store, wanted, at(3700)).await, 1);
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_key_is_due_then_overdue_and_another_policy_changes_that() {
    for store in stores().await {
        begin(&store).await;
        pass(&store, at(334 * DAY)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        pass(&store, at(335 * DAY)).await;
        assert_eq!(open(&store).await, ["info web-1: key of root is due soon"]);
        assert_eq!(pass(&store, at(336 * DAY)).await, 0);
        pass(&store, at(365 * DAY)).await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: key of root is overdue"]
        );
        let longer = Policy {
            max_age: Span::days(730),
            ..Policy::default()
        };
        pass_by(&store, &longer, at(365 * DAY) + Duration::from_secs(5)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_key_with_an_end_of_its_own_is_due_then_and_harms_nobody_later() {
    for store in stores().await {
        let mut ends = key('a');
        ends.not_after = Some(at(40 * DAY));
        hear(
            &store,
            &[root(1, 0, &[ends]), itself(2, 0, &["root"], &[])],
            at(0),
        )
        .await;
        pass(&store, at(10 * DAY)).await;
        assert_eq!(open(&store).await, ["info web-1: key of root is due soon"]);
        pass(&store, at(40 * DAY)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        assert!(all(&store, at(41 * DAY)).await[0].ended);
    }
}

#[tokio::test]
async fn an_agent_that_does_not_renew_its_certificate_is_told_in_time() {
    for store in stores().await {
        let mut own = means(Means::AgentCertificate, key('c'));
        (own.not_before, own.not_after) = (Some(at(0)), Some(at(30 * DAY)));
        hear(&store, &[itself(1, 0, &[], from_ref(&own))], at(0)).await;
        pass(&store, at(25 * DAY - 1)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
        pass(&store, at(25 * DAY)).await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: the agent's certificate has not been renewed"]
        );
        (own.not_before, own.not_after) = (Some(at(25 * DAY)), Some(at(55 * DAY)));
        own.key.as_mut().unwrap().fingerprint = fingerprint('d');
        hear(&store, &[itself(2, 25 * DAY, &[], &[own])], at(25 * DAY)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_not_taken_for_gone() {
    for store in stores().await {
        begin(&store).await;
        let mut blind = root(3, 3600, &[]);
        blind.report.troubles = vec![trouble(Effect::Unread)];
        hear(&store, &[blind], at(3600)).await;
        assert_eq!(
            open(&store).await,
            ["warning web-1: not all keys of root can be read"]
        );
        hear(&store, &[root(4, 9999, &[key('a')])], at(9999)).await;
        assert_eq!(open(&store).await, Vec::<String>::new());
    }
}

#[test]
fn every_trouble_is_a_kind_of_its_own_for_the_budget() {
    for trouble in judge::Trouble::ALL {
        let key = alerts::key(trouble, host(1).id, 7);
        assert!(alerting::testing::is_of_a_known_kind(&key), "{key}");
    }
}

#[tokio::test]
async fn whoever_makes_a_list_too_long_to_look_at_hides_nothing_by_it() {
    for store in stores().await {
        begin(&store).await;
        log_in(&store, &[login(3, 3600, 'x')], at(3600)).await;
        pass(&store, at(4000)).await;
        let stray = "critical web-1: root opened with a key that is nowhere listed";
        assert_eq!(open(&store).await, [stray]);

        let beyond = "critical web-1: root has more keys than are looked at";
        let mut long = root(4, 5000, &[key('a')]);
        long.report.omitted = 1;
        hear(&store, &[long], at(5000)).await;
        pass(&store, at(5000)).await;
        assert_eq!(open(&store).await, [stray, beyond]);

        let mut long = root(5, 6000, &[key('a')]);
        long.report.troubles = vec![trouble(Effect::Beyond)];
        hear(&store, &[long], at(6000)).await;
        pass(&store, at(6000)).await;
        assert_eq!(open(&store).await, [stray, beyond]);
    }
}

#[tokio::test]
async fn whoever_writes_their_file_anew_all_the_time_fills_nothing() {
    for store in stores().await {
        begin(&store).await;
        for seq in 3..7 {
            let keys = (0..200).map(|number| {
                let mut one = key('k');
                let public = one.key.as_mut().unwrap();
                public.fingerprint = format!("SHA256:{seq}-{number}");
                one
            });
            let keys: Vec<_> = keys.collect();
            hear(&store, &[root(seq, 3600, &keys)], at(3600)).await;
        }
        assert_eq!(all(&store, at(3600)).await.len(), 200 + 500);
    }
}

#[tokio::test]
async fn a_revoked_host_leaves_nothing_behind() {
    for store in stores().await {
        begin(&store).await;
        hear(&store, &[root(3, 3600, &[key('a'), key('b')])], at(3600)).await;
        log_in(&store, &[login(4, 3700, 'x')], at(3700)).await;
        let mut tx = store.begin().await.unwrap();
        forget(&mut tx, host(1).id, at(4000)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(open(&store).await, Vec::<String>::new());
        assert_eq!(all(&store, at(4000)).await, []);
        assert_eq!(pass(&store, at(9 * DAY)).await, 0);
    }
}

#[tokio::test]
async fn what_sshd_passes_over_is_no_trouble_and_opens_nothing() {
    for store in stores().await {
        begin(&store).await;
        let mut passed = root(3, 3600, &[]);
        passed.report.troubles = vec![trouble(Effect::PassedOver)];
        hear(&store, &[passed], at(3600)).await;
        assert_eq!(open(&store).await, ["info web-1: key of root is gone"]);
    }
}

#[tokio::test]
async fn of_a_file_that_is_read_in_part_nothing_counts_as_gone() {
    for store in stores().await {
        let other = Opening {
            file: "/etc/ssh/keys/root".into(),
            ..key('b')
        };
        hear(&store, &[root(1, 0, &[key('a'), other, key('c')])], at(0)).await;
        hear(&store, &[itself(2, 0, &["root"], &[])], at(1)).await;
        for (seq, effect) in [(3, Effect::Unread), (4, Effect::Unknown)] {
            let mut half = root(seq, 3600, &[key('a')]);
            half.report.troubles = vec![trouble(effect)];
            hear(&store, &[half], at(3600)).await;
            let found = all(&store, at(3600)).await;
            let gone = found.iter().filter(|one| one.gone_at.is_some());
            let gone: Vec<_> = gone.map(|one| one.opening.file.as_str()).collect();
            assert_eq!(gone, ["/etc/ssh/keys/root"], "which was read");
        }
    }
}

#[tokio::test]
async fn a_key_that_counts_only_for_some_connections_says_so() {
    for store in stores().await {
        let only = |condition: &str| Opening {
            condition: Some(condition.to_owned()),
            ..key('a')
        };
        let two = [only("from 10.0.0.0/8"), only("at port 2222")];
        hear(&store, &[root(1, 0, &two)], at(0)).await;
        let condition = || async { all(&store, at(9)).await[0].opening.condition.clone() };
        assert_eq!(
            condition().await.as_deref(),
            Some("from 10.0.0.0/8 or at port 2222")
        );
        hear(
            &store,
            &[root(2, 1, &[only("from 10.0.0.0/8"), key('a')])],
            at(1),
        )
        .await;
        assert_eq!(
            condition().await,
            None,
            "one of its lines counts everywhere"
        );
    }
}
