//! A new connection's first packet: what a rule that looks at it would see. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use watchward_protocol::restriction::Transport;

use super::compare::{Kind, number};
use crate::reach::ruleset::{Expression, Place};

/// A new connection to this host.
#[derive(Clone, Debug)]
pub struct Packet {
    /// From where.
    pub source: IpAddr,
    /// To which of the host's addresses.
    pub destination: IpAddr,
    /// By what.
    pub transport: Transport,
    /// To which port.
    pub port: u16,
    /// The interface that it comes in by; none: it is not known which.
    pub interface: Option<String>,
    /// The host's own addresses.
    pub own: BTreeSet<IpAddr>,
    /// When it comes, by the clock on the host's wall as nft writes it: `20261231235959`.
    pub moment: u64,
}

/// What is so of it at one place of its way.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) packet: &'a Packet,
    /// None: it is one of the host's own, and nobody knows which.
    pub(super) destination: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) mark: Option<u32>,
    pub(super) ct_mark: Option<u32>,
    pub(super) translated: bool,
    pub(super) untracked: Certainty,
    /// The priority of the hook where it is.
    pub(super) tracked: Certainty,
    /// What may have become something else.
    pub(super) rewritten: Vec<Expression>,
    /// Sets that it may have come into on its way.
    pub(super) learned: Vec<Place>,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    Yes,
    No,
    Perhaps,
}

/// What a rule sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A number in a range: of one, if both are the same.
    Number(Kind, u128, u128),
    /// Bits of which some may be there.
    Bits(Kind, Vec<u128>),
    Name(String),
    Truth(bool),
    Several(Vec<Seen>),
    /// The packet has no such thing, so that the rule is none for it.
    Absent,
    /// Nobody knows.
    Unknown(String),
}

impl<'a> Facts<'a> {
    pub(super) fn new(packet: &'a Packet) -> Self {
        Self {
            packet,
            destination: Some(packet.destination),
            port: Some(packet.port),
            mark: Some(0),
            ct_mark: Some(0),
            translated: false,
            untracked: Certainty::No,
            tracked: Certainty::No,
            rewritten: Vec::new(),
            learned: Vec::new(),
        }
    }

    /// What an expression is of this packet.
    pub(super) fn see(&self, expression: &Expression) -> Seen {
        if self.rewritten.contains(expression) {
            return Seen::Unknown("it was changed on the way".to_owned());
        }
        match expression {
            Expression::Payload(protocol, field) => self.header(protocol, field),
            Expression::Meta(key) => self.meta(key),
            Expression::Ct(key) => self.connection(key),
            Expression::Fib(result, of) => self.routes(result, of),
            Expression::Masked(inner, mask) => masked(self.see(inner), mask),
            Expression::Concat(parts) => self.several(parts),
            Expression::Strange(name) => unknown(name),
        }
    }

    fn several(&self, parts: &[Expression]) -> Seen {
        let all: Vec<_> = parts.iter().map(|part| self.see(part)).collect();
        if all.contains(&Seen::Absent) {
            return Seen::Absent;
        }
        let strange = all.iter().find(|one| matches!(one, Seen::Unknown(_)));
        strange.cloned().unwrap_or(Seen::Several(all))
    }

    fn v4(&self) -> bool {
        self.packet.source.is_ipv4()
    }

    fn header(&self, protocol: &str, field: &str) -> Seen {
        let own = self.packet.transport.name();
        match (protocol, field) {
            ("ip", _) if !self.v4() => Seen::Absent,
            ("ip6", _) if self.v4() => Seen::Absent,
            ("ip" | "ip6", "saddr") => address(Some(self.packet.source)),
            ("ip" | "ip6", "daddr") => address(self.destination),
            // Beware: with headers of extension `nexthdr` is another.
            ("ip", "protocol") | ("ip6", "nexthdr") => self.protocol(),
            ("th" | "tcp" | "udp", "dport") if protocol == "th" || protocol == own => {
                match self.port {
                    Some(port) => exactly(Kind::Port, port.into()),
                    None => unknown("the port, which was changed on the way"),
                }
            }
            ("th" | "tcp" | "udp", "sport") if protocol == "th" || protocol == own => {
                Seen::Number(Kind::Port, 1024, u16::MAX.into())
            }
            // With ECN the first packet of TCP has two bits more.
            ("tcp", "flags") if own == "tcp" => Seen::Bits(Kind::TcpFlags, vec![0x02, 0xc2]),
            ("tcp", _) if own == "tcp" => unknown(&format!("{protocol} {field}")),
            ("udp", _) if own == "udp" => unknown(&format!("{protocol} {field}")),
            (
                "tcp" | "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6" | "igmp" | "esp"
                | "ah" | "comp" | "gre",
                _,
            ) => Seen::Absent,
            _ => unknown(&format!("{protocol} {field}")),
        }
    }

