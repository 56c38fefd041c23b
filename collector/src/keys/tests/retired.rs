//! Keys that somebody put there, and that are too old.

use super::*;
use crate::keys::retire::look;

fn policy(text: &str) -> Policy {
    toml::from_str(&format!("max_age = \"30d\"\nshadow = \"14d\"\n{text}")).unwrap()
}

/// What is open, but for what is told of every key that is too old.
async fn said(store: &Store) -> Vec<String> {
    let all = open(store).await;
    let about = |text: &String| text.contains("to go") || text.contains("revoked");
    all.into_iter().filter(about).collect()
}

/// Judges all, and then what is too old.
async fn go_on(store: &Store, policy: &Policy, day: i64) {
    pass_by(store, policy, at(day * DAY)).await;
    look(store, policy, at(day * DAY)).await.unwrap();
}

async fn revoked_now(store: &Store) -> Vec<String> {
    let all = rows::revoked::revoked(store).await.unwrap();
    all.into_iter().map(|one| one.fingerprint).collect()
}

/// Root has two keys, and comes by both; `b` is new.
async fn begun(store: &Store) {
    begin(store).await;
    let late = 29 * DAY;
    hear(store, &[root(3, late, &[key('a'), key('b')])], at(late)).await;
    log_in(store, &[login(9, late + 60, 'b')], at(late + 60)).await;
}

#[tokio::test]
async fn an_old_key_is_shadowed_with_every_use_told_and_then_revoked() {
    let policy = policy("retire = \"revoke\"\n");
    for store in stores().await {
        begun(&store).await;
        go_on(&store, &policy, 29).await;
        assert_eq!(said(&store).await, [""; 0]);
        go_on(&store, &policy, 31).await;
        assert_eq!(said(&store).await, [""; 0], "nobody used it since");
        log_in(&store, &[login(10, 32 * DAY, 'a')], at(32 * DAY)).await;
        go_on(&store, &policy, 33).await;
        let used = ["warning a key that is to go is used: root@web-1"];
        assert_eq!(said(&store).await, used);
        go_on(&store, &policy, 44).await;
        assert_eq!(revoked_now(&store).await, [""; 0], "a day is left");
        go_on(&store, &policy, 46).await;
        assert_eq!(revoked_now(&store).await, [fingerprint('a')]);
        assert_eq!(said(&store).await, [""; 0]);
        let one = rows::revoked::find(&store, rows::revoked::Which::Last(&fingerprint('a')))
            .await
            .unwrap()
            .unwrap()
            .1;
        assert_eq!((&*one.author, &*one.comment), ("policy", "a@laptop"));
        let stands = all(&store, at(46 * DAY)).await;
        assert!(
            stands
                .iter()
                .any(|it| it.gone_at.is_none() && it.opening == key('a')),
            "the file is left"
        );
    }
}

#[tokio::test]
async fn the_only_way_in_that_anybody_came_by_stays() {
    let policy = policy("retire = \"revoke\"\n");
    for store in stores().await {
        begin(&store).await;
        let late = 29 * DAY;
        hear(&store, &[root(3, late, &[key('a'), key('b')])], at(late)).await;
        go_on(&store, &policy, 31).await;
        go_on(&store, &policy, 60).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        let [told] = &said(&store).await[..] else {
            panic!("{:?}", open(&store).await);
        };
        assert!(
            told.starts_with("warning old key SHA256:aaa") && told.ends_with("cannot be revoked")
        );
        log_in(&store, &[login(9, 60 * DAY, 'b')], at(60 * DAY)).await;
        go_on(&store, &policy, 61).await;
        // What was new on day 29 is too old by then as well, and the last that is left.
        assert_eq!(revoked_now(&store).await, [fingerprint('a')]);
    }
}

