//! Random rules of nftables, the same in each run: what people write, in orders that nobody would.

use std::net::IpAddr;

use super::kernel::Ways;

/// Numbers that are the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let rolled = usize::try_from((mixed ^ (mixed >> 31)) >> 32);
        rolled.unwrap_or(0) % sides
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all.get(self.roll(all.len())).copied().unwrap_or_default()
    }
}

const CONDITIONS: &[&str] = &[
    "tcp dport 22",
    "tcp dport { 80, 443 }",
    "tcp dport != 22",
    "tcp dport 80-500",
    "tcp dport < 443",
    "udp dport 22",
    "th dport 1000",
    "meta l4proto tcp",
    "meta l4proto { udp, icmp }",
    "ip protocol tcp",
    "meta nfproto ipv4",
    "meta nfproto ipv6",
    "ip saddr 10.0.0.0/8",
    "ip saddr 10.214.0.0/16",
    "ip saddr != 10.214.0.1",
    "ip saddr 10.213.0.0-10.213.255.255",
    "ip saddr @some",
    "ip saddr != @some",
    "ip6 saddr fd42::/16",
    "ip6 saddr != fd42::1",
    "ip6 saddr & ffff:: == fd42::",
    "ip daddr 10.214.0.2",
    "ip saddr . tcp dport @both",
    "iifname host0",
    "iifname != lo",
    "iifname \"host*\"",
    "iif lo",
    "iifname { \"eth0\", \"host0\" }",
    "ct state new",
    "ct state established",
    "ct state { new, related }",
    "ct state != new",
    "ct direction original",
    "fib daddr type local",
    "fib saddr type local",
    "fib saddr . iif oif missing",
    "tcp flags syn",
    "tcp flags & (syn | ack) == syn",
    "tcp sport >= 1024",
    "tcp sport < 1024",
    "meta mark 0x5",
    "meta mark & 0x3 == 0x1",
    "meta protocol ip",
    "icmp type echo-request",
    "tcp flags != syn",
    "meta mark != 0",
    "udp dport { 22, 1000 }",
    "udp dport 80-443",
    "udp dport != 80",
    "udp sport >= 1024",
    "meta l4proto udp",
    "th dport { 22, 80 }",
    "th dport @doors",
    "th dport != @doors",
    "meta l4proto . th dport { tcp . 22, udp . 80 }",
    "meta l4proto . th dport != { tcp . 80-443, udp . 22 }",
    "ip saddr . meta l4proto . th dport { 10.214.0.0/24 . udp . 1-100 }",
    "iifname . ip saddr { \"host0\" . 10.214.0.1 }",
    "iifname @links",
    "ip6 nexthdr tcp",
    "ip6 nexthdr { tcp, udp }",
    "ip6 saddr { fd42::/64, fd43::1 }",
    "ip6 saddr @six",
    "exthdr frag exists",
    "exthdr frag missing",
    "ip saddr 10.214.0.1-10.214.0.9",
    "ip saddr & 0.0.0.255 == 0.0.0.1",
    "ip daddr != { 10.214.0.2, 10.0.0.1 }",
    "ct mark 0x5",
    "ct mark != 0x5",
    "ct state untracked",
    "ct state invalid,untracked",
    "ct status dnat",
    "meta mark and 0xff == 0x5",
    "meta mark { 0x1, 0x5 }",
    "fib daddr . iif type local",
    "fib saddr oif exists",
    "fib daddr type != local",
    "ip ttl > 1",
    "meta pkttype broadcast",
    "meta time < \"2020-01-01 00:00:00\"",
    "meta time > \"2020-01-01 00:00:00\"",
];

const VERDICTS: &[&str] = &[
    "accept",
    "accept",
    "accept",
    "drop",
    "drop",
    "reject",
    "reject with tcp reset",
    "return",
    "continue",
    "jump sub",
    "goto sub",
    "counter",
    "log",
    "meta mark set 0x5",
    "limit rate 900/second burst 900 packets accept",
    "meta mark set 0x1",
    "counter accept",
    "drop",
    "return",
    "jump deep",
    "goto deep",
    "ct mark set 0x5",
    "ct mark set meta mark",
    "meta mark set ct mark",
    "notrack",
    "add @met { ip saddr . th dport }",
    "quota over 100 mbytes drop",
    "log prefix \"x \" counter drop",
    "reject with icmpx admin-prohibited",
    "reject with icmpv6 no-route",
];

