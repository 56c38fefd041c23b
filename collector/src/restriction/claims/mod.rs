//! Where hosts say that they are, and what of that counts: one host's word exempts little. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use watchward_protocol::hosts::HostId;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{Alert, Severity, cut};
use crate::policy::networks::is_public;

/// Of so many public networks a host may say that it is there without having been seen there: a host
/// of two families or some more addresses does, and who wants to keep others from being shut out.
const MOST_UNSEEN: usize = 16;
/// So many other hosts that were attacked from there outweigh one that says it is there itself.
pub(super) const OUTWEIGH: usize = 3;
/// The network of one IPv6 machine.
const MACHINE: u8 = 64;
/// How long a title is at most, in characters.
const TITLE: usize = 100;

/// Where a host says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Which host.
    pub(super) id: HostId,
    /// Its name.
    pub(super) name: String,
    /// What it says that its addresses are.
    pub(super) addresses: Vec<IpAddr>,
    /// From where its conversations came last, one of each family: nobody can say what is not so.
    pub(super) seen: Vec<IpAddr>,
}

impl Claim {
    /// Whether this host was seen at an address, or on the same IPv6 machine.
    pub(super) fn is_seen(&self, address: IpAddr) -> bool {
        self.seen.iter().any(|seen| place(*seen) == place(address))
    }
}

/// What is doubtful of a host's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It says that it is in so many public networks in which it was not seen. None of those count.
    Many(usize),
    /// It says of an address that it is its own, from which the collector sees another host.
    Seen(IpAddr, String),
    /// It says so of a public address, and so does another host.
    Said(IpAddr, String),
}

/// Takes away what does not count, and says what of it somebody should know. Of what has a name an
/// operator knows: nobody is told how much there is of it.
pub(super) fn weigh(
    mut all: Vec<Claim>,
    is_named: impl Fn(IpAddr) -> bool,
) -> (Vec<Claim>, Vec<(HostId, String, Doubt)>) {
    let before = all.clone();
    let (seen, said) = (holders(&before, true), holders(&before, false));
    let mut doubts = Vec::new();
    for claim in &mut all {
        let known = claim.clone();
        let is_others = |address: &IpAddr| seen.contains_key(address) && !known.is_seen(*address);
        let is_bold = |address: &IpAddr| {
            is_public(*address) && !known.is_seen(*address) && !is_named(*address)
        };
        let bold = known.addresses.iter().filter(|own| is_bold(own));
        let bold: BTreeSet<IpNet> = bold.map(|own| place(*own)).collect();
        let is_many = bold.len() > MOST_UNSEEN;
        claim
            .addresses
            .retain(|own| !(is_others(own) || is_many && is_bold(own)));
        let doubt = known.addresses.iter().find_map(|own| match seen.get(own) {
            Some(others) => {
                let (_, other) = others.first().filter(|_| is_others(own))?;
                Some(Doubt::Seen(*own, (*other).to_owned()))
            }
            None => {
                let mut others = said.get(own).filter(|_| is_bold(own))?.iter();
                let other = others.find(|(id, _)| *id != known.id)?;
                Some(Doubt::Said(*own, other.1.to_owned()))
            }
        });
        let doubt = doubt.or_else(|| is_many.then_some(Doubt::Many(bold.len())));
        doubts.extend(doubt.map(|doubt| (known.id, known.name, doubt)));
    }
    (all, doubts)
}

/// What is told of a doubt.
pub(super) fn alert((host, name): (HostId, &str), doubt: &Doubt, now: Timestamp) -> Alert {
    let shown = Foreign::from(name).shortened(30);
    let other = |name: &str| Foreign::from(name).shortened(30);
    let (title, then) = match doubt {
        Doubt::Many(count) => (
            format!("{shown} says that it is in {count} public networks"),
            format!(
                "The collector saw it in none of those, so that it keeps nobody there from being \
                 shut out: more than {MOST_UNSEEN} do not count."
            ),
        ),
        Doubt::Seen(address, name) => (
            format!(
                "{shown} says that {address} is its own, where {} is",
                other(name)
            ),
            "The collector sees the other one come from there, so that it counts for that one."
                .to_owned(),
        ),
        Doubt::Said(address, name) => (
            format!(
                "{shown} says that {address} is its own, and so does {}",
                other(name)
            ),
            "The collector saw neither of them there. Nobody tries gates at that address."
                .to_owned(),
        ),
    };
    Alert {
        key: key(host),
        severity: Severity::Warning,
        host: Some(name.to_owned()),
        title: cut(&title, TITLE),
        detail: format!("{title}.\n{then}\nWho has broken into a host can have it say so."),
        advice:
            "See on the host what addresses it has (`ip address`). If they are right, give their \
                 network a name in `[networks]` of the policy."
                .to_owned(),
        since: now,
    }
}

/// Somebody is shut out everywhere though a host says that it is there itself.
pub(super) fn outweighed(
    (host, name): (HostId, &str),
    (net, attacked, until): (IpNet, usize, Timestamp),
    now: Timestamp,
) -> Alert {
    let shown = Foreign::from(name).shortened(30);
    let title = format!("{net}, where {shown} says it is, attacked {attacked} other hosts");
    let detail = format!(
        "{title}, and is shut out of all of them until {until}.\nThe collector never saw {shown} come \
         from there: either {shown} attacks others, or it keeps them from shutting somebody out."
    );
    Alert {
        key: format!("{} {net}", key(host)),
        severity: Severity::Critical,
        host: Some(name.to_owned()),
        title: cut(&title, TITLE),
        detail,
        advice: format!(
            "Look at {shown}: somebody may have broken into it. If not: watchward ban lift {net} --reason WHY"
        ),
        since: now,
    }
}

fn key(host: HostId) -> String {
    format!("restriction.claim {host}")
}

/// Who says of each address that it is theirs; or of each of those who were seen there as well, one.
fn holders(all: &[Claim], is_seen: bool) -> BTreeMap<IpAddr, Vec<(HostId, &str)>> {
    let mut holders: BTreeMap<IpAddr, Vec<(HostId, &str)>> = BTreeMap::new();
    for claim in all {
        let own = claim.addresses.iter();
        for address in own.filter(|own| !is_seen || claim.seen.contains(own)) {
            let of = holders.entry(*address).or_default();
            of.push((claim.id, claim.name.as_str()));
        }
    }
    holders
}

/// The network of the machine that an address is of.
fn place(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(four) => IpNet::from(IpAddr::V4(four)),
        IpAddr::V6(six) => {
            Ipv6Net::new(six, MACHINE).map_or(IpNet::from(address), |it| it.trunc().into())
        }
    }
}

#[cfg(test)]
mod tests;
