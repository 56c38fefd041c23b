//! Who is shut out by this host itself: lines of access logs in, bans out. Pure.
//!
//! What counts is a failed try that the server itself told of, with an address that is pinned to its
//! connection. One customer is an IPv4 address or a /64 of IPv6; where several /64 of one /56 had to
//! be shut out, or tried too often together, it is the /56, and never more. Where somebody in a
//! network must not be shut out, whoever tries from there is shut out alone.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use watchward_protocol::access::{AccessEvent, Action, Outcome, Trust};
use watchward_protocol::restriction::{Banned, Lift};
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::config::Config;
use former::Formers;
use suspects::{Limit, Suspects, TooMany, Try};

mod former;
mod suspects;

pub(super) use former::{Former, MOST as MOST_FORMER, Note};

/// How many customers with failed tries are remembered for sure.
const MOST_SUSPECTS: usize = 32_768;
/// And how many /56 of them.
const MOST_WIDE: usize = 8_192;
/// How many lines are remembered, whoever they are of, to be told with a ban.
const MOST_LINES: usize = 256;
/// How many lines are told with a ban, and how much of each.
const TOLD_LINES: usize = 5;
const LONGEST_LINE: usize = 512;
/// So many /64 of one /56 are shut out before the /56 is. It is as well when so many of them at least
/// made so many times too many tries together, each of them fewer than too many.
const SEVERAL: usize = 3;
/// How many networks with somebody in them who must not be shut out are remembered, and for how long;
/// and how many who came in by key.
const MOST_SHARED: usize = 4_096;
const SHARED: Duration = Duration::from_secs(3600);

/// What follows from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Somebody is to be shut out, who tried from here last.
    Ban(Banned, IpAddr),
    /// Somebody came in by key from here, and is not to be.
    Vouch(IpAddr),
}

/// Remembers who failed, and decides.
#[derive(Debug)]
pub(super) struct Judge {
    suspects: Suspects,
    /// The same by /56.
    wide: Suspects,
    former: Formers,
    /// Networks that cannot be shut out for the sake of somebody in them; until when that is believed.
    shared: HashMap<IpNet, Timestamp>,
    /// Who came in by key, and until when nobody shuts them out.
    vouched: HashMap<IpAddr, Timestamp>,
    lines: VecDeque<(IpNet, Foreign)>,
}

impl Judge {
    /// One who knows what was decided before.
    pub(super) fn new(former: HashMap<IpNet, Former>) -> Self {
        Self {
            suspects: Suspects::new(MOST_SUSPECTS),
            wide: Suspects::new(MOST_WIDE),
            former: Formers::recalled(former),
            shared: HashMap::new(),
            vouched: HashMap::new(),
            lines: VecDeque::new(),
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
            self.vouch(address, event.at.min(now) + config.vouch.duration(), now);
            return Some(Verdict::Vouch(address));
        }
        if !config.bans || !counts(event, config) || is_nobody(address) {
            return None;
        }
        let banned = self.fail(address, event, config, now)?;
        Some(Verdict::Ban(banned, address))
    }

    /// The bans of its own that stand.
    pub(super) fn standing(&self, now: Timestamp) -> impl Iterator<Item = (IpNet, Timestamp)> {
        self.former.standing(now)
    }

    /// Until when a ban of its own stands.
    pub(super) fn stands(&self, net: &IpNet, now: Timestamp) -> Option<Timestamp> {
        let ban = self.former.get(net).filter(|ban| ban.until > now)?;
        Some(ban.until)
    }

    /// Somebody lifted a ban: the one of before then is as if it had never been.
    pub(super) fn lift(&mut self, lifted: &Lift) {
        let known = self.former.get(&lifted.net);
        if known.is_some_and(|ban| ban.since <= lifted.at) {
            self.former.take(&lifted.net);
        }
    }

    /// Nobody can shut this network out, for the sake of somebody in it. Says whom to shut out
    /// instead, if that is fewer and has the one who tried from here in it.
    pub(super) fn narrow(&mut self, net: &IpNet, from: IpAddr, now: Timestamp) -> Option<IpNet> {
        let length = if net.prefix_len() < 64 { 64 } else { 128 };
        let IpAddr::V6(address) = from else {
            return None;
        };
        let narrower = IpNet::from(part(address, length));
        if !net.contains(&narrower) || *net == narrower {
            return None;
        }
        let ban = self.former.take(net)?;
        self.former.put(narrower, ban, Duration::MAX);
        if self.shared.len() >= MOST_SHARED {
            self.shared.retain(|_, until| *until > now);
        }
        if self.shared.len() < MOST_SHARED {
            self.shared.insert(*net, now + SHARED);
        }
        Some(narrower)
    }

    /// What changed of its own bans, for whoever keeps them.
    pub(super) fn notes(&mut self) -> Vec<Note> {
        self.former.notes()
    }