    fn protocol(&self) -> Seen {
        let number = number(Kind::Protocol, self.packet.transport.name());
        exactly(Kind::Protocol, number.unwrap_or(0))
    }

    fn meta(&self, key: &str) -> Seen {
        match key {
            "l4proto" => self.protocol(),
            "nfproto" => exactly(Kind::Family, if self.v4() { 2 } else { 10 }),
            "protocol" => exactly(Kind::Ether, if self.v4() { 0x0800 } else { 0x86dd }),
            "iif" | "iifname" => match &self.packet.interface {
                Some(name) => Seen::Name(name.clone()),
                None => unknown("the interface that it comes in by"),
            },
            "time" => exactly(Kind::Moment, self.packet.moment.into()),
            "mark" => match self.mark {
                Some(mark) => exactly(Kind::Plain, mark.into()),
                None => unknown("the packet's mark"),
            },
            _ => unknown(&format!("meta {key}")),
        }
    }

    /// Of what comes before connections are followed, the kernel says `invalid`.
    fn connection(&self, key: &str) -> Seen {
        match (self.untracked, self.tracked, key) {
            (Certainty::Perhaps, _, _) | (_, Certainty::Perhaps, _) => {
                unknown("the state of the connection at this place")
            }
            (Certainty::Yes, _, "state") => exactly(Kind::State, 64),
            (_, Certainty::No, "state") => exactly(Kind::State, 1),
            (Certainty::No, Certainty::Yes, "state") => exactly(Kind::State, 8),
            (Certainty::Yes, _, _) | (_, Certainty::No, _) => Seen::Absent,
            (_, _, "mark") => match self.ct_mark {
                Some(mark) => exactly(Kind::Plain, mark.into()),
                None => unknown("the connection's mark"),
            },
            (_, _, "direction") => exactly(Kind::Direction, 0),
            _ => unknown(&format!("ct {key}")),
        }
    }

    fn routes(&self, result: &str, of: &[String]) -> Seen {
        let of: Vec<_> = of.iter().map(String::as_str).collect();
        match (result, &of[..]) {
            ("type", ["daddr"]) => match self.destination {
                Some(to) if !self.packet.own.contains(&to) => unknown("fib daddr type"),
                _ => Seen::Name("local".to_owned()),
            },
            ("type", ["saddr"]) if self.packet.own.contains(&self.packet.source) => {
                Seen::Name("local".to_owned())
            }
            // It comes in where the kernel would answer to.
            ("oif", ["saddr", "iif"] | ["iif", "saddr"]) if self.packet.interface.is_some() => {
                Seen::Truth(true)
            }
            _ => unknown(&format!("fib {} {result}", of.join(" . "))),
        }
    }
}

fn address(address: Option<IpAddr>) -> Seen {
    match address {
        Some(IpAddr::V4(it)) => exactly(Kind::Address, it.to_bits().into()),
        Some(IpAddr::V6(it)) => exactly(Kind::Address, it.to_bits()),
        None => unknown("the address, which was changed on the way"),
    }
}

fn exactly(kind: Kind, number: u128) -> Seen {
    Seen::Number(kind, number, number)
}

fn unknown(what: &str) -> Seen {
    Seen::Unknown(format!("it looks at {what}"))
}

fn masked(inner: Seen, mask: &crate::reach::ruleset::Pattern) -> Seen {
    match inner {
        Seen::Number(kind, first, last) if first == last => {
            match super::compare::bits(kind, mask) {
                Some(mask) => exactly(kind, first & mask),
                None => unknown("some bits"),
            }
        }
        Seen::Bits(kind, all) => match super::compare::bits(kind, mask) {
            Some(mask) => Seen::Bits(kind, all.into_iter().map(|one| one & mask).collect()),
            None => unknown("some bits"),
        },
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why),
        Seen::Number(..) | Seen::Name(_) | Seen::Truth(_) | Seen::Several(_) => {
            unknown("some bits")
        }
    }
}
