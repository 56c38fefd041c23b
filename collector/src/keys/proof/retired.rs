//! Keys that should open nothing any more: every host is asked about each of them every day.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::proof::{Answer, Control, Said};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::offered::Offered;
use super::{Heard, whole};
use crate::alerting::{self, Alert, Bell, Severity};
use crate::intake::Questions;
use crate::keys::rows::retired as rows;
use crate::store::{Store, Tx};

/// How often it is looked whom to ask.
const LOOK: Duration = Duration::from_secs(30);
/// How often each host is asked about each key.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// So long after a host could not be asked, it is tried again.
const AGAIN: Duration = Duration::from_secs(600);

/// Lists the hosts there are, by name.
pub(super) type Hosts = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>>;

/// A key that should open nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Retired {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    pub(in crate::keys) wire: Vec<u8>,
    pub(in crate::keys) reason: String,
    pub(in crate::keys) author: String,
    pub(in crate::keys) at: Timestamp,
}

/// What a host said last to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Proven {
    pub(in crate::keys) host: String,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) doors: usize,
    pub(in crate::keys) refused: usize,
    /// Of those, so many took another key in the same breath.
    pub(in crate::keys) controlled: usize,
    pub(in crate::keys) accepted: Vec<Opens>,
    pub(in crate::keys) trouble: Option<String>,
}

/// A door that takes the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::keys) struct Opens {
    pub(in crate::keys) account: String,
    pub(in crate::keys) at: String,
    pub(in crate::keys) note: String,
}

impl Proven {
    fn new(host: &str, answer: &Answer, at: Timestamp) -> Self {
        let refused = answer.doors.iter().filter(|it| it.said == Said::Refused);
        let accepted = answer.doors.iter().filter(|it| it.said == Said::Accepted);
        let opens = |door: &watchward_protocol::proof::Door| Opens {
            account: door.account.to_string(),
            at: door.at.to_string(),
            note: door.note.escape_debug().to_string(),
        };
        let left = (!answer.left.is_empty())
            .then(|| format!("{} accounts were not asked in time", answer.left.len()));
        let trouble = answer
            .trouble
            .as_deref()
            .map(|it| it.escape_debug().to_string());
        Self {
            host: host.to_owned(),
            at,
            doors: answer.doors.len() + answer.left.len(),
            controlled: refused
                .clone()
                .filter(|it| it.control != Control::None)
                .count(),
            refused: refused.count(),
            accepted: accepted.map(opens).collect(),
            trouble: trouble.or(left),
        }
    }
}

/// Asks every host about every retired key, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    (questions, hosts): (Questions, Hosts),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut tried: HashMap<String, Instant> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(LOOK) => {}
        }
        tried.retain(|_, at| at.elapsed() < AGAIN);
        let due = match due(&store, hosts, clock::now()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "cannot tell which retired keys to ask about");
                continue;
            }
        };
        for (host, key) in due {
            if tried.contains_key(&host) {
                continue;
            }
            let offered = Offered::of(&key);
            let said = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                said = whole(&questions, &host, &offered) => said,
            };
            if said.is_err() {
                tried.insert(host.clone(), Instant::now());
            }
            let heard = [Heard { host, said }];
            if let Err(error) = keep(&store, &key.fingerprint, &heard, clock::now()).await {
                tracing::error!(%error, "cannot keep what a host said to a retired key");
            }
            bell.ring();
        }
    }
}

/// Whom to ask about what. Who retired a key has asked once.
async fn due(store: &Store, hosts: Hosts, now: Timestamp) -> sqlx::Result<Vec<(String, Retired)>> {
    let keys = rows::retired(store).await?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (hosts, asked) = (hosts(store).await?, rows::asked(store).await?);
    let mut due = Vec::new();
    for host in hosts {
        for key in &keys {
            let last = asked.get(&(key.fingerprint.clone(), host.clone()));
            let next = last.map_or(key.at + AGAIN, |last| *last + EVERY);
            if next <= now {
                due.push((host.clone(), key.clone()));
            }
        }
    }
    Ok(due)
}

/// Keeps what hosts said to a key, and tells people if it opens something.
pub(super) async fn keep(
    store: &Store,
    fingerprint: &str,
    heard: &[Heard],
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    for one in heard {
        if let Ok(answer) = &one.said {
            rows::keep(&mut tx, fingerprint, &Proven::new(&one.host, answer, now)).await?;
        }
    }
    judge(&mut tx, fingerprint, now).await?;
    tx.commit().await
}

/// A retired key that opens anything is an incident, until it opens nothing.
pub(super) async fn judge(tx: &mut Tx, fingerprint: &str, now: Timestamp) -> sqlx::Result<()> {
    let opens = rows::opens(tx, fingerprint).await?;
    let key = format!("keys.retired {fingerprint}");
    match alert(fingerprint, &opens) {
        Some(alert) => alerting::raise(tx, &Alert { key, ..alert }, now).await,
        None => alerting::resolve(tx, &key, "no door takes it", now).await,
    }
}

