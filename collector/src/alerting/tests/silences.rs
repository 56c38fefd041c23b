//! While a silence holds nobody is told; when it ends, people are told of what is open still.

use super::*;
use crate::alerting::about::About;
use crate::alerting::silence::covering;

fn wanted(scope: Scope) -> NewSilence {
    NewSilence {
        scope,
        span: Span::minutes(120),
        reason: "kernel upgrade".to_owned(),
    }
}

fn on(host: &str) -> Scope {
    Scope {
        host: Some(host.to_owned()),
        ..Scope::default()
    }
}

fn about_db3(severity: Severity) -> Alert {
    Alert {
        key: "health.down db-3".to_owned(),
        title: "nginx is down".to_owned(),
        ..brute_force(severity)
    }
}

#[test]
fn a_silence_needs_a_scope_a_reason_and_an_end() {
    let fit = |new: NewSilence| new.fit("ada", NIGHT).map(drop);
    let right = wanted(on("db-3"));
    assert!(fit(right.clone()).is_ok());
    assert!(fit(wanted(Scope::default())).is_err());
    assert!(fit(wanted(on(""))).is_err());
    let mut new = right.clone();
    new.reason = " ".to_owned();
    assert!(fit(new.clone()).is_err());
    new.reason = "x".repeat(201);
    assert!(fit(new).is_err());
    let mut new = right;
    new.span = Span::days(30);
    assert!(fit(new.clone()).is_ok());
    new.span = Span::days(31);
    assert!(fit(new).is_err());
}

#[test]
fn it_covers_what_all_of_its_scope_applies_to() {
    let groups = groups();
    let covers = |scope: Scope, key: &str, severity, host| {
        let silence = wanted(scope).fit("ada", NIGHT).unwrap();
        let about = About::new(key, severity, host);
        covering(&[silence], about, &groups, NIGHT).is_some()
    };
    let down = |scope| covers(scope, "health.down 7", Severity::Critical, Some("db-3"));
    let of = |group: &str| Scope {
        group: Some(group.to_owned()),
        ..Scope::default()
    };
    let key = |key: &str| Scope {
        key: Some(key.to_owned()),
        ..Scope::default()
    };
    let room = |room| Scope {
        room: Some(room),
        ..Scope::default()
    };
    assert!(down(on("db-3")) && !down(on("db-4")));
    assert!(down(of("databases")) && !down(of("webs")));
    assert!(down(key("health.")) && !down(key("hosts.")));
    assert!(down(room(Room::Health)) && !down(room(Room::Hosts)));
    let both = Scope {
        room: Some(Room::Hosts),
        ..on("db-3")
    };
    assert!(!down(both), "each must apply");
    assert!(!covers(on("db-3"), "health.down 7", Severity::Info, None));
}

#[test]
fn who_got_in_is_told_all_the_same_unless_that_is_silenced_too() {
    let covers = |also_critical, key: &str, severity| {
        let scope = Scope {
            also_critical,
            ..on("db-3")
        };
        let silence = wanted(scope).fit("ada", NIGHT).unwrap();
        let about = About::new(key, severity, Some("db-3"));
        covering(&[silence], about, &Groups::default(), NIGHT).is_some()
    };
    for key in [
        "access.login 1",
        "keys.new 1",
        "restriction.outside 1",
        "odd",
    ] {
        assert!(!covers(false, key, Severity::Critical), "{key}");
        assert!(covers(true, key, Severity::Critical), "{key}");
        assert!(covers(false, key, Severity::Warning), "{key}");
    }
}

async fn events(life: &Life) -> Vec<String> {
    sqlx::query_scalar("SELECT event FROM alerting_history ORDER BY id")
        .fetch_all(life.store.read())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_open_still_is_told_when_its_silence_ends_and_says_so() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let new = wanted(on("db-3"));
        let silence = add_silence(&life.store, new, "ada", clock::now()).await;
        let silence = silence.unwrap().unwrap();
        life.raise(&about_db3(Severity::Critical)).await;
        life.deliver_all().await;
        assert!(life.states().await.is_empty(), "{:?}", fresh.kind());
        assert_eq!(events(&life).await, ["opened", "silenced"]);

        let ended = end_silence(&life.store, silence.id, "bob", clock::now()).await;
        assert!(ended.unwrap());
        life.deliver(wait("nobody is told", async || {
            life.states().await.len() == 2 && life.is_quiet().await
        }))
        .await;
        let events = events(&life).await;
        assert_eq!(
            events,
            ["opened", "silenced", "silence over", "written", "written"]
        );
        let sms = std::fs::read_dir(folder.path()).unwrap();
        let sms: Vec<_> = sms
            .map(|one| std::fs::read_to_string(one.unwrap().path()))
            .collect();
        let said = |text: &Result<String, _>| text.as_ref().unwrap().contains(" by ada");
        assert_eq!(sms.iter().filter(|text| said(text)).count(), 2, "{sms:?}");
        life.resolve(&about_db3(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(life.states().await.len(), 4);
    }
}

#[tokio::test]
async fn what_is_over_before_its_silence_ends_was_never_told() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let now = clock::now();
        let new = wanted(on("db-3"));
        add_silence(&life.store, new, "ada", now)
            .await
            .unwrap()
            .unwrap();
        life.raise(&about_db3(Severity::Critical)).await;
        life.deliver_all().await;
        life.resolve(&about_db3(Severity::Critical)).await;
        let mut outbox = life.outbox().await;
        outbox
            .prepare(now + Duration::from_secs(7_201))
            .await
            .unwrap();
        assert!(life.states().await.is_empty(), "{:?}", fresh.kind());
        assert_eq!(events(&life).await, ["opened", "silenced", "resolved"]);
    }
}

#[tokio::test]
async fn the_end_of_what_was_told_before_is_told_during_a_silence() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        life.raise(&about_db3(Severity::Warning)).await;
        life.deliver_all().await;
        let new = wanted(on("db-3"));
        add_silence(&life.store, new, "ada", clock::now())
            .await
            .unwrap()
            .unwrap();
        life.raise(&about_db3(Severity::Critical)).await;
        life.deliver_all().await;
        assert_eq!(life.states().await.len(), 1, "the rise is not told");
        life.resolve(&about_db3(Severity::Critical)).await;
        life.deliver_all().await;
        let states = life.states().await;
        assert_eq!((states.len(), states[1].1.as_str()), (2, "resolved"));
    }
}

#[tokio::test]
async fn silences_are_listed_with_author_and_end_also_when_they_have_ended() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let life = Life::begin(&fresh, impatient(folder.path())).await;
        let now = clock::now();
        let new = wanted(Scope {
            room: Some(Room::Health),
            ..on("db-3")
        });
        let kept = add_silence(&life.store, new, "ada", now)
            .await
            .unwrap()
            .unwrap();
        let all = silences(&life.store).await.unwrap();
        assert_eq!(all, std::slice::from_ref(&kept));
        let end = |at| end_silence(&life.store, kept.id, "bob", at);
        assert!(end(now).await.unwrap());
        assert!(!end(now).await.unwrap(), "it has ended already");
        let all = silences(&life.store).await.unwrap();
        assert_eq!(all[0].ended_by.as_deref(), Some("bob"));
        let mut tx = life.store.begin().await.unwrap();
        let month = Duration::from_secs(30 * 86_400);
        rows::prune(&mut tx, now).await.unwrap();
        assert_eq!(rows::holding(&mut *tx, now).await.unwrap(), []);
        rows::prune(&mut tx, now + month).await.unwrap();
        tx.commit().await.unwrap();
        assert!(silences(&life.store).await.unwrap().is_empty());
    }
}
