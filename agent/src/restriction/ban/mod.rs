//! Who is shut out by this host itself: lines of access logs in, bans out. Pure.
//!
//! What counts is a failed try that the server itself told of, with an address that is pinned to its
//! connection. One customer is an IPv4 address or a /64 of IPv6; where several /64 of one /56 had to
//! be shut out it is the /56, and never more.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use watchward_protocol::access::{AccessEvent, Action, Outcome, Trust};
use watchward_protocol::restriction::{Banned, Lift};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::config::Config;
use super::recent::Recent;

/// How many customers with failed tries are remembered for sure.
const MOST_SUSPECTS: usize = 32_768;
/// How many bans are remembered.
const MOST_FORMER: usize = 131_072;
/// How many lines are remembered, whoever they are of, to be told with a ban.
const MOST_LINES: usize = 256;
/// How many lines are told with a ban, and how much of each.
const TOLD_LINES: usize = 5;
const LONGEST_LINE: usize = 512;
/// So many /64 of one /56 are shut out before the /56 is.
const SEVERAL: usize = 3;
/// How often it is looked which former bans can be forgotten, while there is no room for more.
const PRUNE: Duration = Duration::from_secs(60);

/// What follows from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody is to be shut out.
    Ban(Banned),
    /// Somebody came in by key from here, and is not to be.
    Vouch(IpAddr),
}

/// Remembers who failed, and decides.
#[derive(Debug)]
pub(super) struct Judge {
    suspects: Recent<IpNet, Vec<Try>>,
    former: HashMap<IpNet, Former>,
    lines: VecDeque<(IpNet, Foreign)>,
    pruned: Timestamp,
}

/// A failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Try {
    at: Timestamp,
    /// Tells accounts apart.
    account: u32,
    /// The process where the try was with a key: a client offers all that it has, one after the
    /// other.
    offering: Option<u32>,
}

/// A ban that stands, or stood.
#[derive(Clone, Copy, Debug)]
struct Former {
    times: u32,
    since: Timestamp,
    until: Timestamp,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self {
            suspects: Recent::new(MOST_SUSPECTS),
            former: HashMap::new(),
            lines: VecDeque::new(),
            pruned: Timestamp::default(),
        }
    }

    /// What follows from a line.
    pub(super) fn see(
        &mut self,
        event: &AccessEvent,
        config: &Config,
        now: Timestamp,
    ) -> Option<Verdict> {
        let address = event.peer?.address.to_canonical();
        if opens_by_key(event) {
            self.suspend(address, now);
            return Some(Verdict::Vouch(address));
        }
        if !config.bans || !counts(event, config) || is_nobody(address) {
            return None;
        }
        self.fail(address, event, config, now).map(Verdict::Ban)
    }

    /// The bans of its own that stand.
    pub(super) fn standing(&self, now: Timestamp) -> impl Iterator<Item = (IpNet, Timestamp)> {
        let standing = self.former.iter().filter(move |(_, ban)| ban.until > now);
        standing.map(|(net, ban)| (*net, ban.until))
    }

    /// Until when a ban of its own stands.
    pub(super) fn stands(&self, net: &IpNet, now: Timestamp) -> Option<Timestamp> {
        let ban = self.former.get(net).filter(|ban| ban.until > now)?;
        Some(ban.until)
    }

    /// Somebody lifted a ban: the one of before then is as if it had never been.
    pub(super) fn lift(&mut self, lifted: &Lift) {
        let before = |ban: &Former| ban.since <= lifted.at;
        if self.former.get(&lifted.net).is_some_and(before) {
            self.former.remove(&lifted.net);
        }
    }

    /// Its bans stand no longer. What it tried, and that it was shut out, is not forgotten: who has a
    /// key of some account may still guess the password of another.
    fn suspend(&mut self, address: IpAddr, now: Timestamp) {
        let net = customer(address);
        let wide = wider(&net).map(IpNet::from);
        for net in [Some(address.into()), Some(net), wide]
            .into_iter()
            .flatten()
        {
            if let Some(ban) = self.former.get_mut(&net) {
                ban.until = ban.until.min(now);
            }
        }
    }

    fn fail(
        &mut self,
        address: IpAddr,
        event: &AccessEvent,
        config: &Config,
        now: Timestamp,
    ) -> Option<Banned> {
        let (net, within) = (customer(address), config.within.duration());
        // What lies in the log since longer is old news; what it says of times to come is not so.
        let at = event.at.min(now);
        if now.since(at) > within || self.is_out(&net, now) {
            return None;
        }
        self.remember(net, event);
        let long_ago = now - within;
        let lately = |one: &Try| one.at > long_ago;
        let often = |tries: &Vec<Try>| tries.len() > 1 && tries.last().is_some_and(lately);
        let tries = self.suspects.touch(net, often);
        note(tries, Try::of(event, at), config.tries.count());
        let (first, last) = (tries.first()?.at, tries.last()?.at);
        if tries.len() < config.tries.count() || last.since(first) > within {
            return None;
        }
        let mut accounts: Vec<u32> = tries.iter().map(|one| one.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let banned = Banned {
            net,
            until: now,
            tries: number(tries.len()),
            accounts: number(accounts.len()),
            within: last.since(first),
            times: 1,
            lines: self.lines_of(&net),
        };
        self.suspects.forget(&net);
        Some(self.ban(banned, config, now))
    }

    /// Says whom it concerns, for how long, and remembers it.
    fn ban(&mut self, banned: Banned, config: &Config, now: Timestamp) -> Banned {
        let net = self.widened(banned.net, now);
        let times = |net: &IpNet| self.times(net, config, now);
        let times = times(&net).max(times(&banned.net)).saturating_add(1);
        let factor = config.factor.number().saturating_pow(times - 1);
        let span = config.first.duration().saturating_mul(factor);
        let until = now + span.min(config.longest.duration());
        self.make_room(config, now);
        if self.former.len() < MOST_FORMER {
            let since = now;
            self.former.insert(
                net,
                Former {
                    times,
                    since,
                    until,
                },
            );
        }
        Banned {
            net,
            until,
            times,
            ..banned
        }
    }

    /// How many times it was shut out, as far as that is remembered.
    fn times(&self, net: &IpNet, config: &Config, now: Timestamp) -> u32 {
        let former = self.former.get(net);
        let known = former.filter(|ban| now.since(ban.until) <= config.longest.duration());
        known.map_or(0, |ban| ban.times)
    }

    /// Whether it is shut out already, or what it is a part of.
    fn is_out(&self, net: &IpNet, now: Timestamp) -> bool {
        self.stands(net, now).is_some()
            || wider(net).is_some_and(|wide| self.stands(&wide.into(), now).is_some())
    }

    /// Its /56, where several others of that are shut out.
    fn widened(&self, net: IpNet, now: Timestamp) -> IpNet {
        let Some(wide) = wider(&net) else { return net };
        let parts = wide.subnets(64).into_iter().flatten();
        let out = parts.filter(|part| self.stands(&(*part).into(), now).is_some());
        if out.take(SEVERAL - 1).count() < SEVERAL - 1 {
            return net;
        }
        wide.into()
    }

    fn make_room(&mut self, config: &Config, now: Timestamp) {
        if self.former.len() < MOST_FORMER || now.since(self.pruned) < PRUNE {
            return;
        }
        self.pruned = now;
        let longest = config.longest.duration();
        self.former.retain(|_, ban| now.since(ban.until) <= longest);
        if self.former.len() >= MOST_FORMER {
            self.former.retain(|_, ban| ban.until > now);
        }
    }

    fn remember(&mut self, net: IpNet, event: &AccessEvent) {
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        let line = event.line.as_bytes();
        let line = line.get(..LONGEST_LINE).unwrap_or(line);
        self.lines.push_back((net, Foreign::from(line)));
    }

    fn lines_of(&self, net: &IpNet) -> Vec<Foreign> {
        let of = self.lines.iter().rev().filter(|(whose, _)| whose == net);
        let mut lines: Vec<_> = of.take(TOLD_LINES).map(|(_, line)| line.clone()).collect();
        lines.reverse();
        lines
    }
}

