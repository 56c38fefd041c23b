//! Rules of nftables by us and by a real kernel: connections of many kinds through many rulesets.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use watchward_agent::reach::ruleset::Ruleset;
use watchward_agent::reach::walk::{End, Packet, walk};
use watchward_protocol::restriction::Transport;
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::ready::{notice, scenario};
use watchward_tests::run::run;
use watchward_tests::wait::{SOON, until};

const CASES: u64 = 80;
const PORTS: [u16; 4] = [22, 80, 443, 1000];
/// So long a connection may take that nobody turns away; on one bridge.
const PATIENCE: Duration = Duration::from_millis(700);

#[test]
fn a_real_kernel_lets_in_whom_we_say_it_lets_in() -> Result<()> {
    scenario("random rules of nftables", || {
        let network = Network::new()?;
        let host = Host::boot(&network, "kernel")?;
        let ways = prepare(&network, &host)?;
        let (mut in_all, mut out, mut unknown, mut wrong) = (0, 0, 0, Vec::new());
        for seed in 0..CASES {
            let rules = ruleset(&mut Dice(seed), &ways);
            host.write("/root/rules", rules.as_bytes(), 0o644)?;
            let listed = host.sh("nft -f /root/rules && nft -j list ruleset")?;
            let read = Ruleset::read(listed.as_bytes())?;
            for (packet, real) in tried(&ways) {
                let walked = walk(&read, &packet);
                // A machine that has much to do may be slow, and never lets in whom it should not.
                let slow = || connects(packet.destination, packet.port, PATIENCE * 8);
                let real = real || matches!(walked.end, End::Arrives(_)) && slow();
                let same = match &walked.end {
                    End::Arrives(_) => real,
                    End::Refused => !real,
                    End::Unknown(_) => {
                        unknown += 1;
                        continue;
                    }
                    End::Elsewhere(_) => false,
                };
                if real {
                    in_all += 1
                } else {
                    out += 1
                }
                if !same {
                    wrong.push(format!(
                        "{seed}: {packet:?} really {real}, {walked:?}\n{rules}"
                    ));
                }
            }
        }
        notice(&format!(
            "{in_all} let in, {out} turned away, {unknown} not known"
        ));
        assert!(
            wrong.is_empty(),
            "{} wrong, the first: {}",
            wrong.len(),
            wrong[0]
        );
        ensure!(
            in_all > 100 && out > 100 && unknown < 200,
            "a test of nothing"
        );
        Ok(())
    })
}

/// From where and to where connections go.
type Ways = Vec<(IpAddr, IpAddr)>;

fn prepare(network: &Network, host: &Host) -> Result<Ways> {
    let ports: String = PORTS.iter().map(|port| format!("Port {port}\n")).collect();
    host.write("/etc/ssh/sshd_config.d/tests.conf", ports.as_bytes(), 0o644)?;
    host.sh("systemctl restart ssh
         ip addr add 10.214.0.2/24 dev host0; ip addr add fd42::2/64 dev host0 nodad")?;
    let bridge = network.bridge();
    for (family, address) in [("-4", "10.214.0.1/24"), ("-6", "fd42::1/64")] {
        let mut words = vec![family, "addr", "add", address, "dev", &bridge];
        if family == "-6" {
            words.push("nodad");
        }
        run(Command::new("ip").args(words))?;
    }
    let ways: Ways = vec![
        (network.outside().into(), host.address().into()),
        ("10.214.0.1".parse()?, "10.214.0.2".parse()?),
        ("fd42::1".parse()?, "fd42::2".parse()?),
    ];
    for (_, to) in &ways {
        for port in PORTS {
            let reaches = || Ok(connects(*to, port, PATIENCE).then_some(()));
            until("sshd listens everywhere", SOON, reaches)?;
        }
    }
    Ok(ways)
}

fn connects(to: IpAddr, port: u16, patience: Duration) -> bool {
    TcpStream::connect_timeout(&SocketAddr::new(to, port), patience).is_ok()
}

/// What really happens to a connection of each kind.
fn tried(ways: &Ways) -> Vec<(Packet, bool)> {
    let own: BTreeSet<_> = ways.iter().map(|(_, to)| *to).collect();
    let all = ways.iter().flat_map(|way| PORTS.map(|port| (*way, port)));
    let started: Vec<_> = all
        .map(|((source, destination), port)| {
            let packet = Packet {
                source,
                destination,
                transport: Transport::Tcp,
                port,
                interface: Some("host0".to_owned()),
                own: own.clone(),
                moment: 20_261_231_120_000,
            };
            let hand = thread::spawn(move || connects(destination, port, PATIENCE));
            (packet, hand)
        })
        .collect();
    let ended = started.into_iter();
    ended
        .map(|(packet, thread)| (packet, thread.join().unwrap_or(false)))
        .collect()
}

/// Numbers that are the same in each run.
struct Dice(u64);

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
];

const MAPS: &[&str] = &[
    "tcp dport vmap { 22 : accept, 80-443 : drop }",
    "ip saddr vmap { 10.214.0.1 : jump sub, 10.0.0.0/9 : accept }",
    "ct state vmap { new : continue, invalid : drop }",
    "tcp dport vmap { 22 : goto sub, * : continue }",
    "meta nfproto vmap { ipv4 : jump sub, ipv6 : accept }",
    "tcp dport vmap @ports",
];

/// A ruleset of one table with chains before and after connections are followed.
fn ruleset(dice: &mut Dice, ways: &Ways) -> String {
    let first = ways.first().map_or(IpAddr::from([0; 4]), |way| way.0);
    let mut text = format!(
        "flush ruleset\ntable inet t {{
         set some {{ type ipv4_addr; flags interval; elements = {{ {first}, 10.220.0.0/16 }} }}
         set both {{ type ipv4_addr . inet_service; flags interval; elements = {{ 10.214.0.0/24 . 80-443, {first} . 22 }} }}
         map ports {{ type inet_service : verdict; elements = {{ 22 : accept, 1000 : drop }} }}
         chain sub {{ {} }}\n",
        lines(dice, "sub", &mut 0)
    );
    let bases = [
        ("early", "prerouting", "-310"),
        ("pre", "prerouting", "-150"),
        ("in", "input", "0"),
        ("late", "input", "10"),
    ];
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
        let calls_itself = chain == "sub" && line.contains("sub");
        // Some conditions exclude each other, which nft refuses.
        if !calls_itself && is_possible(&line) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// Whether nft takes a line with these words together.
fn is_possible(line: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let (v4, v6) = (
        has(&[
            "ip saddr",
            "ip daddr",
            "ip protocol",
            "ipv4",
            "icmp type",
            "protocol ip",
        ]),
        has(&["ip6 ", "ipv6"]),
    );
    let (tcp, udp, icmp) = (has(&["tcp"]), has(&["udp"]), has(&["icmp"]));
    let cut = line.contains("goto") && line.contains("return");
    let contradicts = v4 && v6 || tcp && (udp || icmp) || udp && icmp;
    !contradicts && !cut
}
