//! What one host has told of its keys, folded into what stands and what is gone. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};
use watchward_protocol::keys::{Effect, Holder, Keys, Means, Opening, Trouble};
use watchward_protocol::record::Epoch;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::kept::Kept;
use super::options;
use crate::intake::{Heard, Host};

/// What is noted of what was there when a host was looked at first.
pub(super) const FOUND: &str = "there at the first look";

/// How long the first look at a host may take, by its clock: what stood then is no news.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// How much of what a holder had is kept.
const MOST_GONE: usize = 500;

/// Whose keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// The host's own.
    Host,
    /// An account's.
    Account(Foreign),
}

impl Whose {
    /// The holder of a report. An account without a name is none.
    fn of(holder: &Holder) -> Option<Self> {
        match holder {
            Holder::Host(_) => Some(Self::Host),
            Holder::Account(name) if name.as_bytes().is_empty() => None,
            Holder::Account(name) => Some(Self::Account(name.clone())),
        }
    }

    /// Its name, if it is an account.
    pub(super) fn account(&self) -> Option<&Foreign> {
        match self {
            Self::Host => None,
            Self::Account(name) => Some(name),
        }
    }
}

/// What makes an opening the same one wherever it stands: its key, or else its place and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(pub(super) [u8; 32]);

impl Identity {
    fn of(opening: &Opening) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        };
        add(format!("{:?}", opening.means).as_bytes());
        match (&opening.key, opening.means) {
            (_, Means::HostKey | Means::HostCertificate | Means::AgentCertificate) => {
                add(opening.file.as_bytes());
            }
            (Some(key), _) => add(key.fingerprint.as_bytes()),
            (None, _) => {
                add(opening.file.as_bytes());
                add(opening.options.as_bytes());
                let names: BTreeSet<_> = opening.principals.iter().collect();
                names.into_iter().for_each(|name| add(name.as_bytes()));
            }
        }
        Self(hash.finalize().into())
    }
}

/// What is kept of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// When the agent first looked, by the host's clock.
    pub(super) first_at: Timestamp,
    /// When it looked last.
    pub(super) at: Timestamp,
    /// When that was heard.
    pub(super) heard_at: Timestamp,
    pub(super) epoch: Epoch,
    pub(super) seq: u64,
    /// How many openings were left out.
    pub(super) omitted: u32,
    /// What could not be read, or is passed over.
    pub(super) troubles: Vec<Trouble>,
    /// Whether it differs from what the database has.
    pub(super) touched: bool,
}

impl Known {
    /// Whether there may be more than was told. What sshd itself passes over opens nothing.
    pub(super) fn is_blind(&self) -> bool {
        self.is_unread() || self.is_beyond()
    }

    /// Whether something could not be read.
    pub(super) fn is_unread(&self) -> bool {
        let mut hiding = self.troubles.iter().filter(|one| one.hides());
        hiding.any(|one| one.effect != Effect::Beyond)
    }

    /// Whether there is more than is looked at, which its owner can bring about.
    pub(super) fn is_beyond(&self) -> bool {
        let mut all = self.troubles.iter();
        self.omitted > 0 || all.any(|one| one.effect == Effect::Beyond)
    }
}

/// Which opening of a host.
pub(super) type Place = (Whose, Identity);

/// Something that happened to an opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) place: Place,
    pub(super) what: String,
}

/// Everything that is kept of one host.
#[derive(Clone, Debug)]
pub(super) struct Inventory {
    pub(super) host: Host,
    /// When the host first listed its accounts, by its clock.
    pub(super) listed_at: Option<Timestamp>,
    pub(super) holders: BTreeMap<Whose, Known>,
    pub(super) openings: BTreeMap<Place, Kept>,
    /// What has happened since it was loaded.
    pub(super) notes: Vec<Note>,
    /// Accounts that the host has no more, since it was loaded.
    pub(super) retired: Vec<Whose>,
}

impl Inventory {
    /// Takes a report in. One that is not newer than what is kept changes nothing.
    pub(super) fn hear(&mut self, heard: &Heard<Keys>, now: Timestamp) {
        let keys = &heard.report;
        let Some(whose) = Whose::of(&keys.holder) else {
            return;
        };
        let known = self.holders.get(&whose);
        if known.is_some_and(|known| known.epoch == heard.epoch && heard.seq <= known.seq) {
            return;
        }
        let known = Known {
            first_at: known.map_or(keys.at, |known| known.first_at),
            at: keys.at,
            heard_at: now,
            epoch: heard.epoch,
            seq: heard.seq,
            omitted: keys.omitted,
            troubles: keys.troubles.clone(),
            touched: true,
        };
        self.holders.insert(whose.clone(), known);
        self.retired.retain(|one| *one != whose);
        self.replace(&whose, keys, now);
        if let Holder::Host(accounts) = &keys.holder {
            self.listed_at.get_or_insert(keys.at);
            self.retire(accounts, keys.at, now);
        }
    }