impl Try {
    fn of(event: &AccessEvent, at: Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        event
            .user
            .as_ref()
            .map(|user| user.name.as_bytes())
            .hash(&mut hasher);
        let by_key = event.method.as_deref().is_some_and(is_key);
        Self {
            at,
            account: u32::from_le_bytes(half(hasher.finish())),
            offering: event.pid.filter(|_| by_key),
        }
    }
}

fn half(hash: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    [a, b, c, d]
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

/// A login with a key, as the server itself tells it.
fn opens_by_key(event: &AccessEvent) -> bool {
    event.action == Action::Authentication
        && event.outcome == Outcome::Success
        && event.trust == Trust::Server
        && event.method.as_deref().is_some_and(is_key)
}

fn is_key(method: &str) -> bool {
    method == "publickey" || method.starts_with("publickey/")
}

/// Whether it is a failed try that may lead to a ban. A line that stands for many is one: nobody is
/// shut out for a single line.
fn counts(event: &AccessEvent, config: &Config) -> bool {
    let trusted = match event.trust {
        Trust::Server => event.pid.is_some(),
        Trust::Text => config.trust_text,
        Trust::Session => false,
    };
    let folded = event.line.as_bytes().starts_with(b"message repeated ");
    trusted && event.attempt && event.outcome == Outcome::Failure && !folded
}

/// An address that is of no single peer, or of this host.
fn is_nobody(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// What one customer of a provider has.
fn customer(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(address) => Ipv4Net::from(address).into(),
        IpAddr::V6(address) => {
            let first = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Net::new_assert(Ipv6Addr::from_bits(first), 64).into()
        }
    }
}

/// The /56 of a /64.
fn wider(net: &IpNet) -> Option<Ipv6Net> {
    let IpNet::V6(net) = net else { return None };
    (net.prefix_len() > 56).then(|| Ipv6Net::new_assert(net.addr(), 56).trunc())
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
