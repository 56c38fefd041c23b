//! Who failed lately, and whether it was too often. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::time::Timestamp;

use crate::restriction::recent::Recent;

/// Failed tries by network.
#[derive(Debug)]
pub(super) struct Suspects(Recent<IpNet, Vec<Try>>);

/// A failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Try {
    at: Timestamp,
    /// Tells accounts apart.
    account: u32,
    /// Tells the /64 of a /56 apart.
    part: u8,
    /// The process where the try was with a key: a client offers all that it has, one after the
    /// other.
    offering: Option<u32>,
}

/// How many tries are too many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) tries: usize,
    /// From how many /64 they must be.
    pub(super) parts: usize,
    pub(super) within: Duration,
}

/// Tries that were too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) tries: u32,
    pub(super) accounts: u32,
    pub(super) within: Duration,
}

impl Suspects {
    /// The last so many networks are remembered for sure.
    pub(super) fn new(most: usize) -> Self {
        Self(Recent::new(most))
    }

    /// Notes a try of somebody in this network, and says whether it was one too many.
    pub(super) fn fail(
        &mut self,
        net: IpNet,
        one: Try,
        limit: Limit,
        now: Timestamp,
    ) -> Option<TooMany> {
        let long_ago = now - limit.within;
        let lately = |one: &Try| one.at > long_ago;
        let often = |tries: &Vec<Try>| tries.len() > 1 && tries.last().is_some_and(lately);
        let tries = self.0.touch(net, often);
        note(tries, one, limit.tries);
        let within = tries.last()?.at.since(tries.first()?.at);
        if tries.len() < limit.tries || within > limit.within {
            return None;
        }
        if different(tries, |one| one.part) < limit.parts {
            return None;
        }
        Some(TooMany {
            tries: number(tries.len()),
            accounts: number(different(tries, |one| one.account)),
            within,
        })
    }

    /// Forgets who failed in exactly this network.
    pub(super) fn forget(&mut self, net: &IpNet) {
        self.0.forget(net);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Try {
    pub(super) fn of(event: &AccessEvent, address: IpAddr, at: Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        let user = event.user.as_ref();
        user.map(|user| user.name.as_bytes()).hash(&mut hasher);
        let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
        let part = match address {
            IpAddr::V4(_) => 0,
            IpAddr::V6(address) => {
                let [_, _, _, _, _, _, _, part, ..] = address.octets();
                part
            }
        };
        let by_key = event.method.as_deref().is_some_and(super::is_key);
        Self {
            at,
            account: u32::from_le_bytes([a, b, c, d]),
            part,
            offering: event.pid.filter(|_| by_key),
        }
    }
}

/// Puts a try where it belongs in time, of which the last so many are kept.
fn note(tries: &mut Vec<Try>, one: Try, most: usize) {
    let offered = |known: &Try| known.offering.is_some() && known.offering == one.offering;
    if tries.iter().any(offered) {
        return;
    }
    let place = tries.partition_point(|known| known.at <= one.at);
    tries.insert(place, one);
    let beyond = tries.len().saturating_sub(most);
    tries.drain(..beyond);
}

fn different<T: Ord>(tries: &[Try], what: impl Fn(&Try) -> T) -> usize {
    let mut all: Vec<_> = tries.iter().map(what).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
