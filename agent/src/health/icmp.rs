//! Whether a host answers pings, how many of them, and how soon.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use surge_ping::{Client, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use watchward_protocol::checks::icmp::Config;
use watchward_protocol::health::Value;

use super::Found;

/// The longest rest between two packets: a burst would meet routers that answer only so many.
const REST: Duration = Duration::from_millis(200);
/// What is in each packet, as `ping` sends it: 56 bytes.
const PAYLOAD: [u8; 56] = [0; 56];

/// Sends its packets one after the other.
pub(super) async fn check(config: &Config) -> Found {
    let host = &config.host;
    let resolved = tokio::net::lookup_host((host.as_str(), 0)).await;
    let address = match resolved.map(|mut all| all.next()) {
        Ok(Some(address)) => address.ip(),
        Ok(None) => return Found::failed(format!("{host} has no address")),
        Err(error) => return Found::failed(format!("{host} has no address: {error}")),
    };
    match pings(config, address).await {
        Ok(answered) => judge(config, address, &answered),
        Err(SurgeError::IOError(error)) => cannot(config, &error),
        Err(error) => Found::unknown(format!("{host} cannot be pinged: {error}")),
    }
}

/// How long each answer took.
async fn pings(config: &Config, address: IpAddr) -> Result<Vec<Duration>, SurgeError> {
    let kind = if address.is_ipv4() {
        ICMP::V4
    } else {
        ICMP::V6
    };
    let client = Client::new(&surge_ping::Config::builder().kind(kind).build())?;
    let packets = config.packets.number();
    let share = config.timeout.duration() * 9 / 10 / u32::from(packets);
    let rest = REST.min(share / 4);
    let mut pinger = client.pinger(address, PingIdentifier(rand::random())).await;
    pinger.timeout(share - rest);
    let mut answered = Vec::new();
    for number in 0..packets {
        match pinger.ping(PingSequence(number), &PAYLOAD).await {
            Ok((packet, took)) if answers(&packet, address) => answered.push(took),
            Err(SurgeError::IOError(error)) if !lost(&error) => {
                return Err(SurgeError::IOError(error));
            }
            // Unanswered, or answered by a router that knows no way.
            Ok(_) | Err(_) => {}
        }
        if number + 1 < packets {
            tokio::time::sleep(rest).await;
        }
    }
    Ok(answered)
}

/// Whether a packet is the host's own answer. With `CAP_NET_RAW` this program also sees what others
/// say of a ping that cannot arrive, this host's kernel among them.
fn answers(packet: &IcmpPacket, address: IpAddr) -> bool {
    /// "Echo Reply" in RFC 792 and in RFC 4443.
    const REPLY: (u8, u8) = (0, 129);
    match packet {
        IcmpPacket::V4(packet) => {
            packet.get_icmp_type().0 == REPLY.0 && packet.get_source() == address
        }
        IcmpPacket::V6(packet) => {
            packet.get_icmpv6_type().0 == REPLY.1 && packet.get_source() == address
        }
    }
}

/// Whether a packet could not be sent because of the network, not because of this program.
fn lost(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkDown
    )
}

fn cannot(config: &Config, error: &io::Error) -> Found {
    let host = &config.host;
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Found::unknown(format!(
            "the agent may not ping {host}: its group is not in net.ipv4.ping_group_range, and it \
             has no CAP_NET_RAW"
        ));
    }
    Found::unknown(format!("{host} cannot be pinged: {error}"))
}

fn judge(config: &Config, address: IpAddr, answered: &[Duration]) -> Found {
    let sent = config.packets.number();
    let count = u32::try_from(answered.len()).unwrap_or(u32::MAX);
    let loss = 100.0 - 100.0 * f64::from(count) / f64::from(sent.max(1));
    let host = config.host.as_str();
    let name = if address.to_string() == host {
        host.to_owned()
    } else {
        format!("{host} ({address})")
    };
    let mut values = vec![value("loss", loss, "%")];
    let total: Duration = answered.iter().sum();
    let Some(average) = total.checked_div(count) else {
        let mut found = Found::failed(format!("{name} answered none of {sent} pings"));
        found.values = values;
        return found;
    };
    let milliseconds = average.as_secs_f64() * 1000.0;
    values.push(value("round trip", milliseconds, "ms"));
    let said =
        format!("{name} answered {count} of {sent} pings, in {milliseconds:.1} ms on average");
    let slow = config.round_trip.filter(|limit| average > limit.duration());
    let limit = config.loss.number();
    let mut found = if loss > limit {
        Found::failed(format!("{said}: {loss:.0}% lost, above {limit}"))
    } else if let Some(limit) = slow {
        Found::failed(format!("{said}: above {limit}"))
    } else {
        Found::passed(said)
    };
    found.values = values;
    found
}