    /// Its own ban stands no longer, and what it tries from now on shuts out none of its neighbours.
    /// What it tried, and that it was shut out, is not forgotten: who has a key of some account may
    /// still guess the password of another. Nor does it let in those who are shut out around it.
    fn vouch(&mut self, address: IpAddr, until: Timestamp, now: Timestamp) {
        self.former.end(address.into(), now);
        if self.vouched.len() >= MOST_SHARED {
            self.vouched.retain(|_, until| *until > now);
        }
        if self.vouched.len() < MOST_SHARED {
            self.vouched.insert(address, until);
        }
    }

    fn fail(
        &mut self,
        address: IpAddr,
        event: &AccessEvent,
        config: &Config,
        now: Timestamp,
    ) -> Option<Banned> {
        let (net, within) = (self.customer(address, now), config.within.duration());
        // What lies in the log since longer is old news; what it says of times to come is not so.
        let at = event.at.min(now);
        if now.since(at) > within || self.is_out(&net, now) {
            return None;
        }
        self.remember(net, event);
        let one = Try::of(event, address, at);
        let limit = Limit {
            tries: config.tries.count(),
            parts: 1,
            within,
        };
        let together = Limit {
            tries: limit.tries * SEVERAL,
            parts: SEVERAL,
            within,
        };
        let alone = self.suspects.fail(net, one, limit, now);
        let wide = self.wider(&net, now);
        let wide = wide.and_then(|wide| Some((wide, self.wide.fail(wide, one, together, now)?)));
        let alone = alone.map(|too_many| (self.widened(net, now), too_many));
        let (whom, too_many) = wide.or(alone)?;
        self.suspects.forget(&net);
        self.wide.forget(&whom);
        Some(self.ban(whom, (net, too_many), config, now))
    }

    /// Says for how long, and remembers it.
    fn ban(
        &mut self,
        whom: IpNet,
        (net, why): (IpNet, TooMany),
        config: &Config,
        now: Timestamp,
    ) -> Banned {
        let times = |net: &IpNet| self.times(net, config, now);
        let times = times(&whom).max(times(&net)).saturating_add(1);
        let factor = config.factor.number().saturating_pow(times - 1);
        let span = config.first.duration().saturating_mul(factor);
        let (since, until) = (now, now + span.min(config.longest.duration()));
        let ban = Former {
            times,
            since,
            until,
        };
        self.former.put(whom, ban, config.longest.duration());
        Banned {
            net: whom,
            until,
            tries: why.tries,
            accounts: why.accounts,
            within: why.within,
            times,
            lines: self.lines_of(&whom),
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
        let mut nets = around(net).chain([*net]);
        nets.any(|net| self.stands(&net, now).is_some())
    }

    /// What one customer of a provider has; where others have a part of that, the address.
    fn customer(&self, address: IpAddr, now: Timestamp) -> IpNet {
        let IpAddr::V6(six) = address else {
            return address.into();
        };
        let net = IpNet::from(part(six, 64));
        let is_vouched = self.vouched.get(&address).is_some_and(|until| *until > now);
        match is_vouched || self.is_shared(&net, now) {
            true => address.into(),
            false => net,
        }
    }

    /// Whether there is somebody in it who must not be shut out.
    fn is_shared(&self, net: &IpNet, now: Timestamp) -> bool {
        self.shared.get(net).is_some_and(|until| *until > now)
    }

    /// The /56 of a customer's /64.
    fn wider(&self, net: &IpNet, now: Timestamp) -> Option<IpNet> {
        let wide = around(net).find(|_| net.prefix_len() == 64)?;
        (!self.is_shared(&wide, now)).then_some(wide)
    }

    /// Its /56, where several others of that are shut out.
    fn widened(&self, net: IpNet, now: Timestamp) -> IpNet {
        let Some(wide) = self.wider(&net, now) else {
            return net;
        };
        let parts = wide.subnets(64).into_iter().flatten();
        let out = parts.filter(|part| self.stands(part, now).is_some());
        match out.take(SEVERAL - 1).count() < SEVERAL - 1 {
            true => net,
            false => wide,
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
        let of = self.lines.iter().rev();
        let of = of.filter(|(whose, _)| net.contains(whose));
        let mut lines: Vec<_> = of.take(TOLD_LINES).map(|(_, line)| line.clone()).collect();
        lines.reverse();
        lines
    }
}

/// A login with a key, as the server itself tells it.
pub(super) fn opens_by_key(event: &AccessEvent) -> bool {
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

/// The network of this length that an address is in.
fn part(address: Ipv6Addr, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(address, length).trunc()
}

/// The networks that an IPv6 one is a part of and that may be shut out with it.
fn around(net: &IpNet) -> impl Iterator<Item = IpNet> + use<> {
    let net = *net;
    let wider = [56, 64].into_iter();
    let wider = wider.filter(move |length| *length < net.prefix_len());
    wider.filter_map(move |length| match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(part(net.addr(), length).into()),
    })
}

#[cfg(test)]
mod tests;
