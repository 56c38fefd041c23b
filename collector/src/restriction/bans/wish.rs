//! What people wish of bans, as far as it makes sense. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::judge;
use crate::policy::networks::{Networks, canonical};

/// How many characters a reason may have.
const REASON: usize = 200;
/// How long a ban may last that a person decides.
pub(super) const LONGEST: std::time::Duration = std::time::Duration::from_secs(400 * 86_400);
/// The widest network that is shut out without a second thought, and at all: IPv4, IPv6.
const WIDE: (u8, u8) = (24, 56);
const WIDEST: (u8, u8) = (8, 32);

/// Somebody whom a person wants to have shut out of all hosts.
#[derive(Clone, Debug)]
pub(super) struct NewBan {
    /// Whom.
    pub(super) net: IpNet,
    /// Until when.
    pub(super) until: Timestamp,
    /// Why, for those who wonder.
    pub(super) reason: String,
    /// Also what is refused without a second thought.
    pub(super) even_so: bool,
    /// Where the person is, if that is known.
    pub(super) from: Option<IpAddr>,
}

/// A wish that makes no sense: why, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(pub(super) String);

/// Addresses that nobody comes from, or that every machine has.
const NOBODY: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "fe80::/10",
    "ff00::/8",
];

impl NewBan {
    /// As it is to be decided. `is_ours` says whether an address of the collector is in a network.
    pub(super) fn fit(
        mut self,
        networks: &Networks,
        is_ours: impl Fn(&IpNet) -> bool,
        now: Timestamp,
    ) -> Result<Self, Unfit> {
        self.net = whole(self.net)?;
        self.reason = reason(&self.reason)?;
        end(self.until, now)?;
        let net = &self.net;
        let (wide, widest) = (of_family(WIDE, net), of_family(WIDEST, net));
        if net.prefix_len() < widest {
            return refuse(format!(
                "{net}: what is wider than /{widest} is never shut out"
            ));
        }
        let mut nobody = NOBODY.iter().filter_map(|it| it.parse::<IpNet>().ok());
        if let Some(nobody) = nobody.find(|it| meets(it, net)) {
            return refuse(format!("{net}: nobody comes over a network from {nobody}"));
        }
        if self.even_so {
            return Ok(self);
        }
        let but = match () {
            () if net.prefix_len() < wide => format!("is wider than /{wide}"),
            () if self
                .from
                .is_some_and(|from| net.contains(&from.to_canonical())) =>
            {
                "is where you are yourself".to_owned()
            }
            () if is_ours(net) => "has an address of the collector in it".to_owned(),
            () => match judge::inside(net, networks) {
                Some(name) => format!("is in the network {name} of the policy"),
                None => return Ok(self),
            },
        };
        refuse(format!(
            "{net} {but}: if it is meant so, say `--even-so`, or tick that on the page"
        ))
    }
}

/// Somebody whom a person wants to have let in again everywhere.
#[derive(Clone, Debug)]
pub(super) struct Lifting {
    /// Whom.
    pub(super) net: IpNet,
    /// Why the ban was wrong.
    pub(super) reason: String,
    /// Also very many at once.
    pub(super) even_so: bool,
}

impl Lifting {
    /// As it is to be done.
    pub(super) fn fit(self) -> Result<Self, Unfit> {
        Ok(Self {
            net: whole(self.net)?,
            reason: reason(&self.reason)?,
            ..self
        })
    }

    /// Whether it needs no second thought to end these bans.
    pub(super) fn may_end(&self, bans: &[IpNet]) -> Result<(), Unfit> {
        let (net, wide) = (&self.net, of_family(WIDE, &self.net));
        let others = bans.iter().filter(|ban| *ban != net).count();
        if self.even_so || net.prefix_len() >= wide || others == 0 {
            return Ok(());
        }
        let what = match bans.len() {
            1 => "that ends a ban of somebody in it".to_owned(),
            bans => format!("that ends {bans} bans"),
        };
        refuse(format!(
            "{net} is wider than /{wide}, and {what}: if it is meant so, say `--even-so`"
        ))
    }
}

fn of_family((four, six): (u8, u8), net: &IpNet) -> u8 {
    match net {
        IpNet::V4(_) => four,
        IpNet::V6(_) => six,
    }
}

fn refuse<T>(why: String) -> Result<T, Unfit> {
    Err(Unfit(why))
}

fn meets(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// The network, if it is one; one IPv6 address stands for the /64 that it is in.
pub(super) fn whole(net: IpNet) -> Result<IpNet, Unfit> {
    let net = canonical(net);
    if net.trunc() != net {
        let (address, network) = (net.addr(), net.trunc());
        return refuse(format!(
            "{address} is an address in {network}: write one of the two"
        ));
    }
    Ok(judge::whom(net))
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, Unfit> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > REASON {
        return refuse("say why, in at most 200 characters".to_owned());
    }
    Ok(Foreign::from(text).to_string())
}

/// Whether a ban can end then.
pub(super) fn end(until: Timestamp, now: Timestamp) -> Result<(), Unfit> {
    if until <= now {
        return refuse("that moment has passed".to_owned());
    }
    if until > now + LONGEST {
        return refuse("a ban lasts 400 days at most".to_owned());
    }
    Ok(())
}