fn value(name: &str, number: f64, unit: &str) -> Value {
    Value::new(name, (number * 1000.0).round() / 1000.0, unit)
}

#[cfg(test)]
mod tests {
    use surge_ping::{Icmpv4Packet, Icmpv6Packet};
    use watchward_protocol::health::Verdict;

    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    /// Pings for real where this machine lets us; says so where it does not.
    #[tokio::test]
    async fn this_host_answers_its_own_pings() {
        for host in ["127.0.0.1", "localhost"] {
            let found = check(&config(&format!("host = \"{host}\"\npackets = 2"))).await;
            match found.verdict {
                Verdict::Passed => {
                    assert!(found.detail.contains("answered 2 of 2 pings"), "{found:?}");
                    assert_eq!(found.values[0].number, 0.0);
                }
                Verdict::Unknown => assert!(found.detail.contains("ping_group_range"), "{found:?}"),
                Verdict::Failed => panic!("{found:?}"),
            }
        }
    }

    /// What came over ICMP: a type, the words that follow its checksum, and what it quotes.
    fn packet(kind: u8, quoted: &[u8]) -> Vec<u8> {
        const PING: [u8; 4] = [0, 7, 0, 1];
        let mut bytes = vec![kind, 0, 0, 0];
        bytes.extend_from_slice(&PING);
        if !quoted.is_empty() {
            bytes.extend_from_slice(quoted);
            bytes.extend_from_slice(&[8, 0, 0, 0]);
            bytes.extend_from_slice(&PING);
        }
        bytes
    }

    #[test]
    fn only_the_hosts_own_reply_is_an_answer() {
        let (host, router) = ([192, 0, 2, 7], [192, 0, 2, 1]);
        let mut header = [0; 20];
        (header[0], header[9]) = (0x45, 1);
        header[16..].copy_from_slice(&host);
        let socket = surge_ping::Config::default().sock_type_hint;
        let answer = |bytes: &[u8], from: [u8; 4]| {
            let packet = Icmpv4Packet::decode(bytes, socket, from.into(), [192, 0, 2, 9].into());
            answers(&IcmpPacket::V4(packet.unwrap()), host.into())
        };
        assert!(answer(&packet(0, &[]), host));
        assert!(!answer(&packet(0, &[]), router));
        for kind in [3, 4, 5, 11] {
            assert!(!answer(&packet(kind, &header), router), "type {kind}");
            assert!(!answer(&packet(kind, &header), host), "type {kind}");
        }
    }

    #[test]
    fn only_the_hosts_own_reply_is_an_answer_over_ipv6() {
        let host: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
        let router = "2001:db8::1".parse().unwrap();
        let mut header = [0; 40];
        (header[0], header[6]) = (0x60, 58);
        header[24..].copy_from_slice(&host.octets());
        let answer = |bytes: &[u8], from| {
            let packet = Icmpv6Packet::decode(bytes, from);
            answers(&IcmpPacket::V6(packet.unwrap()), host.into())
        };
        assert!(answer(&packet(129, &[]), host));
        assert!(!answer(&packet(129, &[]), router));
        for kind in 1..=4 {
            assert!(!answer(&packet(kind, &header), router), "type {kind}");
            assert!(!answer(&packet(kind, &header), host), "type {kind}");
        }
    }

    #[test]
    fn loss_and_round_trip_have_limits() {
        let config = config("host = \"192.0.2.1\"\nloss = 20\nround_trip = \"50ms\"");
        let address = "192.0.2.1".parse().unwrap();
        let answers = |count: usize, each: u64| {
            judge(&config, address, &vec![Duration::from_millis(each); count])
        };
        for (found, verdict, detail) in [
            (
                answers(4, 10),
                Verdict::Passed,
                "192.0.2.1 answered 4 of 5 pings, in 10.0 ms on average",
            ),
            (
                answers(3, 10),
                Verdict::Failed,
                "192.0.2.1 answered 3 of 5 pings, in 10.0 ms on average: 40% lost, above 20",
            ),
            (
                answers(5, 51),
                Verdict::Failed,
                "192.0.2.1 answered 5 of 5 pings, in 51.0 ms on average: above 50ms",
            ),
            (
                answers(0, 0),
                Verdict::Failed,
                "192.0.2.1 answered none of 5 pings",
            ),
        ] {
            assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
        }
    }

    #[test]
    fn what_is_not_allowed_is_unknown_and_says_why() {
        let config = config("host = \"192.0.2.1\"");
        let found = cannot(&config, &io::ErrorKind::PermissionDenied.into());
        assert_eq!(found.verdict, Verdict::Unknown);
        assert!(found.detail.contains("net.ipv4.ping_group_range"));
    }
}
