//! Keys for emergencies: every host is asked whether it would take each, without a login.

mod alerts;
mod judge;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::proof::Answer;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::elsewhere::{Asking, Sites};
use super::offered::{Offered, fingerprint};
use super::revoked::Hosts;
use super::{AT_ONCE, Heard, of};
use crate::alerting::Bell;
use crate::intake::Questions;
use crate::keys::guarded::BreakGlass;
use crate::keys::policy::Policy;
use crate::keys::rows::{glass as rows, revoked, wire};
use crate::store::Store;
pub(in crate::keys) use judge::Glass;
pub(in crate::keys) use shown::{ShownGlass, list};

/// How often it is looked whom to ask.
const LOOK: Duration = Duration::from_secs(60);
/// How often each host is asked about each key: one that is away for some days is proven within a week
/// all the same.
const EVERY: Duration = Duration::from_secs(86_400);
/// And so often while it does not open what it should, or could not be asked.
const AGAIN: Duration = Duration::from_secs(600);
/// So long after the start nobody is told that a host was not asked: nobody could ask while the
/// collector was away.
const SETTLE: Duration = Duration::from_secs(3600);

/// Asks every host about every break-glass key, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    (questions, hosts, sites): (Questions, Hosts, Sites),
    (policy, bell): (Live<Policy>, Bell),
    stop: Stop,
) -> anyhow::Result<()> {
    let settled = clock::now() + SETTLE;
    let mut round = Round {
        asking: Asking::new(store, questions, sites),
        hosts,
        settled,
        tried: HashMap::new(),
    };
    loop {
        let policy = policy.now();
        // Hosts may take long to answer.
        let looked = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            looked = round.look(&policy) => looked,
        };
        let what = "look what break-glass keys open";
        if !bell.after(what, looked, (LOOK, &stop)).await {
            return Ok(());
        }
    }
}

/// What is needed to look.
struct Round {
    asking: Asking,
    hosts: Hosts,
    settled: Timestamp,
    /// Who said nothing lately.
    tried: HashMap<(String, String), Instant>,
}

impl Round {
    /// Asks whoever is due, and tells; says whether anything was told.
    async fn look(&mut self, policy: &Policy) -> sqlx::Result<bool> {
        let store = &self.asking.store;
        let mut told = settle(store, (policy, self.hosts), clock::now()).await?;
        self.tried.retain(|_, at| at.elapsed() < AGAIN);
        let known = rows::all(store).await?;
        let is_due = |one: &&Glass| {
            let key = (one.fingerprint.clone(), one.host.clone());
            one.is_due(clock::now()) && !self.tried.contains_key(&key)
        };
        let asking = known.iter().filter(is_due).map(|one| self.ask(policy, one));
        let asking: Vec<_> = asking.collect();
        let asked = stream::iter(asking).buffer_unordered(AT_ONCE);
        let asked: Vec<sqlx::Result<Option<(String, String)>>> = asked.collect().await;
        for one in asked {
            self.tried.extend(one?.map(|mute| (mute, Instant::now())));
        }
        let now = clock::now();
        for one in rows::all(&self.asking.store).await? {
            let is_settled = now >= self.settled || one.shut_at.is_some() || one.told.is_some();
            if let Some(key) = find(policy, &one).filter(|_| is_settled) {
                told |= alerts::tell(&self.asking.store, (&one, key), now).await?;
            }
        }
        Ok(told)
    }

