//! The second vantage: each door that matters is asked from another host, too.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use watchward_protocol::elsewhere::{self, Answer as Seen, ElsewhereDoor, Question};
use watchward_protocol::proof::{Answer, Door, Said};
use watchward_protocol::text::Foreign;

use super::Offered;
use crate::intake::Questions;
use crate::keys::rows::door::{self, Known};
use crate::keys::visit::{Missed, Visit, near};
use crate::store::Store;

/// Where hosts are, by their names, as far as the collector believes them.
pub(super) type Sites = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<(String, Vec<IpAddr>)>>>;

/// How many accounts of a host are asked about: an address may fail only about every five seconds
/// before OpenSSH shuts it out.
const MOST: usize = 6;
/// So long after one host asked another, it asks there again: whoever fails more often is shut out.
const PACE: Duration = Duration::from_secs(6);
/// How many other hosts are tried as a vantage.
const VANTAGES: usize = 3;

/// What was seen from another host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// Which, and what its doors said.
    pub(super) seen: Option<(String, Vec<Door>)>,
    /// Why nothing was.
    pub(super) why: String,
}

impl Elsewhere {
    pub(super) fn of_none(why: impl Into<String>) -> Self {
        Self {
            seen: None,
            why: why.into(),
        }
    }

    /// Every door, and who asked it.
    pub(super) fn doors(&self) -> impl Iterator<Item = (&str, &Door)> {
        let seen = self.seen.iter();
        seen.flat_map(|(from, doors)| doors.iter().map(move |door| (from.as_str(), door)))
    }

    /// In one sentence.
    pub(super) fn sentence(&self) -> String {
        let Some((from, doors)) = &self.seen else {
            return match self.why.is_empty() {
                true => String::new(),
                false => format!("asked by the host itself alone: {}", self.why),
            };
        };
        let refused = doors.iter().filter(|it| it.said == Said::Refused).count();
        let asked = match doors.len() {
            1 => "1 door was".to_owned(),
            many => format!("{many} doors were"),
        };
        format!("{asked} asked from {from}, too, and {refused} refused it there")
    }
}

/// A door with where it was asked from, where that is not the host itself.
pub(super) fn place(at: SocketAddr, from: &str) -> String {
    format!("{at} from {from}")
}

/// What is needed to ask.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) store: Store,
    pub(super) questions: Questions,
    sites: Sites,
    /// When each host was asked last, by the one that asked it.
    last: Arc<Mutex<Last>>,
}

type Last = HashMap<(String, String), Instant>;

/// Who asks whom, and where.
struct Way<'a> {
    visit: Visit<'a>,
    at: Vec<SocketAddr>,
    host_keys: &'a [Vec<u8>],
    tries: Option<u32>,
}

impl Asking {
    pub(super) fn new(store: Store, questions: Questions, sites: Sites) -> Self {
        Self {
            store,
            questions,
            sites,
            last: Arc::default(),
        }
    }

