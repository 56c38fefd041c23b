//! Whether what a rule sees is what it looks for: yes, no, or not known. Pure.

use std::net::IpAddr;

use super::packet::Seen;
use crate::reach::ruleset::{Atom, Op, Pattern};

/// Of what a number is, and so which words stand for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Port,
    Protocol,
    Family,
    Ether,
    State,
    Direction,
    TcpFlags,
    Moment,
    Plain,
}

/// Whether something is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// Why that is not known.
    Unknown(String),
}

/// Elements of a set by its name; none: nobody knows them.
pub(super) type Sets<'a, 's> = &'s dyn Fn(&str) -> Option<Vec<&'a Pattern>>;

/// Compares.
pub(super) fn holds(seen: &Seen, op: Op, pattern: &Pattern, sets: Sets<'_, '_>) -> Holds {
    match seen {
        Seen::Absent => return Holds::No,
        Seen::Unknown(why) => return Holds::Unknown(why.clone()),
        Seen::Number(..) | Seen::Bits(..) | Seen::Name(_) | Seen::Truth(_) | Seen::Several(_) => {}
    }
    match op {
        Op::Is => is(seen, pattern, sets),
        Op::IsNot => not(is(seen, pattern, sets)),
        Op::Some => some(seen, pattern),
        Op::NoneOf => not(some(seen, pattern)),
        Op::Below | Op::AtMost | Op::Above | Op::AtLeast => ordered(seen, op, pattern),
    }
}

fn not(holds: Holds) -> Holds {
    match holds {
        Holds::Yes => Holds::No,
        Holds::No => Holds::Yes,
        Holds::Unknown(why) => Holds::Unknown(why),
    }
}

fn strange() -> Holds {
    Holds::Unknown("it compares in a way that is not understood".to_owned())
}

/// Whether it is one of what a pattern means.
pub(super) fn is(seen: &Seen, pattern: &Pattern, sets: Sets<'_, '_>) -> Holds {
    match pattern {
        Pattern::Any => Holds::Yes,
        Pattern::Strange => strange(),
        Pattern::Many(all) => any(seen, all.iter(), sets),
        Pattern::Named(name) => match sets(name) {
            Some(all) => any(seen, all.into_iter(), sets),
            None => Holds::Unknown(format!("set {name} is not known as it is then")),
        },
        Pattern::AtTimes(inner) => match is(seen, inner, sets) {
            Holds::Yes => Holds::Unknown("a limit stands at it".to_owned()),
            other @ (Holds::No | Holds::Unknown(_)) => other,
        },
        Pattern::Concat(parts) => together(seen, parts, sets),
        Pattern::One(_) | Pattern::Range(..) | Pattern::Prefix(..) => single(seen, pattern),
    }
}

fn any<'a>(seen: &Seen, all: impl Iterator<Item = &'a Pattern>, sets: Sets<'_, '_>) -> Holds {
    let (mut doubt, mut parts) = (None, Vec::new());
    for one in all {
        match is(seen, one, sets) {
            Holds::Yes => return Holds::Yes,
            Holds::Unknown(why) => doubt = Some(why),
            Holds::No => {}
        }
        if let Seen::Number(kind, ..) = seen {
            parts.extend(span(*kind, one));
        }
    }
    // Several that lie next to each other may hold what none of them holds alone.
    match (doubt, seen) {
        (Some(_), Seen::Number(_, first, last)) if covered(parts, *first, *last) => Holds::Yes,
        (Some(why), _) => Holds::Unknown(why),
        (None, _) => Holds::No,
    }
}

fn covered(mut parts: Vec<(u128, u128)>, first: u128, last: u128) -> bool {
    parts.sort_unstable();
    let mut next = first;
    for (from, to) in parts {
        if from > next {
            return false;
        }
        if to >= last {
            return true;
        }
        next = next.max(to.saturating_add(1));
    }
    false
}

fn together(seen: &Seen, parts: &[Pattern], sets: Sets<'_, '_>) -> Holds {
    let Seen::Several(all) = seen else {
        return strange();
    };
    if all.len() != parts.len() {
        return strange();
    }
    let mut doubt = None;
    for (seen, part) in all.iter().zip(parts) {
        match is(seen, part, sets) {
            Holds::No => return Holds::No,
            Holds::Unknown(why) => doubt = Some(why),
            Holds::Yes => {}
        }
    }
    doubt.map_or(Holds::Yes, Holds::Unknown)
}

fn single(seen: &Seen, pattern: &Pattern) -> Holds {
    match (seen, pattern) {
        (Seen::Number(kind, first, last), _) => match span(*kind, pattern) {
            Some((from, to)) if from <= *first && *last <= to => Holds::Yes,
            Some((from, to)) if to < *first || *last < from => Holds::No,
            Some(_) => Holds::Unknown("it looks at the port that a client has".to_owned()),
            None => strange(),
        },
        (Seen::Bits(kind, all), _) => match span(*kind, pattern) {
            Some((from, to)) => each(all, |one| from <= one && one <= to),
            None => strange(),
        },
        (Seen::Name(name), Pattern::One(Atom::Word(word))) => match word.strip_suffix('*') {
            Some(start) => whether(name.starts_with(start)),
            None => whether(name == word),
        },
        (Seen::Truth(truth), Pattern::One(Atom::Truth(wanted))) => whether(truth == wanted),
        (Seen::Truth(truth), Pattern::One(Atom::Number(wanted))) => {
            whether(u128::from(*truth) == *wanted)
        }
        _ => strange(),
    }
}

fn whether(so: bool) -> Holds {
    if so { Holds::Yes } else { Holds::No }
}