    /// Asks one host about one key, and keeps what it said; whom, if it said nothing.
    async fn ask(&self, policy: &Policy, one: &Glass) -> sqlx::Result<Option<(String, String)>> {
        let store = &self.asking.store;
        let Some(key) = find(policy, one) else {
            return Ok(None);
        };
        let accounts: Vec<&str> = key.accounts().collect();
        let known = wire::find(store, &one.fingerprint).await?;
        if known.is_none() && !revoked::hosts(store).await?.contains(&one.host) {
            // It may stand in a file there, of which the host has yet to tell.
            return Ok(None);
        }
        let offered = [known.as_ref().map_or_else(decoy, |(kind, wire)| Offered {
            kind: kind.clone(),
            fingerprint: Some(one.fingerprint.clone()),
            wire: wire.clone(),
        })];
        let names = accounts.iter().map(|name| Foreign::from(*name)).collect();
        let said = of(&self.asking.questions, &one.host, (&offered, names)).await;
        let heard = Heard::from(&self.asking, &one.host, &offered, said).await;
        let Some(heard) = heard.into_iter().next() else {
            return Ok(None);
        };
        let answer = match &heard.said {
            Ok(answer) if !is_mute(answer) => answer,
            Ok(_) | Err(_) => return Ok(Some((one.fingerprint.clone(), one.host.clone()))),
        };
        let beside = heard.elsewhere.doors().map(|(_, door)| door);
        let (one, now) = (one.clone(), clock::now());
        let after = match known {
            Some(_) => one.after((&accounts, answer), beside, now),
            None => one.unlisted((&accounts, answer), now),
        };
        keep(store, &after).await?;
        Ok(None)
    }
}

/// What is shown to sshd in the place of a key that no host has told of, to see whether there is a door at
/// all: drawn by lot, so that nobody has it in a file.
fn decoy() -> Offered {
    const KIND: &str = "ssh-ed25519";
    let mut wire = vec![0, 0, 0, 11];
    wire.extend(KIND.as_bytes());
    wire.extend([0, 0, 0, 32]);
    wire.extend(rand::random::<[u8; 32]>());
    Offered {
        kind: KIND.to_owned(),
        fingerprint: Some(fingerprint(&wire)),
        wire,
    }
}

/// Whether it says nothing of any door, nor that there is none.
fn is_mute(answer: &Answer) -> bool {
    answer.doors.is_empty() && answer.closed.is_none() && answer.trouble.is_some()
}

async fn keep(store: &Store, one: &Glass) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    rows::keep(&mut tx, one).await?;
    tx.commit().await
}

impl Glass {
    /// The same of a key that no host has told of, after its host was shown another: it opens nothing where
    /// there is a door, whatever is said of that one.
    fn unlisted(self, (wanted, answer): (&[&str], &Answer), now: Timestamp) -> Self {
        let none = Answer {
            closed: answer.closed.clone(),
            ..Answer::default()
        };
        let mut after = self.after((wanted, &none), [].iter(), now);
        for lack in &mut after.lacks {
            "it stands in no file of any host".clone_into(&mut lack.why);
        }
        after
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let wait = match self.lacks.is_empty() {
            true => EVERY,
            false => AGAIN,
        };
        self.asked_at.is_none_or(|at| at + wait <= now)
    }
}

fn find<'a>(policy: &'a Policy, one: &Glass) -> Option<&'a BreakGlass> {
    let mut keys = policy.break_glass.iter();
    keys.find(|key| key.fingerprint.as_str() == one.fingerprint)
}

/// Has there be one of each key and host that it is to open, and no other; says whether an incident
/// ended.
async fn settle(
    store: &Store,
    (policy, hosts): (&Policy, Hosts),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let known = rows::all(store).await?;
    if known.is_empty() && policy.break_glass.is_empty() {
        return Ok(false);
    }
    let hosts = hosts(store).await?;
    let mut wanted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for key in &policy.break_glass {
        let its = hosts.iter().filter(|host| key.is_for(host));
        wanted.extend(its.map(|host| (key.fingerprint.as_str(), host.as_str())));
    }
    let mut ended = false;
    let mut tx = store.begin().await?;
    for one in &known {
        if !wanted.remove(&(one.fingerprint.as_str(), one.host.as_str())) {
            alerts::end(&mut tx, one, now).await?;
            ended |= one.told.is_some();
        }
    }
    for (fingerprint, host) in wanted {
        rows::keep(&mut tx, &Glass::new(fingerprint, host, now)).await?;
    }
    tx.commit().await?;
    Ok(ended)
}
