//! Who is asked about which revoked key, and when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::proof::{Answer, MOST_KEYS};
use watchward_protocol::time::Timestamp;

use super::{Revoked, keep};
use crate::alerting::Bell;
use crate::intake::Questions;
use crate::keys::proof::elsewhere::{Asking, Sites};
use crate::keys::proof::offered::Offered;
use crate::keys::proof::{Heard, LONGEST, whole};
use crate::keys::revocation::Revocations;
use crate::keys::rows::asked::{Asked, asked};
use crate::keys::rows::reached::{self, Reached};
use crate::keys::rows::revoked as rows;
use crate::store::Store;

/// How often it is looked whom to ask, and how soon where somebody waits for the answer.
const LOOK: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(5);
/// How often each host is asked about each key.
pub(super) const EVERY: Duration = Duration::from_secs(24 * 3600);
/// So long after a host could not be asked, it is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(600);
/// How many hosts are asked side by side, and how long one may be asked about some keys after the others
/// before the next turn.
const SIDE_BY_SIDE: usize = 8;
const TURN: Duration = LONGEST;

/// Lists the hosts there are, by name.
pub(in crate::keys::proof) type Hosts = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<String>>>;

/// What is asked of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Each host itself, as soon as it holds a revocation: a rotation waits for its word.
    First,
    /// Each host, and what another sees of it, which takes long: after the first word, and every day.
    Daily,
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
    let rounds = Rounds {
        asking: Asking::new(store, questions, sites),
        hosts,
        bell,
        waiting: Mutex::default(),
    };
    let first = rounds.run(Pass::First, || revocations.asks());
    let daily = rounds.run(Pass::Daily, std::future::pending);
    tokio::select! {
        () = stop.cancelled() => {}
        () = first => {}
        () = daily => {}
    }
    Ok(())
}

/// Who asks.
struct Rounds {
    asking: Asking,
    hosts: Hosts,
    bell: Bell,
    /// The hosts whose first word about a key is waited for: nobody asks them for anything else.
    waiting: Mutex<HashSet<String>>,
}

impl Rounds {
    /// Looks again and again whom to ask, also when it is woken, and asks: whoever answers slowly holds
    /// up nobody else.
    async fn run<W: Future<Output = ()>>(&self, pass: Pass, woken: impl Fn() -> W) {
        let mut tried: HashMap<String, Instant> = HashMap::new();
        let mut asked: HashSet<String> = HashSet::new();
        let side_by_side = Semaphore::new(SIDE_BY_SIDE);
        let mut turns = FuturesUnordered::new();
        let mut look = pin!(sleep(pass.look()));
        loop {
            tokio::select! {
                () = woken() => {}
                () = look.as_mut() => {}
                Some((host, failed)) = turns.next() => {
                    asked.remove(&host);
                    if failed {
                        tried.insert(host, Instant::now());
                    }
                    continue;
                }
            }
            look.set(sleep(pass.look()));
            tried.retain(|_, at| at.elapsed() < pass.again());
            let due = due(&self.asking.store, (pass, self.hosts), clock::now()).await;
            let mut due = match due {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "cannot tell which revoked keys to ask about");
                    continue;
                }
            };
            due.retain(|host, _| !tried.contains_key(host) && !asked.contains(host));
            if pass == Pass::First {
                self.waiting().extend(due.keys().cloned());
            }
            asked.extend(due.keys().cloned());
            turns.extend(due.into_iter().map(|(host, keys)| async {
                let _one = side_by_side.acquire().await;
                let failed = self.turn(pass, (&host, keys)).await;
                if pass == Pass::First {
                    self.waiting().remove(&host);
                }
                (host, failed)
            }));
        }
    }

    /// Asks a host about some keys after the others, as long as its turn lasts; says whether it failed.
    async fn turn(&self, pass: Pass, (host, keys): (&str, Vec<Revoked>)) -> bool {
        let until = Instant::now() + TURN;
        for keys in batches(&keys) {
            if pass == Pass::Daily && self.waiting().contains(host) {
                return false;
            }
            let offered: Vec<_> = keys.iter().map(Offered::of).collect();
            let now = clock::now();
            let said = whole(&self.asking.questions, host, &offered).await;
            let failed = failed(&said);
            let heard = match pass {
                Pass::First => Heard::each(host, &offered, &said, Vec::new()),
                Pass::Daily => Heard::from(&self.asking, host, &offered, said).await,
            };
            let store = &self.asking.store;
            for (key, heard) in keys.iter().zip(heard) {
                if let Err(error) = keep(store, &key.fingerprint, &[heard], now).await {
                    tracing::error!(%error, "cannot keep what a host said to a revoked key");
                }
            }
            self.bell.ring();
            if failed || Instant::now() >= until {
                return failed;
            }
        }
        false
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// How often it is looked.
    const fn look(self) -> Duration {
        match self {
            Self::First => SOON,
            Self::Daily => LOOK,
        }
    }

    /// So long after a host could not be asked, it is tried again.
    const fn again(self) -> Duration {
        match self {
            Self::First => SOON,
            Self::Daily => AGAIN,
        }
    }

    /// When a host is to be asked about a key that was revoked at `at`, where it was asked `last`, and
    /// holds the revocation since `held`.
    fn next(
        self,
        last: Option<Asked>,
        at: Timestamp,
        held: Option<Timestamp>,
    ) -> Option<Timestamp> {
        match (self, last) {
            (Self::First, None) => Some(held.map_or(at, |held| held.min(at))),
            (Self::First, Some(last)) => held.filter(|held| last.at < *held),
            (Self::Daily, Some(last)) if last.whole => Some(last.at + EVERY),
            (Self::Daily, last) => last.map(|last| last.at),
        }
    }
}