fn each(all: &[u128], so: impl Fn(u128) -> bool) -> Holds {
    match all.iter().filter(|one| so(**one)).count() {
        0 => Holds::No,
        count if count == all.len() => Holds::Yes,
        _ => Holds::Unknown("it looks at bits that a client may set".to_owned()),
    }
}

/// Whether some of these bits are there.
fn some(seen: &Seen, pattern: &Pattern) -> Holds {
    match seen {
        Seen::Number(kind, first, last) if first == last => match bits(*kind, pattern) {
            Some(bits) => whether(first & bits != 0),
            None => strange(),
        },
        Seen::Bits(kind, all) => match bits(*kind, pattern) {
            Some(bits) => each(all, |one| one & bits != 0),
            None => strange(),
        },
        Seen::Number(..)
        | Seen::Name(_)
        | Seen::Truth(_)
        | Seen::Several(_)
        | Seen::Absent
        | Seen::Unknown(_) => strange(),
    }
}

fn ordered(seen: &Seen, op: Op, pattern: &Pattern) -> Holds {
    let Seen::Number(kind, first, last) = seen else {
        return strange();
    };
    let Some((from, to)) = span(*kind, pattern).filter(|(from, to)| from == to) else {
        return strange();
    };
    let so = |number: u128| match op {
        Op::Below => number < from,
        Op::AtMost => number <= to,
        Op::Above => number > to,
        Op::AtLeast => number >= from,
        Op::Is | Op::IsNot | Op::Some | Op::NoneOf => false,
    };
    each(&[*first, *last], so)
}

/// The first and the last number that a pattern means.
fn span(kind: Kind, pattern: &Pattern) -> Option<(u128, u128)> {
    match pattern {
        Pattern::One(one) => atom(kind, one).map(|it| (it, it)),
        Pattern::Range(first, last) => Some((atom(kind, first)?, atom(kind, last)?)),
        Pattern::Prefix(address, length) => {
            let net = ipnet::IpNet::new(*address, *length).ok()?;
            Some((address_bits(net.network()), address_bits(net.broadcast())))
        }
        Pattern::Any
        | Pattern::Many(_)
        | Pattern::Named(_)
        | Pattern::Concat(_)
        | Pattern::AtTimes(_)
        | Pattern::Strange => None,
    }
}

/// The bits that a pattern means together.
pub(super) fn bits(kind: Kind, pattern: &Pattern) -> Option<u128> {
    match pattern {
        Pattern::One(one) => atom(kind, one),
        Pattern::Many(all) => all
            .iter()
            .try_fold(0, |sum, one| Some(sum | bits(kind, one)?)),
        Pattern::Any
        | Pattern::Range(..)
        | Pattern::Prefix(..)
        | Pattern::Named(_)
        | Pattern::Concat(_)
        | Pattern::AtTimes(_)
        | Pattern::Strange => None,
    }
}

fn atom(kind: Kind, atom: &Atom) -> Option<u128> {
    match atom {
        Atom::Number(number) => Some(*number),
        Atom::Word(word) if kind == Kind::Address => word.parse().ok().map(address_bits),
        Atom::Word(word) => number(kind, word),
        Atom::Truth(_) => None,
    }
}

fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_bits().into(),
        IpAddr::V6(it) => it.to_bits(),
    }
}

/// The number that nft has a word for.
pub(super) fn number(kind: Kind, word: &str) -> Option<u128> {
    const NAMES: [(Kind, &str, u128); 34] = [
        (Kind::Protocol, "icmp", 1),
        (Kind::Protocol, "igmp", 2),
        (Kind::Protocol, "tcp", 6),
        (Kind::Protocol, "udp", 17),
        (Kind::Protocol, "dccp", 33),
        (Kind::Protocol, "gre", 47),
        (Kind::Protocol, "esp", 50),
        (Kind::Protocol, "ah", 51),
        (Kind::Protocol, "icmpv6", 58),
        (Kind::Protocol, "ipv6-icmp", 58),
        (Kind::Protocol, "ospf", 89),
        (Kind::Protocol, "pim", 103),
        (Kind::Protocol, "vrrp", 112),
        (Kind::Protocol, "sctp", 132),
        (Kind::Protocol, "udplite", 136),
        (Kind::Family, "ipv4", 2),
        (Kind::Family, "ipv6", 10),
        (Kind::Ether, "ip", 0x0800),
        (Kind::Ether, "arp", 0x0806),
        (Kind::Ether, "vlan", 0x8100),
        (Kind::Ether, "ip6", 0x86dd),
        (Kind::State, "invalid", 1),
        (Kind::State, "established", 2),
        (Kind::State, "related", 4),
        (Kind::State, "new", 8),
        (Kind::State, "untracked", 64),
        (Kind::Direction, "original", 0),
        (Kind::Direction, "reply", 1),
        (Kind::TcpFlags, "fin", 1),
        (Kind::TcpFlags, "syn", 2),
        (Kind::TcpFlags, "rst", 4),
        (Kind::TcpFlags, "psh", 8),
        (Kind::TcpFlags, "ack", 16),
        (Kind::TcpFlags, "urg", 32),
    ];
    if kind == Kind::Moment {
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        return digits.parse().ok().filter(|_| digits.len() == 14);
    }
    let found = NAMES
        .iter()
        .find(|(of, name, _)| *of == kind && *name == word);
    match (found, word, kind) {
        (Some((_, _, number)), _, _) => Some(*number),
        (None, "ecn", Kind::TcpFlags) => Some(64),
        (None, "cwr", Kind::TcpFlags) => Some(128),
        (None, _, _) => word.parse().ok(),
    }
}
