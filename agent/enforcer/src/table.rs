//! Our table as text for `nft -f -`. Nothing that anybody typed is in it: numbers and networks alone.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;

use crate::bans::Shape;
use crate::gates::{Gate, Gates, MOST_GATES, Mode, Ports, Protocol};
use crate::guard::PortRange;
use crate::turned::{Tally, key};

/// Where packets are judged: before connections are tracked and addresses translated, so that ports
/// of containers are behind the same gates, and each packet is, also of connections that stand.
const HOOK: &str = "type filter hook prerouting priority -310; policy accept;";

/// More than the guard lets there be, as a set cannot be made larger later.
const ROOM: u32 = crate::guard::MOST_BANS + 65_536;

/// How many of those that gates turned away are remembered, of each family.
pub(crate) const MOST_PEERS: usize = 4096;

/// The two slots of gates: those that are confirmed, and those on trial. Each is written only while
/// packets go through the other.
///
/// The kernel shows new elements of some kinds of sets a moment after the rules that look into them,
/// so a slot that packets go through must not be written: they would meet gates without networks.
/// Which slot they go through hangs on the set `trial` alone: on `new` while it has elements, which
/// the kernel takes out by itself. So it needs nobody to go back to what is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Old,
    New,
}

impl Slot {
    const fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// The name of the chain of its so manieth gate.
    pub(crate) fn chain(self, number: usize) -> String {
        format!("{}_{number}", self.name())
    }
}

/// Takes the table away, if there is one.
pub(crate) const REMOVE: &str = "add table inet watchward\ndelete table inet watchward\n";

/// Has the table be there, with sets for these bans; leaves what its sets and slots have. Behind some
/// ports people sign in.
pub(crate) fn base(shapes: &BTreeSet<Shape>, signing_in: &[PortRange]) -> String {
    let mut text = String::from("add table inet watchward\n");
    text += &format!("add chain inet watchward inbound {{ {HOOK} }}\n");
    for chain in ["old", "new", "gates", "doors", "inbound"] {
        text += &format!("add chain inet watchward {chain}\n");
    }
    for chain in ["gates", "doors", "inbound"] {
        text += &format!("flush chain inet watchward {chain}\n");
    }
    sets(&mut text, shapes);
    inbound(&mut text, shapes);
    gates(&mut text, signing_in);
    text
}

/// Has the new slot hold, for so long; or the old.
pub(crate) fn trial(left: Option<Duration>) -> String {
    let mut text = String::from("flush set inet watchward trial\n");
    if let Some(left) = left.map(|left| left.as_secs().max(1)) {
        let elements = format!("{{ tcp timeout {left}s, udp timeout {left}s }}");
        text += &format!("add element inet watchward trial {elements}\n");
    }
    text
}

/// Has the sets of those who pass everywhere hold these. Whoever stays in is never out.
pub(crate) fn never(before: &[IpNet], after: &[IpNet]) -> String {
    let mut text = String::new();
    for family in [4, 6] {
        let (before, after) = (apart(before, family), apart(after, family));
        for (what, these, those) in [("delete", &before, &after), ("add", &after, &before)] {
            let nets = listed(these.iter().filter(|net| !those.contains(net)));
            if !nets.is_empty() {
                text += &format!("{what} element inet watchward never{family} {{ {nets} }}\n");
            }
        }
    }
    text
}

/// Writes the gates of a slot, each in a chain of its own that lets whoever may pass return. They go
/// on counting from here.
pub(crate) fn slot(slot: Slot, gates: &Gates, tally: &Tally) -> String {
    let name = slot.name();
    let mut text = format!("add chain inet watchward {name}\nflush chain inet watchward {name}\n");
    for gate in 0..MOST_GATES {
        for what in ["add", "flush", "delete"] {
            text += &format!("{what} chain inet watchward {name}_{gate}\n");
        }
    }
    for (number, gate) in gates.gates.iter().enumerate() {
        let chain = slot.chain(number);
        text += &format!("add chain inet watchward {chain}\n");
        pass(&mut text, &chain, gate);
        for (family, ip) in [(4, "ip"), (6, "ip6")] {
            let peer = format!("{{ {ip} saddr . th dport counter }}");
            rule(&mut text, &chain, &format!("update @turned{family} {peer}"));
        }
        let counted = tally.get(&key(gate)).copied().unwrap_or_default();
        let verdict = match gate.mode {
            Mode::Watch => "comment \"would be turned away\"",
            Mode::Enforce => "drop comment \"turned away\"",
        };
        let counter = format!("counter packets {counted} bytes 0");
        rule(&mut text, &chain, &format!("{counter} {verdict}"));
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let ports = ports(&gate.ports, protocol);
            if !ports.is_empty() {
                let jump = format!("{} dport {{ {ports} }} jump {chain}", protocol.name());
                rule(&mut text, name, &jump);
            }
        }
    }
    text
}