    /// Asks a host's doors from another host about some keys, after what it said itself; what was seen of
    /// each key.
    pub(super) async fn ask(&self, host: &str, keys: &[Offered], own: &Answer) -> Vec<Elsewhere> {
        if own.doors.is_empty() {
            return vec![Elsewhere::default(); keys.len()];
        }
        let nothing = |why: &str| vec![Elsewhere::of_none(why); keys.len()];
        let sites = (self.sites)(&self.store).await;
        let fingerprints: Vec<_> = keys.iter().map(|it| it.fingerprint.as_deref()).collect();
        let known = door::known(&self.store, host, &fingerprints).await;
        let (sites, known) = match (sites, known) {
            (Ok(sites), Ok(known)) => (sites, known),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "cannot tell from where a host could be asked");
                return nothing("the database did not say which host could ask");
            }
        };
        if known.host_keys.is_empty() {
            return nothing("no other host could know it: its host keys are not known");
        }
        let pairs = pairs(&sites, host, |name| self.questions.is_there(name));
        let mut why = "no other host that is connected can be seen to reach it".to_owned();
        for (vantage, from, to) in pairs.into_iter().take(VANTAGES) {
            let at = places(own, to);
            if at.is_empty() {
                why = format!("its sshd does not listen on {to}");
                continue;
            }
            let mut way = Way {
                visit: Visit {
                    host,
                    visitor: vantage,
                    from,
                },
                at,
                host_keys: &known.host_keys,
                tries: own.tries,
            };
            match self
                .all(&mut way, wanted(own, &known), (keys, &known))
                .await
            {
                Ok(mut doors) => {
                    doors.iter_mut().for_each(|it| limits(it, &known, from));
                    return each(keys.len(), vantage, &doors);
                }
                Err(said) => why = said,
            }
        }
        nothing(&why)
    }

    /// All doors that one other host can ask, one after the other: between them others may ask it.
    async fn all(
        &self,
        way: &mut Way<'_>,
        mut wanted: VecDeque<Wanted>,
        (keys, known): (&[Offered], &Known),
    ) -> Result<Vec<Door>, String> {
        let mut all: Vec<Door> = Vec::new();
        while let Some(mut next) = wanted.pop_front() {
            let mut said = match self.once(way, next.door(keys, known)).await {
                Ok(seen) if !seen.doors.is_empty() => seen.doors,
                Ok(_) | Err(_) if !all.is_empty() => break,
                Ok(seen) => {
                    let why = seen.trouble.unwrap_or_else(|| "it had no time".to_owned());
                    return Err(format!("{}: {why}", way.visit.visitor));
                }
                Err(why) => return Err(why),
            };
            // A host says what it was asked for, and nothing else.
            said.retain(|it| way.at.contains(&it.at) && it.account == next.account);
            // Where one is answered, the next is.
            if let Some(answered) = said.first() {
                way.at = vec![answered.at];
            }
            let before = all.len();
            all.extend(said.into_iter().filter_map(|door| next.heard(door)));
            next.keys
                .retain(|key| all.iter().skip(before).all(|door| door.key != *key));
            // One connection bears only so many.
            if all.len() > before && !next.keys.is_empty() {
                wanted.push_front(next);
            }
        }
        match all.is_empty() {
            true => Err(format!(
                "{} said nothing of what it was asked",
                way.visit.visitor
            )),
            false => Ok(all),
        }
    }

    async fn once(&self, way: &Way<'_>, door: ElsewhereDoor) -> Result<Seen, String> {
        let pair = (way.visit.visitor.to_owned(), way.visit.host.to_owned());
        let wait = self
            .last()
            .get(&pair)
            .map(|at| PACE.saturating_sub(at.elapsed()));
        sleep(wait.unwrap_or_default()).await;
        let question = Question {
            at: way.at.clone(),
            host_keys: way.host_keys.to_vec(),
            doors: vec![door],
            login: None,
            tries: way.tries,
            from: Vec::new(),
        };
        let seen = way.visit.ask(&self.questions, question).await;
        let mut last = self.last();
        last.retain(|_, at| at.elapsed() < PACE);
        last.insert(pair, Instant::now());
        seen.map_err(Missed::why)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who could ask a host from which address at which: the nearest first, and of those that are as near
/// not for every host the same.
fn pairs<'a>(
    sites: &'a [(String, Vec<IpAddr>)],
    host: &str,
    is_there: impl Fn(&str) -> bool,
) -> Vec<(&'a str, IpAddr, IpAddr)> {
    let own = sites.iter().find(|(name, _)| name == host);
    let own = own.map_or(&[][..], |(_, addresses)| addresses);
    let mut pairs = Vec::new();
    for (name, addresses) in sites
        .iter()
        .filter(|(name, _)| name != host && is_there(name))
    {
        let all = addresses
            .iter()
            .flat_map(|from| own.iter().map(move |to| (*from, *to)));
        let nearest = all.filter_map(|(from, to)| Some((near(from, to)?, from, to)));
        if let Some((bits, from, to)) = nearest.max_by_key(|(bits, ..)| *bits) {
            let mut rank = DefaultHasher::new();
            (host, name).hash(&mut rank);
            pairs.push(((Reverse(bits), rank.finish()), (name.as_str(), from, to)));
        }
    }
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

/// Where a host's sshd is to be found from outside, after where the host itself asked it: what listens
/// everywhere, it asks on its own way.
fn places(own: &Answer, to: IpAddr) -> Vec<SocketAddr> {
    let from_outside = |at: &SocketAddr| at.ip().is_loopback() || at.ip() == to;
    let places = own.doors.iter().map(|door| door.at).filter(from_outside);
    let mut places: Vec<_> = places.map(|at| SocketAddr::new(to, at.port())).collect();
    places.sort_unstable();
    places.dedup();
    places.truncate(elsewhere::MOST_PLACES);
    places
}

/// An account, and which keys are still to be asked about there.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    account: Foreign,
    keys: Vec<u32>,
}

