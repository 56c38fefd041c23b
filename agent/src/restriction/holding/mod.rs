//! Who is shut out and who should be: bucket by bucket, what is to be asked of the enforcer. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use watchward_enforcer::{Ban, Verdict};
use watchward_protocol::restriction::{Bans, Veto, Vetoed, bucket};
use watchward_protocol::time::Timestamp;

use super::orders;

/// A veto is not asked about again for so long.
const STANDS: Duration = Duration::from_secs(60);
/// A ban that ends so much earlier than it should is made longer.
const SHORT: Duration = Duration::from_secs(5);
/// How many vetoes are told.
const MOST_TOLD: usize = 64;

/// What the enforcer holds, as far as is known here, and what was ordered.
#[derive(Debug)]
pub(super) struct Holding {
    buckets: Vec<Bucket>,
    vetoed: HashMap<IpNet, (Veto, Timestamp)>,
    /// How long the enforcer lets a ban last.
    longest: Duration,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    held: HashMap<IpNet, Timestamp>,
    ordered: Option<Arc<Bans>>,
}

/// What is to be asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) bans: Vec<Ban>,
    pub(super) unbans: Vec<IpNet>,
}

impl Holding {
    pub(super) fn new() -> Self {
        Self {
            buckets: vec![Bucket::default(); 256],
            vetoed: HashMap::new(),
            longest: Duration::MAX,
        }
    }

    /// What the enforcer holds is not known any more.
    pub(super) fn forget(&mut self, longest: Duration) {
        self.buckets.iter_mut().for_each(|one| one.held.clear());
        self.vetoed.clear();
        self.longest = longest;
    }

    /// The enforcer says that it holds this.
    pub(super) fn found(&mut self, ban: &Ban, now: Timestamp) {
        let until = now + self.longest.min(Duration::from_secs(ban.seconds.into()));
        if let Some(bucket) = self.bucket(&ban.net) {
            bucket.held.insert(ban.net, until);
        }
    }

    /// What became of a ban. Whether somebody new is shut out, or is not.
    pub(super) fn judged(&mut self, ban: &Ban, verdict: Verdict, now: Timestamp) -> bool {
        match verdict {
            Verdict::Done => {
                self.found(ban, now);
                self.vetoed.remove(&ban.net).is_some()
            }
            Verdict::Vetoed(veto) => {
                let veto = orders::veto(veto);
                let before = self.vetoed.insert(ban.net, (veto, now));
                before.map(|(before, _)| before) != Some(veto)
            }
        }
    }

    /// What was not done is asked about again: the guard file may let it be now.
    pub(super) fn again(&mut self) {
        let long_ago = Timestamp::from_micros(0);
        let all = self.vetoed.values_mut();
        all.for_each(|(_, at)| *at = long_ago);
    }

    /// Takes what was ordered of a bucket. Whether that is news.
    pub(super) fn order(&mut self, bans: &Arc<Bans>) -> bool {
        let Some(bucket) = self.buckets.get_mut(usize::from(bans.bucket)) else {
            return false;
        };
        let same = |known: &Arc<Bans>| Arc::ptr_eq(known, bans);
        if bucket.ordered.as_ref().is_some_and(same) {
            return false;
        }
        bucket.ordered = Some(bans.clone());
        true
    }

    /// What is to be asked so that a bucket is as it should be. `own` says until when a ban of this
    /// host's own stands. Of a bucket that was never ordered nothing is let in again: nobody said yet
    /// what should hold.
    pub(super) fn reconcile(
        &mut self,
        number: u8,
        own: &dyn Fn(&IpNet) -> Option<Timestamp>,
        now: Timestamp,
    ) -> Asked {
        let (vetoed, longest) = (&mut self.vetoed, self.longest);
        let Some(bucket) = self.buckets.get_mut(usize::from(number)) else {
            return Asked::default();
        };
        bucket.held.retain(|_, until| *until > now);
        let mut wanted: HashMap<IpNet, Timestamp> = HashMap::new();
        let ordered = bucket.ordered.iter().flat_map(|ordered| &ordered.bans);
        for ban in ordered.filter(|ban| ban.until > now) {
            let until = own(&ban.net).map_or(ban.until, |until| until.max(ban.until));
            wanted.insert(ban.net.trunc(), until);
        }
        vetoed.retain(|net, _| of(net) != number || wanted.contains_key(net) || own(net).is_some());
        if bucket.ordered.is_none() {
            return Asked::default();
        }
        let gone = bucket.held.keys().filter(|net| !wanted.contains_key(net));
        let unbans: Vec<IpNet> = gone.filter(|net| own(net).is_none()).copied().collect();
        for net in &unbans {
            bucket.held.remove(net);
        }
        let lacking = wanted.into_iter().filter(|(net, until)| {
            let held = bucket.held.get(net);
            let stands = |(_, at): &(Veto, Timestamp)| now.since(*at) < STANDS;
            lacks(held, *until, longest, now) && !vetoed.get(net).is_some_and(stands)
        });
        Asked {
            bans: lacking
                .map(|(net, until)| Ban {
                    own: own(&net).is_some(),
                    ..ban(net, until, now)
                })
                .collect(),
            unbans,
        }
    }

    /// What is to be asked of these bans, of this host's own, that should hold.
    pub(super) fn own(
        &self,
        own: impl Iterator<Item = (IpNet, Timestamp)>,
        now: Timestamp,
    ) -> Vec<Ban> {
        let lacking = own.filter(|(net, until)| {
            let held = self.buckets.get(usize::from(of(net)));
            let held = held.and_then(|bucket| bucket.held.get(net));
            let stands = |(_, at): &(Veto, Timestamp)| now.since(*at) < STANDS;
            lacks(held, *until, self.longest, now) && !self.vetoed.get(net).is_some_and(stands)
        });
        lacking.map(|(net, until)| ban(net, until, now)).collect()
    }

    /// How many bans hold.
    pub(super) fn bans(&self) -> u32 {
        let count: usize = self.buckets.iter().map(|bucket| bucket.held.len()).sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Some of what was ordered, or decided here, and is not done.
    pub(super) fn vetoed(&self) -> Vec<Vetoed> {
        let vetoed = self.vetoed.iter();
        let mut told: Vec<_> = vetoed
            .map(|(net, (why, _))| Vetoed {
                net: *net,
                why: *why,
            })
            .collect();
        told.sort_unstable_by_key(|one| one.net);
        told.truncate(MOST_TOLD);
        told
    }

    fn bucket(&mut self, net: &IpNet) -> Option<&mut Bucket> {
        self.buckets.get_mut(usize::from(of(net)))
    }
}

/// A ban of this host's own as it is asked for.
pub(super) fn ban(net: IpNet, until: Timestamp, now: Timestamp) -> Ban {
    let seconds = until.since(now).as_secs().max(1);
    Ban {
        net,
        seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        own: true,
    }
}

fn of(net: &IpNet) -> u8 {
    bucket(net)
}

/// Whether a ban is not held for as long as it should be. What the enforcer makes shorter is asked
/// for again when half of that is over.
fn lacks(held: Option<&Timestamp>, until: Timestamp, longest: Duration, now: Timestamp) -> bool {
    let Some(held) = held else { return true };
    let (left, wanted) = (held.since(now), until.since(now));
    left + SHORT < wanted && left <= longest / 2
}

#[cfg(test)]
mod tests;