/// Whom to ask about what: each host as soon as it holds a revocation, and once a day. One that cannot
/// hold any is asked at once.
pub(super) async fn due(
    store: &Store,
    (pass, hosts): (Pass, Hosts),
    now: Timestamp,
) -> sqlx::Result<BTreeMap<String, Vec<Revoked>>> {
    let mut keys = rows::revoked(store).await?;
    // Where only the fingerprint is known, there is nothing to show to sshd.
    keys.retain(|key| !key.wire.is_empty());
    let Some(oldest) = keys.iter().map(|key| key.generation).min() else {
        return Ok(BTreeMap::new());
    };
    let (hosts, asked) = (hosts(store).await?, asked(store).await?);
    let held = held(reached::since(store, oldest).await?);
    let holding = reached::holdings(store).await?;
    let mut due: BTreeMap<String, Vec<Revoked>> = BTreeMap::new();
    for host in hosts {
        let held = held.get(&host).map_or(&[][..], Vec::as_slice);
        let wait = match holding.get(&host).is_some_and(|it| it.has_role) {
            true => AGAIN,
            false => Duration::ZERO,
        };
        for key in &keys {
            let last = asked.get(&(key.fingerprint.clone(), host.clone())).copied();
            let held = held.iter().find(|(it, _)| *it >= key.generation);
            let next = pass.next(last, key.at + wait, held.map(|(_, at)| *at));
            if next.is_some_and(|next| next <= now) {
                due.entry(host.clone()).or_default().push(key.clone());
            }
        }
    }
    Ok(due)
}

/// Keys that can be asked about at once: their refusals are borne in one connection, in which an RSA key
/// is asked about by three names.
pub(super) fn batches(mut keys: &[Revoked]) -> Vec<&[Revoked]> {
    let mut all = Vec::new();
    while !keys.is_empty() {
        let mut room = MOST_KEYS;
        let fits = |key: &&Revoked| {
            let tries = if key.kind.contains("rsa") { 3 } else { 1 };
            let left = room.checked_sub(tries);
            room = left.unwrap_or_default();
            left.is_some()
        };
        let (some, more) = keys.split_at(keys.iter().take_while(fits).count());
        all.push(some);
        keys = more;
    }
    all
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

/// Whether a host is to be asked again soon.
pub(super) fn failed(said: &Result<Answer, String>) -> bool {
    match said {
        Ok(answer) => answer.trouble.is_some() && answer.doors.is_empty(),
        Err(_) => true,
    }
}
