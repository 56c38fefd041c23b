//! What becomes of a ban that a host decided: whom it shuts out, for how long, and where. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::Banned;
use watchward_protocol::span::Span;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::intake::Host;
use crate::policy::networks::{Networks, canonical};
use crate::restriction::Config;
use crate::restriction::claims::OUTWEIGH;

/// The network that one customer of an IPv6 provider usually has; what is wider is never shut out
/// by what hosts decide.
const CUSTOMER: u8 = 56;
/// The network of one IPv6 machine.
const MACHINE: u8 = 64;
/// How many /64 of a /56 are shut out at once until the whole /56 is.
pub(super) const SEVERAL: i64 = 3;
/// How many bans may hold everywhere on the word of one host, all of them and those of a bucket: no
/// host can have everybody shut out of all others, nor leave no room for what others decide.
const MOST_OF_A_HOST: i64 = 5_000;
const MOST_OF_A_BUCKET: i64 = 256;
/// A named network that is at least as wide is the Internet, and nobody's own: IPv4, IPv6.
const INTERNET: (u8, u8) = (7, 15);

/// Why somebody was shut out: what one host told.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Cause<'a> {
    pub(in crate::restriction) host: &'a Host,
    pub(in crate::restriction) at: Timestamp,
    pub(in crate::restriction) banned: &'a Banned,
}

/// What several hosts told of one network, the last of it last.
pub(in crate::restriction) type Causes<'a> = BTreeMap<IpNet, Vec<Cause<'a>>>;

/// Whom somebody means who says this: an IPv4 address, or at least the /64 of an IPv6 one.
pub(super) fn whom(net: IpNet) -> IpNet {
    match canonical(net.trunc()) {
        IpNet::V6(net) if net.prefix_len() > MACHINE => widened(net, MACHINE),
        net @ (IpNet::V4(_) | IpNet::V6(_)) => net,
    }
}

/// The network of the customer that a /64 is probably of.
pub(super) fn customer(net: &IpNet) -> Option<IpNet> {
    match net {
        IpNet::V6(net) if net.prefix_len() == MACHINE => Some(widened(*net, CUSTOMER)),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}

fn widened(net: Ipv6Net, length: u8) -> IpNet {
    let wide = Ipv6Net::new(net.addr(), length);
    IpNet::V6(wide.map_or(net, |wide| wide.trunc()))
}

/// How many bans hold everywhere on the word of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    all: i64,
    buckets: BTreeMap<u8, i64>,
}

impl Share {
    /// With those that hold, by bucket.
    pub(super) fn of(buckets: BTreeMap<u8, i64>) -> Self {
        let all = buckets.values().sum();
        Self { all, buckets }
    }

    /// Takes a place for one more, if there is one.
    pub(super) fn take(&mut self, bucket: u8) -> bool {
        let count = self.buckets.entry(bucket).or_default();
        let fits = self.all < MOST_OF_A_HOST && *count < MOST_OF_A_BUCKET;
        if fits {
            *count += 1;
            self.all += 1;
        }
        fits
    }
}

/// Those whom no host may have others shut out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a> {
    /// Networks that have a name.
    pub(super) networks: &'a Networks,
    /// Addresses of hosts and of the collector, and whose each is.
    pub(super) addresses: &'a BTreeMap<IpAddr, Owner>,
    /// Which hosts said lately that they were attacked from there, where somebody only says to be there.
    pub(super) attacked: &'a BTreeMap<IpNet, BTreeSet<HostId>>,
}

/// Whose an address is.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// `the host web-1`, `this collector`.
    pub(super) whose: String,
    /// The host's id and name, if it is nothing but its word.
    pub(super) claimed: Option<(HostId, String)>,
}