fn alert(fingerprint: &str, opens: &[(String, Proven)]) -> Option<Alert> {
    let doors = || {
        let of_host = |(_, proven): &'_ (String, Proven)| {
            let host = proven.host.clone();
            let doors = proven.accepted.clone().into_iter();
            doors
                .map(move |door| (host.clone(), door))
                .collect::<Vec<_>>()
        };
        opens.iter().flat_map(of_host)
    };
    let (host, first) = doors().next()?;
    let more = match doors().count() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let account = Foreign::from(first.account.as_str()).shortened(20);
    let name = Foreign::from(host.as_str()).shortened(20);
    let lines: Vec<_> = doors()
        .take(50)
        .map(|(host, door)| format!("{}@{host} ({}): {}", door.account, door.at, door.note))
        .collect();
    let short: String = fingerprint.chars().take(19).collect();
    Some(Alert {
        key: String::new(),
        severity: Severity::Critical,
        host: (opens.len() == 1).then_some(host),
        title: format!("retired key {short}… opens {account}@{name}{more}"),
        detail: format!(
            "The key {fingerprint} was retired, and sshd would still take it:\n{}",
            lines.join("\n")
        ),
        advice: "Take it out of the file that is named, or revoke it there (RevokedKeys)."
            .to_owned(),
        since: opens.iter().map(|(_, proven)| proven.at).min()?,
    })
}

#[cfg(test)]
mod tests {
    use watchward_protocol::proof::Door;

    use super::*;
    use crate::alerting::testing::{raised, told};
    use crate::keys::SCHEMA;
    use crate::store::testing;

    const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn door(account: &str, said: Said, control: Control) -> Door {
        Door {
            account: account.into(),
            at: "127.0.0.1:22".parse().unwrap(),
            said,
            control,
            note: String::new(),
        }
    }

    fn heard(host: &str, doors: Vec<Door>) -> Heard {
        let answer = Answer {
            doors,
            ..Answer::default()
        };
        Heard {
            host: host.to_owned(),
            said: Ok(answer),
        }
    }

    fn old() -> Retired {
        Retired {
            fingerprint: format!("SHA256:{}", "a".repeat(43)),
            kind: "ssh-ed25519".into(),
            wire: vec![1, 2],
            reason: "zoe has left".into(),
            author: "ada".into(),
            at: NOON,
        }
    }

    fn both(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>> {
        Box::pin(async { Ok(vec!["db".to_owned(), "web".to_owned()]) })
    }

    #[tokio::test]
    async fn a_retired_key_that_opens_something_is_an_incident_until_it_opens_nothing() {
        for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let (store, key) = (&*fresh, old());
            let mut tx = store.begin().await.unwrap();
            assert!(rows::retire(&mut tx, &key).await.unwrap());
            assert!(!rows::retire(&mut tx, &key).await.unwrap(), "twice is once");
            tx.commit().await.unwrap();

            let taken = door("root", Said::Accepted, Control::None);
            let refused = door("zoe", Said::Refused, Control::Other("root".into()));
            let said = [
                heard("web", vec![taken, refused.clone()]),
                heard("db", vec![refused.clone()]),
            ];
            keep(store, &key.fingerprint, &said, NOON).await.unwrap();
            let [alert] = &raised(store).await[..] else {
                panic!("one incident");
            };
            assert_eq!(alert.severity, Severity::Critical);
            assert!(alert.title.contains("opens root@web"), "{}", alert.title);
            assert!(told(alert).iter().all(|text| text.contains("root@web")));

            // Another host's answer changes nothing about that.
            keep(store, &key.fingerprint, &said[1..], NOON)
                .await
                .unwrap();
            assert_eq!(raised(store).await.len(), 1);
            let said = [heard("web", vec![refused])];
            keep(store, &key.fingerprint, &said, NOON).await.unwrap();
            assert!(raised(store).await.is_empty());
            let all = rows::proven(store).await.unwrap();
            let counts: Vec<_> = all
                .iter()
                .map(|(_, it)| (it.host.as_str(), it.doors, it.controlled))
                .collect();
            assert_eq!(counts, [("db", 1, 1), ("web", 1, 1)]);
        }
    }

    #[tokio::test]
    async fn every_host_is_asked_every_day() {
        for fresh in testing::stores(&[SCHEMA, alerting::SCHEMA]).await {
            let (store, key) = (&*fresh, old());
            let mut tx = store.begin().await.unwrap();
            rows::retire(&mut tx, &key).await.unwrap();
            tx.commit().await.unwrap();
            let whom = async |at| {
                let due = due(store, both, at).await.unwrap();
                due.into_iter().map(|(host, _)| host).collect::<Vec<_>>()
            };
            assert_eq!(whom(NOON).await, [""; 0], "it was asked as it was retired");
            assert_eq!(whom(NOON + AGAIN).await, ["db", "web"]);
            keep(
                store,
                &key.fingerprint,
                &[heard("db", Vec::new())],
                NOON + AGAIN,
            )
            .await
            .unwrap();
            assert_eq!(whom(NOON + AGAIN).await, ["web"]);
            assert_eq!(whom(NOON + AGAIN + EVERY).await, ["db", "web"]);
            let mut tx = store.begin().await.unwrap();
            assert!(rows::reinstate(&mut tx, &key.fingerprint).await.unwrap());
            tx.commit().await.unwrap();
            assert_eq!(whom(NOON + AGAIN + EVERY).await, [""; 0]);
        }
    }
}
