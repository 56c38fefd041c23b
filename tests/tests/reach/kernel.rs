//! Rules of nftables by us and by a real kernel: connections of many kinds through many rulesets.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
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

use super::rules::{Dice, ruleset};

const CASES: u64 = 100;
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
            let rules = loaded(&host, ruleset(&mut Dice(seed), &ways))?;
            let listed = host.sh("nft -j list ruleset")?;
            let read = Ruleset::read(listed.as_bytes())?;
            for (packet, real) in tried(&ways) {
                let walked = walk(&read, &packet);
                // A machine that has much to do may be slow, and never lets in whom it should not.
                let slow = || reaches(&packet, PATIENCE * 8);
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
            "{} wrong: {}",
            wrong.len(),
            wrong.join("\n")
        );
        ensure!(
            in_all > 300 && out > 300 && unknown < in_all,
            "a test of nothing"
        );
        Ok(())
    })
}

/// Says what it hears, on these ports of UDP, of both families.
const ECHO: &str = r#"use Socket qw(:all);
my ($bits, %open) = "";
for my $port (@ARGV) {
    socket(my $s, PF_INET6, SOCK_DGRAM, 0) or die;
    setsockopt($s, IPPROTO_IPV6, IPV6_V6ONLY, pack("i", 0)) or die;
    bind($s, pack_sockaddr_in6($port, IN6ADDR_ANY)) or die;
    vec($bits, fileno($s), 1) = 1;
    $open{fileno($s)} = $s;
}
while (select(my $ready = $bits, undef, undef, undef) > 0) {
    for my $s (grep { vec($ready, fileno($_), 1) } values %open) {
        my $from = recv($s, my $said, 64, 0);
        send($s, $said, 0, $from) if $from;
    }
}
"#;

/// From where and to where connections go.
pub(crate) type Ways = Vec<(IpAddr, IpAddr)>;

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
    host.write("/root/echo.pl", ECHO.as_bytes(), 0o644)?;
    host.sh("systemd-run -q --unit=echo perl /root/echo.pl 22 80 443 1000")?;
    until("somebody listens everywhere", SOON, || {
        let all = tried(&ways);
        Ok(all.iter().all(|(_, reached)| *reached).then_some(()))
    })?;
    Ok(ways)
}

/// Has the kernel take them, without those lines that nft refuses: some conditions exclude each other.
fn loaded(host: &Host, rules: String) -> Result<String> {
    let mut lines: Vec<_> = rules.lines().map(str::to_owned).collect();
    for _ in 0..lines.len() {
        let rules = lines.join("\n");
        host.write("/root/rules", rules.as_bytes(), 0o644)?;
        let said = host.sh("nft -f /root/rules 2>&1 || true")?;
        let Some((_, place)) = said.split_once("/root/rules:") else {
            ensure!(said.is_empty(), "{said}");
            return Ok(rules);
        };
        let number: usize = place.split(':').next().unwrap_or_default().parse()?;
        lines.remove(number - 1);
    }
    anyhow::bail!("nft takes nothing of this:\n{rules}")
}

fn reaches(packet: &Packet, patience: Duration) -> bool {
    let to = SocketAddr::new(packet.destination, packet.port);
    match packet.transport {
        Transport::Tcp => TcpStream::connect_timeout(&to, patience).is_ok(),
        Transport::Udp => echoes(to, patience).unwrap_or(false),
    }
}

/// Whether somebody answers a datagram; each is sent twice, for one may be lost. Never from a port that
/// was used before: the kernel would take it for more of what it let in then.
fn echoes(to: SocketAddr, patience: Duration) -> std::io::Result<bool> {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    for _ in 0..2 {
        let socket = UdpSocket::bind((any, NEXT.fetch_add(1, Ordering::Relaxed)))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(patience / 2))?;
        socket.send(b"?")?;
        if socket.recv(&mut [0]).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What really happens to a connection of each kind.
fn tried(ways: &Ways) -> Vec<(Packet, bool)> {
    let own: BTreeSet<_> = ways.iter().map(|(_, to)| *to).collect();
    let ports = PORTS.map(|port| [(Transport::Tcp, port), (Transport::Udp, port)]);
    let all = ways.iter().flat_map(|way| {
        let ports = ports.as_flattened().iter();
        ports.map(move |port| (*way, *port))
    });
    let started: Vec<_> = all
        .map(|((source, destination), (transport, port))| {
            let packet = Packet {
                source,
                destination,
                transport,
                port,
                interface: Some("host0".to_owned()),
                own: own.clone(),
                moment: 20_261_231_120_000,
            };
            let tried = packet.clone();
            let hand = thread::spawn(move || reaches(&tried, PATIENCE));
            (packet, hand)
        })
        .collect();
    let ended = started.into_iter();
    ended
        .map(|(packet, thread)| (packet, thread.join().unwrap_or(false)))
        .collect()
}
