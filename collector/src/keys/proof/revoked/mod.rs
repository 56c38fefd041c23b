//! Keys that should open nothing any more: every host is asked about each of them every day.

mod alerts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::proof::{Answer, Control, Door, Said};
use watchward_protocol::receipt;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::elsewhere::{Asking, Elsewhere, Sites, place};
use super::offered::Offered;
use super::{Heard, whole};
use crate::alerting::Bell;
use crate::intake::Questions;
use crate::keys::revocation::Revocations;
use crate::keys::rows::reached::{self, Reached};
use crate::keys::rows::revoked as rows;
use crate::store::Store;
pub(in crate::keys) use alerts::end;
use alerts::judge;

/// How often it is looked whom to ask.
const LOOK: Duration = Duration::from_secs(30);
/// How often each host is asked about each key.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// What was said longer ago than this says nothing of today.
pub(in crate::keys) const STALE: Duration = Duration::from_secs(2 * 24 * 3600);
/// So long after a host could not be asked, it is tried again.
const AGAIN: Duration = Duration::from_secs(600);
/// How many hosts are asked side by side, and how long one may be asked about one key after the other
/// before the next turn.
const SIDE_BY_SIDE: usize = 8;
const TURN: Duration = super::LONGEST;
/// How many doors are kept that a key opens on one host, and how much of what is said of each, in
/// characters.
const MOST_OPENS: usize = 50;
/// How many doors of one host are kept for receipts.
const MOST_DOORS: usize = 4_000;
const LONGEST_NOTE: usize = 300;

/// Lists the hosts there are, by name.
pub(super) type Hosts = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>>;

/// A key that should open nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Revoked {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    pub(in crate::keys) wire: Vec<u8>,
    pub(in crate::keys) reason: String,
    pub(in crate::keys) author: String,
    pub(in crate::keys) at: Timestamp,
    /// What stood after it where it was found, and whose it was by the policy then.
    pub(in crate::keys) comment: String,
    pub(in crate::keys) person: String,
    /// The change with which it was revoked.
    pub(in crate::keys) generation: u64,
}

impl Revoked {
    /// Whether it is the key of certificates, which opens nothing without them.
    pub(in crate::keys) fn is_certificate(&self) -> bool {
        self.kind.ends_with(receipt::Key::CERTIFICATE)
    }
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
    /// Of so many it cannot be told.
    pub(in crate::keys) unknown: usize,
    /// Doors that take it; and those that took it before, until it is told that they do not.
    pub(in crate::keys) accepted: Vec<Opens>,
    pub(in crate::keys) trouble: Option<String>,
    /// What was seen from another host, in one sentence; empty: nobody looked.
    pub(in crate::keys) elsewhere: String,
}

/// A door that takes the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::keys) struct Opens {
    pub(in crate::keys) account: String,
    pub(in crate::keys) at: String,
    pub(in crate::keys) note: String,
}

impl Proven {
    /// What a host says now, and what another saw of it, after what was said `before`.
    fn new(heard: (&str, &Answer, &Elsewhere), before: Option<Self>, at: Timestamp) -> Self {
        let (host, answer, elsewhere) = heard;
        let said = |what| answer.doors.iter().filter(move |it| it.said == what);
        let refused = said(Said::Refused);
        let mut accepted: Vec<_> = said(Said::Accepted).map(Opens::new).collect();
        let seen = elsewhere.doors();
        let seen = seen.filter(|(_, door)| door.said == Said::Accepted);
        accepted.extend(seen.map(|(from, door)| Opens {
            at: place(door.at, from),
            ..Opens::new(door)
        }));
        for one in before.into_iter().flat_map(|it| it.accepted) {
            if !accepted.iter().any(|it| it.is_at(&one)) && !one.is_closed(answer, elsewhere) {
                accepted.push(one);
            }
        }
        let beyond = accepted.len().saturating_sub(MOST_OPENS);
        accepted.truncate(MOST_OPENS);
        let left = (!answer.left.is_empty())
            .then(|| format!("{} accounts were not asked in time", answer.left.len()));
        let trouble = answer.trouble.as_deref().map(plain).or(left);
        let beyond = (beyond > 0).then(|| format!("{beyond} more doors take it"));
        Self {
            host: host.to_owned(),
            at,
            doors: answer.doors.len() + answer.left.len(),
            controlled: refused
                .clone()
                .filter(|it| it.control != Control::None)
                .count(),
            refused: refused.count(),
            unknown: said(Said::Unknown).count() + answer.left.len(),
            accepted,
            trouble: match (trouble, beyond) {
                (Some(trouble), Some(beyond)) => Some(format!("{trouble}; {beyond}")),
                (trouble, beyond) => trouble.or(beyond),
            },
            elsewhere: plain(&elsewhere.sentence()),
        }
    }
}