fn sets(text: &mut String, shapes: &BTreeSet<Shape>) {
    let mut set = |name: &str, spec: &str| {
        *text += &format!("add set inet watchward {name} {{ {spec} }}\n");
    };
    for (family, kind) in [(4, "ipv4_addr"), (6, "ipv6_addr")] {
        set(
            &format!("never{family}"),
            &format!("type {kind}; flags interval;"),
        );
        set(
            &format!("vouched{family}"),
            &format!("type {kind}; flags timeout; size 1024;"),
        );
        let spec = "inet_service; flags dynamic,timeout;";
        set(
            &format!("turned{family}"),
            &format!("type {kind} . {spec} size {MOST_PEERS}; timeout 1d;"),
        );
    }
    for shape in shapes {
        let kind = if shape.ipv6 { "ipv6_addr" } else { "ipv4_addr" };
        set(
            &shape.set(),
            &format!("type {kind}; flags timeout; size {ROOM};"),
        );
    }
    set("trial", "type inet_proto; flags timeout;");
}

/// Bans come before gates. IPv6 has no ARP: without the neighbours' messages nobody is found.
fn inbound(text: &mut String, shapes: &BTreeSet<Shape>) {
    let mut add = |what: &str| rule(text, "inbound", what);
    add("iif lo accept");
    for (set, then) in [("never", "accept"), ("vouched", "goto doors")] {
        add(&format!("ip saddr @{set}4 {then}"));
        add(&format!("ip6 saddr @{set}6 {then}"));
    }
    add("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept");
    for shape in shapes {
        add(&format!("{} @{} counter drop", masked(*shape), shape.set()));
    }
    add("goto doors");
    // Servers that listen at any address hear also what is sent to many.
    let local = "fib daddr type { local, anycast, broadcast, multicast } goto gates";
    rule(text, "doors", local);
}

/// Whoever came in with a key of some account may sign in again; that opens no other door.
fn gates(text: &mut String, signing_in: &[PortRange]) {
    for range in signing_in {
        let Ports { first, last, .. } = range.0;
        let ports = format!("{} dport {first}-{last}", range.0.protocol.name());
        rule(text, "gates", &format!("{ports} ip saddr @vouched4 accept"));
        rule(
            text,
            "gates",
            &format!("{ports} ip6 saddr @vouched6 accept"),
        );
    }
    rule(text, "gates", "meta l4proto @trial goto new");
    rule(text, "gates", "goto old");
}

/// The address that a packet comes from, as far as sets of this shape tell.
fn masked(shape: Shape) -> String {
    let net = match shape.ipv6 {
        false => IpNet::new([255; 4].into(), shape.length),
        true => IpNet::new([255; 16].into(), shape.length),
    };
    let mask = net.map(|net| net.network().to_string()).unwrap_or_default();
    match (shape.ipv6, shape.length) {
        (false, 32) => "ip saddr".to_owned(),
        (true, 128) => "ip6 saddr".to_owned(),
        (false, _) => format!("ip saddr & {mask}"),
        (true, _) => format!("ip6 saddr & {mask}"),
    }
}

fn rule(text: &mut String, chain: &str, what: &str) {
    *text += &format!("add rule inet watchward {chain} {what}\n");
}

fn pass(text: &mut String, chain: &str, gate: &Gate) {
    for (family, ip) in [(4, "ip"), (6, "ip6")] {
        let nets = listed(apart(&gate.from, family).iter());
        if !nets.is_empty() {
            rule(text, chain, &format!("{ip} saddr {{ {nets} }} return"));
        }
    }
    for exception in &gate.exceptions {
        let ip = if exception.net.addr().is_ipv4() {
            "ip"
        } else {
            "ip6"
        };
        let (net, until) = (exception.net, exception.until);
        rule(
            text,
            chain,
            &format!("{ip} saddr {net} meta time < {until} return"),
        );
    }
}

/// The networks of one family. Those of a set may not overlap.
fn apart(nets: &[IpNet], family: u8) -> Vec<IpNet> {
    let of = nets
        .iter()
        .filter(|net| net.addr().is_ipv4() == (family == 4));
    IpNet::aggregate(&of.copied().collect())
}

fn listed<'a>(nets: impl Iterator<Item = &'a IpNet>) -> String {
    let words: Vec<String> = nets.map(ToString::to_string).collect();
    words.join(", ")
}

fn ports(ports: &[Ports], protocol: Protocol) -> String {
    let mut ranges: Vec<(u16, u16)> = ports
        .iter()
        .filter(|it| it.protocol == protocol)
        .map(|it| (it.first, it.last))
        .collect();
    ranges.sort_unstable();
    let mut apart: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => apart.push((first, last)),
        }
    }
    let words = apart.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
