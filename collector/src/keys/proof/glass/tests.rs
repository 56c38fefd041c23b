//! When a break-glass key is proven, when it is told that it opens nothing, and until when.

use futures_util::future::BoxFuture;
use watchward_protocol::proof::{Control, Door, Said};

use super::judge::{Stand, WEEK};
use super::*;
use crate::alerting::testing::{is_of_a_known_kind, raised, told};
use crate::alerting::{self, Severity};
use crate::keys::SCHEMA;
use crate::store::testing;

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn name() -> String {
    format!("SHA256:{}", "g".repeat(43))
}

fn policy(more: &str) -> Policy {
    let text = format!(
        "[[break_glass]]\nfingerprint = \"{}\"\nname = \"the safe\"\n{more}",
        name()
    );
    toml::from_str(&text).unwrap()
}

fn door(account: &str, said: Said, note: &str) -> Door {
    Door {
        key: 0,
        account: account.into(),
        at: "127.0.0.1:22".parse().unwrap(),
        said,
        control: Control::None,
        note: note.to_owned(),
    }
}

fn answer(doors: &[(&str, Said, &str)]) -> Answer {
    let doors = doors
        .iter()
        .map(|(account, said, note)| door(account, *said, note));
    Answer {
        doors: doors.collect(),
        ..Answer::default()
    }
}

fn fresh() -> Glass {
    Glass::new(&name(), "web", NOON)
}

fn said(wanted: &[&str], doors: &[(&str, Said, &str)]) -> Glass {
    fresh().after((wanted, &answer(doors)), [].iter(), NOON)
}

#[test]
fn a_key_is_proven_where_it_opens_all_that_it_should() {
    use Said::{Accepted, Refused, Unknown};
    let all = [("root", Accepted, ""), ("deploy", Refused, "")];
    assert!(said(&[], &all).is_proven(NOON), "one is enough");
    assert!(said(&["root"], &all).is_proven(NOON));
    let lacking = said(&["root", "deploy", "nobody"], &all);
    assert_eq!(lacking.stand(NOON), Stand::Shut(NOON));
    let names: Vec<_> = lacking
        .lacks
        .iter()
        .map(|it| (&*it.account, it.is_sure))
        .collect();
    assert_eq!(names, [("deploy", true), ("nobody", true)]);
    let untold = said(
        &["root"],
        &[("root", Unknown, "its line counts from 10.0.0.0/8 alone")],
    );
    assert!(
        !untold.is_proven(NOON) && untold.stand(NOON) == Stand::Well,
        "{untold:?}"
    );
    assert_eq!(untold.stand(NOON + WEEK), Stand::Unproven(NOON));
    let beside = [door("root", Accepted, "")];
    let own = answer(&[("root", Unknown, "")]);
    let seen = untold.after((&["root"], &own), beside.iter(), NOON + DAY);
    assert!(seen.is_proven(NOON + WEEK), "another host got that answer");
}

#[test]
fn what_one_of_both_hosts_is_refused_is_not_proven() {
    use Said::{Accepted, Refused, Unknown};
    let both = |here, there| {
        let (own, beside) = (answer(&[("root", here, "")]), [door("root", there, "")]);
        fresh().after((&["root"], &own), beside.iter(), NOON)
    };
    for (here, there) in [(Refused, Accepted), (Accepted, Refused)] {
        let shut = both(here, there);
        assert_eq!(shut.stand(NOON), Stand::Shut(NOON), "{here:?}, {there:?}");
        assert!(!shut.is_proven(NOON) && shut.opens.is_empty());
    }
    for (here, there) in [(Accepted, Unknown), (Unknown, Accepted)] {
        assert!(both(here, there).is_proven(NOON), "{here:?}, {there:?}");
    }
    assert!(!both(Unknown, Refused).is_proven(NOON));
}

#[test]
fn what_is_shut_stays_so_since_it_was_first_seen_and_no_sshd_has_no_door() {
    let shut = said(&["root"], &[("root", Said::Refused, "")]);
    let again = answer(&[("root", Said::Refused, "")]);
    let later = shut.after((&["root"], &again), [].iter(), NOON + DAY);
    assert_eq!(later.stand(NOON + DAY), Stand::Shut(NOON));
    let closed = Answer {
        closed: Some("there is no sshd".to_owned()),
        ..Answer::default()
    };
    let closed = later.after((&["root"], &closed), [].iter(), NOON + DAY);
    assert!(closed.is_proven(NOON + DAY) && closed.note.contains("no sshd"));
}