impl Wanted {
    fn door(&self, keys: &[Offered], known: &Known) -> ElsewhereDoor {
        let numbered = (0..).zip(keys);
        let its = numbered.filter(|(number, _)| self.keys.contains(number));
        ElsewhereDoor {
            account: self.account.clone(),
            keys: its.map(|(_, key)| key.wire.clone()).collect(),
            controls: known
                .controls
                .get(&self.account)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// What is said of one of these, which was asked as the first, second or so.
    fn heard(&self, door: Door) -> Option<Door> {
        let key = *self.keys.get(usize::try_from(door.key).ok()?)?;
        Some(Door { key, ..door })
    }
}

/// The accounts that matter for each key: where it stands or stood, where it was taken, root, and one
/// that has another key to compare with.
fn wanted(own: &Answer, known: &Known) -> VecDeque<Wanted> {
    let there = |account: &&Foreign| own.doors.iter().any(|door| door.account == **account);
    let root = Foreign::from("root");
    let mut controlled: Vec<_> = known.controls.keys().filter(there).collect();
    controlled.sort_unstable();
    let mut all: VecDeque<Wanted> = VecDeque::new();
    for (key, stands) in (0..).zip(&known.stands) {
        let its = own.doors.iter().filter(|door| door.key == key);
        let taken = its.filter(|door| door.said == Said::Accepted);
        let accounts = stands.keys().chain(taken.map(|door| &door.account));
        let accounts = accounts.chain([&root]).chain(controlled.first().copied());
        let mut of_key: Vec<&Foreign> = Vec::new();
        for account in accounts.filter(there) {
            if of_key.len() < MOST && !of_key.contains(&account) {
                of_key.push(account);
            }
        }
        for account in of_key {
            match all.iter_mut().find(|it| it.account == *account) {
                Some(one) => one.keys.push(key),
                None => all.push_back(Wanted {
                    account: account.clone(),
                    keys: vec![key],
                }),
            }
        }
    }
    all
}

/// What was seen from a vantage of each of so many keys.
fn each(keys: usize, vantage: &str, doors: &[Door]) -> Vec<Elsewhere> {
    let of_key = |key| {
        let its = doors.iter().filter(|door| door.key == key);
        match its.cloned().collect::<Vec<_>>() {
            none if none.is_empty() => Elsewhere::of_none(format!("{vantage} had no time for it")),
            its => Elsewhere {
                seen: Some((vantage.to_owned(), its)),
                why: String::new(),
            },
        }
    };
    (0..).take(keys).map(of_key).collect()
}

/// A line that counts for some addresses alone says little to others.
fn limits(door: &mut Door, known: &Known, from: IpAddr) {
    let stands = usize::try_from(door.key).ok();
    let stands = stands.and_then(|key| known.stands.get(key)?.get(&door.account));
    if let Some(limit) = stands.filter(|it| !it.is_empty()) {
        let note = format!("its line counts from {limit} alone, and it was asked from {from}");
        door.note = match door.note.is_empty() {
            true => note,
            false => format!("{}; {note}", door.note),
        };
    }
}

/// What is known of a host's doors, by account.
pub(in crate::keys) type Controls = HashMap<Foreign, Vec<Vec<u8>>>;