#[tokio::test]
async fn where_the_policy_warns_alone_nothing_becomes_of_an_old_key() {
    for store in stores().await {
        begun(&store).await;
        let stern = policy("retire = \"shadow\"\n");
        go_on(&store, &stern, 31).await;
        log_in(&store, &[login(10, 32 * DAY, 'a')], at(32 * DAY)).await;
        go_on(&store, &stern, 200).await;
        assert_eq!(said(&store).await.len(), 1);
        assert_eq!(
            revoked_now(&store).await,
            [""; 0],
            "it is told of and no more"
        );
        go_on(&store, &policy(""), 201).await;
        assert_eq!(said(&store).await, [""; 0], "another policy ends it");
        assert_eq!(revoked_now(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn the_key_for_emergencies_is_never_too_old() {
    let safe = format!(
        "[[break_glass]]\nname = \"safe\"\nfingerprint = \"{}\"",
        fingerprint('a')
    );
    let policy = policy(&format!("retire = \"revoke\"\n{safe}"));
    for store in stores().await {
        begun(&store).await;
        go_on(&store, &policy, 31).await;
        go_on(&store, &policy, 200).await;
        assert!(!revoked_now(&store).await.contains(&fingerprint('a')));
    }
}

#[tokio::test]
async fn who_does_not_replace_a_shadowed_key_is_paged() {
    let policy = policy("retire = \"shadow\"\n");
    for store in stores().await {
        begun(&store).await;
        let late = async || {
            let all = open(&store).await;
            all.into_iter()
                .filter(|it| it.contains("was to be replaced by"))
                .count()
        };
        go_on(&store, &policy, 31).await;
        go_on(&store, &policy, 44).await;
        assert_eq!(late().await, 0, "a day is left");
        go_on(&store, &policy, 46).await;
        go_on(&store, &policy, 47).await;
        assert_eq!(late().await, 1);
        assert_eq!(revoked_now(&store).await, [""; 0]);
        go_on(&store, &self::policy("retire = \"warn\"\n"), 48).await;
        assert_eq!(late().await, 0);
    }
}

#[tokio::test]
async fn what_a_host_only_calls_a_key_of_sshd_is_not_revoked() {
    let policy = policy("retire = \"revoke\"\n");
    let peer = "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=";
    for store in stores().await {
        let mut forged = key('x');
        if let Some(key) = &mut forged.key {
            key.fingerprint = peer.to_owned();
        }
        hear(&store, &[root(1, 0, &[key('a'), forged])], at(0)).await;
        hear(&store, &[itself(2, 0, &["root"], &[])], at(1)).await;
        log_in(&store, &[login(9, 60, 'a')], at(60)).await;
        go_on(&store, &policy, 31).await;
        go_on(&store, &policy, 60).await;
        assert_eq!(revoked_now(&store).await, [""; 0], "it is a peer's key");
    }
}

#[tokio::test]
async fn the_key_that_a_host_shows_is_not_revoked_for_what_another_says_of_it() {
    let policy = policy("retire = \"revoke\"\n");
    for store in stores().await {
        begun(&store).await;
        // It says that the other's key opens it, and waits until that is too old.
        let shown = means(Means::HostKey, key('a'));
        let web_2 = Holder::Host(vec!["root".into()]);
        hear(&store, &[heard(2, 1, 0, web_2, &[shown])], at(2)).await;
        go_on(&store, &policy, 31).await;
        go_on(&store, &policy, 46).await;
        assert_eq!(revoked_now(&store).await, [""; 0]);
        let said = said(&store).await;
        assert!(
            said.iter().any(|it| it.ends_with("cannot be revoked")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn whoever_takes_an_old_key_away_for_a_moment_gains_no_time() {
    let policy = policy("retire = \"revoke\"\n");
    for store in stores().await {
        begun(&store).await;
        go_on(&store, &policy, 31).await;
        log_in(&store, &[login(10, 32 * DAY, 'a')], at(32 * DAY)).await;
        go_on(&store, &policy, 33).await;
        assert_eq!(said(&store).await.len(), 1);
        let away = 40 * DAY;
        hear_by(&store, &policy, &[root(4, away, &[key('b')])], at(away)).await;
        go_on(&store, &policy, 40).await;
        assert_eq!(said(&store).await, [""; 0], "it opens nothing");
        let back = away + 60;
        let both = [key('a'), key('b')];
        hear_by(&store, &policy, &[root(5, back, &both)], at(back)).await;
        look(&store, &policy, at(back)).await.unwrap();
        go_on(&store, &policy, 45).await;
        assert_eq!(said(&store).await.len(), 1, "its use is told of again");
        assert_eq!(revoked_now(&store).await, [""; 0], "a minute is left");
        go_on(&store, &policy, 46).await;
        assert_eq!(revoked_now(&store).await, [fingerprint('a')]);
    }
}

#[tokio::test]
async fn whoever_shows_many_keys_of_others_keeps_no_use_of_the_last_of_them_secret() {
    let policy = policy("retire = \"revoke\"\n");
    for store in stores().await {
        begin(&store).await;
        let many: Vec<_> = ('a'..='u').map(key).collect();
        hear(&store, &[root(3, 1, &many)], at(1)).await;
        let shown: Vec<_> = many
            .into_iter()
            .zip(1..)
            .map(|(key, number)| Opening {
                means: Means::HostKey,
                file: format!("/etc/ssh/{number}"),
                ..key
            })
            .collect();
        let web_2 = Holder::Host(vec!["root".into()]);
        hear(&store, &[heard(2, 1, 0, web_2, &shown)], at(2)).await;
        go_on(&store, &policy, 31).await;
        log_in(&store, &[login(10, 32 * DAY, 'u')], at(32 * DAY)).await;
        go_on(&store, &policy, 46).await;
        let said = said(&store).await;
        let kept = said.iter().filter(|it| it.ends_with("cannot be revoked"));
        assert_eq!(kept.count(), 20, "{said:?}");
        let used = said
            .iter()
            .any(|it| it.contains("a key that is to go is used"));
        assert!(used, "{said:?}");
    }
}

#[tokio::test]
async fn who_is_only_warned_is_paged_by_the_deadline_that_the_policy_says() {
    let warning = policy("retire = \"warn\"\ndeadline = \"7d\"\n");
    for store in stores().await {
        begun(&store).await;
        let late = async || {
            let all = open(&store).await;
            let late = all
                .into_iter()
                .filter(|it| it.contains("was to be replaced by"));
            late.collect::<Vec<_>>()
        };
        go_on(&store, &warning, 31).await;
        log_in(&store, &[login(10, 32 * DAY, 'a')], at(32 * DAY)).await;
        go_on(&store, &warning, 37).await;
        assert_eq!(late().await, [""; 0], "a day is left");
        go_on(&store, &warning, 38).await;
        let told = late().await;
        assert!(
            told.len() == 1 && told[0].starts_with("critical"),
            "{told:?}"
        );
        assert_eq!(said(&store).await, [""; 0], "nobody asked who uses it");
        go_on(&store, &policy("retire = \"warn\"\n"), 39).await;
        assert_eq!(late().await, [""; 0]);
    }
}