fn both(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>> {
    Box::pin(async { Ok(vec!["db".to_owned(), "web".to_owned()]) })
}

#[tokio::test]
async fn a_host_that_would_not_take_it_is_an_incident_until_it_does() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, policy) = (&*fresh, policy("accounts = [\"root\"]"));
        settle(store, (&policy, both), NOON).await.unwrap();
        let known = rows::all(store).await.unwrap();
        let hosts: Vec<_> = known.iter().map(|one| one.host.as_str()).collect();
        assert_eq!(hosts, ["db", "web"]);
        assert!(known.iter().all(|one| one.is_due(NOON)));

        let web = known.into_iter().nth(1).unwrap();
        let refused = answer(&[("root", Said::Refused, "")]);
        let web = web.after((&["root"], &refused), [].iter(), NOON);
        let key = &policy.break_glass[0];
        assert!(alerts::tell(store, (&web, key), NOON).await.unwrap());
        let [alert] = &raised(store).await[..] else {
            panic!("one incident");
        };
        assert_eq!(alert.severity, Severity::Warning);
        assert_eq!(
            alert.title,
            "web: break-glass key the safe does not open root"
        );
        assert!(is_of_a_known_kind(&alert.key) && told(alert).iter().all(|it| it.contains("web")));
        let kept = rows::all(store).await.unwrap().remove(1);
        assert!(
            !alerts::tell(store, (&kept, key), NOON).await.unwrap(),
            "once"
        );
        assert!(!kept.is_due(NOON) && kept.is_due(NOON + AGAIN));

        let taken = answer(&[("root", Said::Accepted, "")]);
        let kept = kept.after((&["root"], &taken), [].iter(), NOON + DAY);
        assert!(alerts::tell(store, (&kept, key), NOON + DAY).await.unwrap());
        assert!(raised(store).await.is_empty());
    }
}

#[tokio::test]
async fn what_was_not_asked_for_a_week_is_told_and_ends_with_the_policy() {
    for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, policy) = (&*fresh, policy(""));
        settle(store, (&policy, both), NOON).await.unwrap();
        for (at, open) in [(NOON + 6 * DAY, 0), (NOON + WEEK, 2)] {
            for one in rows::all(store).await.unwrap() {
                alerts::tell(store, (&one, &policy.break_glass[0]), at)
                    .await
                    .unwrap();
            }
            assert_eq!(raised(store).await.len(), open);
        }
        let shown = list(store, &policy, NOON + WEEK).await.unwrap();
        assert!(shown.len() == 2 && shown.iter().all(|one| !one.is_proven));
        let ended = settle(store, (&Policy::default(), both), NOON + WEEK).await;
        assert!(ended.unwrap() && raised(store).await.is_empty());
        assert!(rows::all(store).await.unwrap().is_empty());
    }
}

#[test]
fn a_key_that_no_host_has_told_of_opens_nothing_where_there_is_a_door() {
    for (wanted, said) in [
        (&["root"][..], Said::Refused),
        (&["root"], Said::Accepted),
        (&[], Said::Accepted),
    ] {
        let answer = answer(&[("root", said, "")]);
        let shut = fresh().unlisted((wanted, &answer), NOON);
        assert_eq!(shut.stand(NOON), Stand::Shut(NOON), "{said:?}");
        assert_eq!(shut.lacks[0].why, "it stands in no file of any host");
        assert!(shut.opens.is_empty() && !shut.is_proven(NOON));
    }
    let closed = Answer {
        closed: Some("there is no sshd".to_owned()),
        ..Answer::default()
    };
    let none = fresh().unlisted((&[], &closed), NOON);
    assert!(none.is_proven(NOON) && none.note == "there is no sshd");
    let (decoy, other) = (decoy(), decoy());
    assert_eq!(decoy.wire.len(), 51);
    assert_eq!(decoy.fingerprint, Some(fingerprint(&decoy.wire)));
    assert_ne!(decoy, other);
}

#[tokio::test]
async fn a_key_about_which_nobody_was_asked_yet_is_listed() {
    for store in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
        let (store, policy) = (&*store, policy("accounts = [\"root\"]"));
        assert!(list(store, &policy, NOON).await.unwrap().is_empty());
        let told = "INSERT INTO keys_host (host, host_name, next_at) VALUES ($1, 'web', 0)";
        let told = sqlx::query(told).bind(vec![1_u8; 16]);
        told.execute(store.read()).await.unwrap();
        for _ in 0..2 {
            let [one] = &list(store, &policy, NOON).await.unwrap()[..] else {
                panic!("one");
            };
            assert!(one.host == "web" && one.asked_at.is_none() && !one.is_proven);
            settle(
                store,
                (&policy, |_| Box::pin(async { Ok(vec!["web".to_owned()]) })),
                NOON,
            )
            .await
            .unwrap();
        }
    }
}