const MAPS: &[&str] = &[
    "tcp dport vmap { 22 : accept, 80-443 : drop }",
    "ip saddr vmap { 10.214.0.1 : jump sub, 10.0.0.0/9 : accept }",
    "ct state vmap { new : continue, invalid : drop }",
    "tcp dport vmap { 22 : goto sub, * : continue }",
    "meta nfproto vmap { ipv4 : jump sub, ipv6 : accept }",
    "tcp dport vmap @ports",
    "udp dport vmap { 22 : drop, 80-443 : jump deep, 1000 : accept }",
    "th dport vmap @spans",
    "meta l4proto . th dport vmap { tcp . 22 : accept, udp . 80 : drop, tcp . 443 : jump sub }",
    "ip saddr . meta l4proto vmap @whom",
    "ip6 saddr vmap { fd42::/64 : jump deep }",
    "iifname vmap { \"host0\" : jump sub, \"eth0\" : drop }",
    "ct mark vmap { 0x5 : accept, 0x0 : continue }",
    "meta mark vmap { 0x1-0x4 : drop, 0x5 : return }",
];

/// Rules of a chain that translates. Of UDP only the port: who answers does so from another address.
const TRANSLATE: &[&str] = &[
    "tcp dport 1000 redirect to :22",
    "ip saddr 10.214.0.1 tcp dport 80 redirect to :443",
    "ip daddr 10.214.0.2 udp dport 22 dnat ip to 10.214.0.2:1000",
    "tcp dport 443 accept",
    "meta l4proto udp return",
];

/// A ruleset of one table with chains before and after connections are followed.
pub(crate) fn ruleset(dice: &mut Dice, ways: &Ways) -> String {
    let first = ways.first().map_or(IpAddr::from([0; 4]), |way| way.0);
    let mut text = format!(
        "flush ruleset\ntable inet t {{
         set some {{ type ipv4_addr; flags interval; elements = {{ {first}, 10.220.0.0/16 }} }}
         set both {{ type ipv4_addr . inet_service; flags interval; elements = {{ 10.214.0.0/24 . 80-443, {first} . 22 }} }}
         set doors {{ type inet_service; flags interval; elements = {{ 1-30, 400-500 }} }}
         set six {{ type ipv6_addr; flags interval; elements = {{ fd42::/48, fe80::/10 }} }}
         set links {{ type ifname; elements = {{ \"lo\", \"host0\" }} }}
         set met {{ type ipv4_addr . inet_service; flags dynamic; size 64; }}
         map ports {{ type inet_service : verdict; elements = {{ 22 : accept, 1000 : drop }} }}
         map spans {{ type inet_service : verdict; flags interval; elements = {{ 1-79 : accept, 80-442 : drop, 443 : jump deep }} }}
         map whom {{ type ipv4_addr . inet_proto : verdict; elements = {{ {first} . tcp : accept, 10.214.0.1 . udp : drop }} }}
         chain deep {{ {} }}
         chain sub {{ {} }}\n",
        lines(dice, "deep", &mut 0),
        lines(dice, "sub", &mut 0)
    );
    let (early, pre) = (
        dice.pick(&["-400", "-310", "-201"]),
        dice.pick(&["-199", "-150", "-50"]),
    );
    let bases = [
        ("early", "prerouting", early),
        ("pre", "prerouting", pre),
        ("in", "input", dice.pick(&["0", "-5", "5"])),
        ("late", "input", dice.pick(&["10", "0", "100"])),
    ];
    if dice.roll(3) == 0 {
        let rules: Vec<_> = (0..2).map(|_| dice.pick(TRANSLATE)).collect();
        let rules = rules.join("\n");
        text.push_str(&format!(
            "chain nat {{ type nat hook prerouting priority -100; policy accept;\n{rules}\n}}\n"
        ));
    }
    for (name, hook, priority) in bases {
        if name != "in" && dice.roll(3) > 0 {
            continue;
        }
        let policy = if name == "in" {
            dice.pick(&["drop", "accept"])
        } else {
            "accept"
        };
        let rules = lines(dice, name, &mut 0);
        text.push_str(&format!(
            "chain {name} {{ type filter hook {hook} priority {priority}; policy {policy};\n\
             meta l4proto ipv6-icmp accept\nct state established accept\n{rules} }}\n"
        ));
    }
    text.push_str("}\n");
    text
}

fn lines(dice: &mut Dice, chain: &str, count: &mut usize) -> String {
    let mut text = String::from("\n");
    *count = 1 + dice.roll(6);
    for _ in 0..*count {
        let line = if dice.roll(5) == 0 {
            dice.pick(MAPS).to_owned()
        } else {
            let conditions = dice.roll(3);
            let mut words: Vec<_> = (0..conditions).map(|_| dice.pick(CONDITIONS)).collect();
            words.push(dice.pick(VERDICTS));
            words.join(" ")
        };
        let calls_back = chain == "deep" && ["sub", "deep"].iter().any(|to| line.contains(to));
        let calls_itself = chain == "sub" && line.contains("sub");
        // Of what is of both families, nft lists less than the kernel has.
        let v4 = [
            "ip saddr",
            "ip daddr",
            "ip protocol",
            "ipv4",
            "protocol ip",
            "ip ttl",
        ];
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let contradicts = has(&v4) && has(&["ip6 ", "ipv6", "icmpv6"]);
        if !calls_itself && !calls_back && !contradicts {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}