impl Opens {
    fn new(door: &Door) -> Self {
        Self {
            account: door.account.to_string(),
            at: door.at.to_string(),
            note: plain(&door.note),
        }
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.account, &self.at) == (&other.account, &other.at)
    }

    /// Whether it is told that a door that took the key takes it no more. An account that is gone, or
    /// an address that sshd has left, is missed only in an answer without gaps.
    fn is_closed(&self, answer: &Answer, elsewhere: &Elsewhere) -> bool {
        if answer.closed.is_some() {
            return true;
        }
        // What another host saw, only another host can take back.
        if let Some((at, _)) = self.at.split_once(" from ") {
            let mut seen = elsewhere.doors().map(|(_, door)| door);
            return seen.any(|it| {
                let same = it.account.to_string() == self.account && it.at.to_string() == at;
                same && it.said == Said::Refused
            });
        }
        if answer.trouble.is_some() || !answer.left.is_empty() || answer.doors.is_empty() {
            return false;
        }
        let name = |it: &&Door| it.account.to_string() == self.account;
        let same = |it: &&Door| it.at.to_string() == self.at;
        let of_account = answer.doors.iter().filter(name);
        let mut here = of_account.clone().filter(same).peekable();
        if here.peek().is_some() {
            return here.all(|it| it.said == Said::Refused);
        }
        of_account.into_iter().all(|it| it.said == Said::Refused)
    }
}

/// What a host says is not to move anybody's cursor, nor to fill the database.
fn plain(text: &str) -> String {
    escaped(text).chars().take(LONGEST_NOTE).collect()
}

/// Whether a host is to be asked again soon.
fn failed(said: &Result<Answer, String>) -> bool {
    match said {
        Ok(answer) => answer.trouble.is_some() && answer.doors.is_empty(),
        Err(_) => true,
    }
}

/// Asks every host about every revoked key, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    (questions, hosts, sites): (Questions, Hosts, Sites),
    (revocations, bell): (Revocations, Bell),
    stop: Stop,
) -> anyhow::Result<()> {
    let mut tried: HashMap<String, Instant> = HashMap::new();
    let elsewhere = Asking {
        store: store.clone(),
        questions,
        sites,
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = revocations.asks() => {}
            () = sleep(LOOK) => {}
        }
        tried.retain(|_, at| at.elapsed() < AGAIN);
        let mut due = match due(&store, hosts, clock::now()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "cannot tell which revoked keys to ask about");
                continue;
            }
        };
        due.retain(|host, _| !tried.contains_key(host));
        let asking = due.into_iter().map(|(host, keys)| async {
            let failed = turn(&elsewhere, &host, keys, &bell).await;
            (host, failed)
        });
        let asked = stream::iter(asking).buffer_unordered(SIDE_BY_SIDE);
        let all = asked.filter_map(|(host, failed)| async move { failed.then_some(host) });
        let failing: Vec<String> = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            failing = all.collect() => failing,
        };
        tried.extend(failing.into_iter().map(|host| (host, Instant::now())));
    }
}