    /// Puts the whole of what a holder has in the place of what stood.
    fn replace(&mut self, whose: &Whose, keys: &Keys, now: Timestamp) {
        let first_look = self
            .listed_at
            .is_none_or(|listed| keys.at <= listed + FIRST_LOOK);
        let told = fold(&keys.openings);
        let unread = |file: &str| keys.troubles.iter().any(|trouble| trouble.hides_in(file));
        let everything = keys.omitted == 0;
        let gone = self.of(whose).filter(|(place, kept)| {
            let there = told.contains_key(&place.1) || unread(&kept.opening.file);
            kept.gone_at.is_none() && everything && !there
        });
        let gone: Vec<_> = gone.map(|(place, _)| place.clone()).collect();
        for place in gone {
            self.end(place, keys.at, now);
        }
        for (identity, (opening, copies)) in told {
            let place = (whose.clone(), identity);
            let what = match self.openings.get_mut(&place) {
                Some(kept) => kept.follow(opening, copies, first_look, now),
                None => {
                    let kept = Kept::appear(opening, copies, !first_look, now);
                    self.openings.insert(place.clone(), kept);
                    let what = if first_look { FOUND } else { "appeared" };
                    Some(what.to_owned())
                }
            };
            self.notes.extend(what.map(|what| Note { place, what }));
        }
    }

    /// Ends what accounts had that the host does not list any more.
    fn retire(&mut self, accounts: &[Foreign], at: Timestamp, now: Timestamp) {
        let listed: BTreeSet<_> = accounts.iter().collect();
        let is_gone = |whose: &Whose| whose.account().is_some_and(|name| !listed.contains(name));
        let gone: Vec<_> = self
            .holders
            .keys()
            .filter(|whose| is_gone(whose))
            .cloned()
            .collect();
        for whose in gone {
            let live = self.of(&whose).filter(|(_, kept)| kept.gone_at.is_none());
            let places: Vec<_> = live.map(|(place, _)| place.clone()).collect();
            for place in places {
                self.end(place, at, now);
            }
            self.holders.remove(&whose);
            self.retired.push(whose);
        }
    }

    fn end(&mut self, place: Place, at: Timestamp, now: Timestamp) {
        let Some(kept) = self.openings.get_mut(&place) else {
            return;
        };
        kept.gone_at = Some(now);
        kept.gone_by = Some(at);
        kept.touched = true;
        let what = "gone".to_owned();
        self.notes.push(Note { place, what });
    }

    /// Notes that the person of this name has said of these that they are right; says of how many.
    pub(super) fn accept(&mut self, by: &str, is_meant: impl Fn(&Whose, &Kept) -> bool) -> usize {
        let mut count = 0;
        for (place, kept) in &mut self.openings {
            if kept.gone_at.is_some() || !is_meant(&place.0, kept) {
                continue;
            }
            count += 1;
            if !kept.new && kept.approved == kept.opening.options && kept.was.is_none() {
                continue;
            }
            kept.new = false;
            kept.approved = kept.opening.options.clone();
            kept.was = None;
            kept.touched = true;
            self.notes.push(Note {
                place: place.clone(),
                what: format!("accepted by {by}"),
            });
        }
        count
    }

    /// Forgets what has been gone the longest, where a holder had very much: the numbers of it. By
    /// itself it would only go with its age, and whoever writes their own file can fill it anew each
    /// minute.
    pub(super) fn clear(&mut self) -> Vec<i64> {
        let mut gone: BTreeMap<Whose, Vec<(Timestamp, Place)>> = BTreeMap::new();
        for (place, kept) in &self.openings {
            if let Some(at) = kept.gone_at {
                let all = gone.entry(place.0.clone()).or_default();
                all.push((at, place.clone()));
            }
        }
        let mut cleared = Vec::new();
        for mut all in gone.into_values().filter(|all| all.len() > MOST_GONE) {
            all.sort_unstable_by(|one, other| other.cmp(one));
            let places = all.into_iter().skip(MOST_GONE).map(|(_, place)| place);
            cleared.extend(places.filter_map(|place| self.openings.remove(&place)));
        }
        cleared.into_iter().map(|kept| kept.id).collect()
    }

    /// What a holder has and had.
    pub(super) fn of(&self, whose: &Whose) -> impl Iterator<Item = (&Place, &Kept)> {
        let first = (whose.clone(), Identity([0; 32]));
        let last = (whose.clone(), Identity([255; 32]));
        self.openings.range(first..=last)
    }
}

/// Each opening once, with the options of all its lines, and on how many it stands.
fn fold(openings: &[Opening]) -> BTreeMap<Identity, (Opening, u32)> {
    let mut all: BTreeMap<Identity, (Opening, u32)> = BTreeMap::new();
    for opening in openings {
        let Some((first, copies)) = all.get_mut(&Identity::of(opening)) else {
            let mut first = opening.clone();
            // What it is on the wire is kept once for all places.
            first.key.iter_mut().for_each(|key| key.wire.clear());
            all.insert(Identity::of(opening), (first, 1));
            continue;
        };
        *copies += 1;
        first.condition = both(first.condition.take(), opening.condition.as_deref());
        let mut lines = first.options.as_bytes().split(|byte| *byte == b'\n');
        if lines.clone().count() <= options::MOST
            && !lines.any(|line| line == opening.options.as_bytes())
        {
            let both = [first.options.as_bytes(), opening.options.as_bytes()];
            first.options = Foreign::from(both.join(&b'\n'));
        }
    }
    all
}

/// When one of two lines counts, each of which may count only for some connections.
fn both(one: Option<String>, other: Option<&str>) -> Option<String> {
    let (one, other) = one.zip(other)?;
    match one.split(" or ").any(|part| part == other) {
        true => Some(one),
        false => Some(format!("{one} or {other}")),
    }
}