impl Ours<'_> {
    /// Who of ours some of these addresses are: `in the network office`, `the host web-1`.
    pub(super) fn whose(&self, net: &IpNet) -> Option<String> {
        let mut within = self.within(net);
        let counts = |owner: &&Owner| self.outweighing(net, owner) < OUTWEIGH;
        let first = within.find(counts).map(|owner| owner.whose.clone());
        first.or_else(|| inside(net, self.networks).map(|name| format!("in the network {name}")))
    }

    /// The hosts whose word that they are there does not count, with how many were attacked.
    pub(super) fn outweighed(&self, net: &IpNet) -> Vec<((HostId, &str), usize)> {
        let mut all = Vec::new();
        for owner in self.within(net) {
            let attacked = self.outweighing(net, owner);
            if let Some((id, name)) = owner.claimed.as_ref().filter(|_| attacked >= OUTWEIGH) {
                all.push(((*id, name.as_str()), attacked));
            }
        }
        all
    }

    fn within(&self, net: &IpNet) -> impl Iterator<Item = &Owner> {
        let within = self.addresses.range(net.network()..=net.broadcast());
        within.map(|(_, owner)| owner)
    }

    /// How many hosts said otherwise.
    fn outweighing(&self, net: &IpNet, owner: &Owner) -> usize {
        let attacked = self.attacked.get(net).into_iter().flatten();
        match &owner.claimed {
            Some((claimer, _)) => attacked.filter(|host| *host != claimer).count(),
            None => 0,
        }
    }

    /// Why a host's ban holds on that host alone, if it does.
    pub(super) fn unspread(&self, net: &IpNet) -> Option<String> {
        let wide = match net {
            IpNet::V4(net) => net.prefix_len() < 32,
            IpNet::V6(net) => net.prefix_len() < CUSTOMER,
        };
        if wide {
            return Some("it is wider than a host may have others shut out".to_owned());
        }
        self.whose(net).map(|whose| format!("it is {whose}"))
    }
}

/// The name of a network that some of these addresses are in.
pub(in crate::restriction) fn inside<'a>(net: &IpNet, networks: &'a Networks) -> Option<&'a str> {
    let own = |known: &&IpNet| match known {
        IpNet::V4(known) => known.prefix_len() > INTERNET.0,
        IpNet::V6(known) => known.prefix_len() > INTERNET.1,
    };
    let meets = |known: &IpNet| known.contains(net) || net.contains(known);
    let mut all = networks.all();
    let found = all.find(|(_, set)| set.nets().iter().filter(own).any(meets));
    found.map(|(name, _)| name.as_str())
}

/// Until when a ban holds everywhere that was decided then, the how manieth of the same. It counts
/// from when it is heard of, so that a host that lies about the past makes none of them shorter, and
/// the next one longer, before its time. What would be over by now is over.
pub(super) fn until(at: Timestamp, times: i64, config: &Config, now: Timestamp) -> Timestamp {
    let longest = config.ban_longest.duration();
    let mut span = config.ban_first.duration().min(longest);
    for _ in 1..times.min(64) {
        span = span.saturating_mul(config.ban_factor.0).min(longest);
    }
    let over = at + span;
    if over > now { now + span } else { over }
}

/// Why, in words for people.
pub(super) fn reason(banned: &Banned) -> String {
    let accounts = match banned.accounts {
        0 | 1 => String::new(),
        many => format!(" with {many} accounts"),
    };
    let tries = match banned.tries {
        1 => "1 try".to_owned(),
        many => format!("{many} tries"),
    };
    format!("{tries}{accounts} in {}", rounded(banned.within))
}

/// A span in whole seconds.
fn rounded(span: Duration) -> Span {
    Span::seconds(span.as_secs().max(1))
}

/// Lines as they are kept: what a line has of line ends is only there to deceive.
pub(super) fn evidence(lines: &[Foreign]) -> Vec<u8> {
    let plain = |line: &Foreign| -> Vec<u8> {
        let bytes = line.as_bytes().iter();
        bytes
            .map(|byte| if *byte == b'\n' { b' ' } else { *byte })
            .collect()
    };
    let lines: Vec<_> = lines.iter().map(plain).collect();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests;