/// Asks a host about one key after the other, as long as its turn lasts; says whether it failed.
async fn turn(elsewhere: &Asking, host: &str, keys: Vec<Revoked>, bell: &Bell) -> bool {
    let until = Instant::now() + TURN;
    for key in keys {
        let offered = Offered::of(&key);
        let said = whole(&elsewhere.questions, host, &offered).await;
        let failed = failed(&said);
        let heard = [Heard::from(elsewhere, host, &offered, said).await];
        if let Err(error) = keep(&elsewhere.store, &key.fingerprint, &heard, clock::now()).await {
            tracing::error!(%error, "cannot keep what a host said to a revoked key");
        }
        bell.ring();
        if failed || Instant::now() >= until {
            return failed;
        }
    }
    false
}

/// Whom to ask about what: each host once a day, and as soon as it holds a revocation. One that cannot
/// hold any is asked at once.
async fn due(
    store: &Store,
    hosts: Hosts,
    now: Timestamp,
) -> sqlx::Result<BTreeMap<String, Vec<Revoked>>> {
    let mut keys = rows::revoked(store).await?;
    // Where only the fingerprint is known, there is nothing to show to sshd.
    keys.retain(|key| !key.wire.is_empty());
    let Some(oldest) = keys.iter().map(|key| key.generation).min() else {
        return Ok(BTreeMap::new());
    };
    let (hosts, asked) = (hosts(store).await?, rows::asked(store).await?);
    let held = held(reached::since(store, oldest).await?);
    let holding = reached::holdings(store).await?;
    let mut due: BTreeMap<String, Vec<Revoked>> = BTreeMap::new();
    for host in hosts {
        let held = held.get(&host).map_or(&[][..], Vec::as_slice);
        for key in &keys {
            let last = asked.get(&(key.fingerprint.clone(), host.clone())).copied();
            let held = held.iter().find(|(it, _)| *it >= key.generation);
            let wait = match holding.get(&host).is_some_and(|it| it.has_role) {
                true => AGAIN,
                false => Duration::ZERO,
            };
            let usual = last.map_or(key.at + wait, |last| last + EVERY);
            let next = match held {
                Some((_, held)) if last.is_none_or(|last| last < *held) => usual.min(*held),
                _ => usual,
            };
            if next <= now {
                due.entry(host.clone()).or_default().push(key.clone());
            }
        }
    }
    Ok(due)
}

/// The generations that each host held, and when it was first heard to.
fn held(reached: Vec<Reached>) -> HashMap<String, Vec<(u64, Timestamp)>> {
    let mut held: HashMap<String, Vec<_>> = HashMap::new();
    for one in reached {
        if let Some(at) = one.held_at {
            let of_host = held.entry(one.host).or_default();
            of_host.push((one.generation, at));
        }
    }
    held
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
            let before = rows::before(&mut tx, fingerprint, &one.host).await?;
            let proven = Proven::new((&one.host, answer, &one.elsewhere), before, now);
            let doors = serde_json::to_string(&doors(answer, &one.elsewhere));
            let doors = doors.map_err(|error| sqlx::Error::Encode(error.into()))?;
            rows::keep(&mut tx, fingerprint, (&proven, &doors)).await?;
        }
    }
    judge(&mut tx, fingerprint, now).await?;
    tx.commit().await
}

/// Every door, as a receipt has it: those that another host asked first, for they are few.
fn doors(answer: &Answer, elsewhere: &Elsewhere) -> Vec<receipt::Door> {
    let seen = elsewhere.doors().map(|(from, door)| receipt::Door {
        at: place(door.at, from),
        ..written(door)
    });
    let doors = seen.chain(answer.doors.iter().map(written));
    doors.take(MOST_DOORS).collect()
}

fn written(door: &Door) -> receipt::Door {
    receipt::Door {
        account: door.account.to_string(),
        at: door.at.to_string(),
        said: door.said,
        control: match &door.control {
            Control::Own(fingerprint) => plain(fingerprint),
            Control::Other(account) => format!("a key of {account}"),
            Control::None => String::new(),
        },
        note: plain(&door.note),
    }
}
