//! What waits for connections on this host, as procfs tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use watchward_daemon::clock;
use watchward_protocol::restriction::{Listener, News, Restriction, Transport};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(30);
/// How many are told.
const MOST: usize = 1024;

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    transport: Transport,
    address: IpAddr,
    port: u16,
}

/// Tells what listens, at the start and whenever it changes, for as long as anybody wants to know.
pub(super) async fn watch(told: UnboundedSender<Restriction>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        let places = places();
        let now: BTreeSet<Place> = places.keys().copied().collect();
        if known.as_ref() == Some(&now) {
            continue;
        }
        // Who it is, is asked for only then: it is a look at every process.
        let Ok(programs) = spawn_blocking(programs).await else {
            continue;
        };
        known = Some(now);
        let news = News::Listening(listeners(&places, &programs));
        let at = clock::now();
        if told.send(Restriction { at, news }).is_err() {
            return;
        }
    }
}

fn listeners(places: &BTreeMap<Place, u64>, programs: &HashMap<u64, String>) -> Vec<Listener> {
    let listeners = places.iter().map(|(place, socket)| Listener {
        transport: place.transport,
        address: place.address,
        port: place.port,
        program: programs.get(socket).cloned(),
    });
    listeners.take(MOST).collect()
}

/// Where anything listens, with the number of the socket.
fn places() -> BTreeMap<Place, u64> {
    let mut places = BTreeMap::new();
    let passing = passing();
    for (file, transport) in [
        ("/proc/self/net/tcp", Transport::Tcp),
        ("/proc/self/net/tcp6", Transport::Tcp),
        ("/proc/self/net/udp", Transport::Udp),
        ("/proc/self/net/udp6", Transport::Udp),
    ] {
        // A kernel may have no IPv6.
        let Ok(open) = File::open(file) else { continue };
        let lines = BufReader::new(open).lines().skip(1).map_while(Result::ok);
        let sockets = lines.map_while(|line| socket(&line, transport));
        for (place, number) in sockets.flatten() {
            let of_a_client = transport == Transport::Udp && passing.contains(&place.port);
            if !of_a_client {
                places.entry(place).or_insert(number);
            }
        }
    }
    places
}

/// A line of these files. The inner none: it does not listen. The outer: nor does any that follows,
/// for the kernel tells TCP's listeners first.
#[expect(clippy::option_option, reason = "the outer one ends the file")]
fn socket(line: &str, transport: Transport) -> Option<Option<(Place, u64)>> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (Some(local), Some(_remote), Some(state)) = (words.next(), words.next(), words.next())
    else {
        return Some(None);
    };
    match (transport, state) {
        (Transport::Tcp, "0A") | (Transport::Udp, "07") => {}
        (Transport::Tcp, _) => return None,
        (Transport::Udp, _) => return Some(None),
    }
    Some(read(local, transport, words.nth(5)))
}

fn read(local: &str, transport: Transport, socket: Option<&str>) -> Option<(Place, u64)> {
    let (address, port) = local.split_once(':')?;
    let place = Place {
        transport,
        address: self::address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
    };
    Some((place, socket?.parse().ok()?))
}

/// An address as the kernel writes it: words of 32 bits, each as it lies in memory.
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(8 * at..8 * at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?];
    let mut octets = [0; 16];
    for (octet, byte) in octets.iter_mut().zip(words.iter().flatten()) {
        *octet = *byte;
    }
    Some(Ipv6Addr::from(octets).to_canonical())
}

/// The ports that the kernel gives to clients: who asks a name server waits there for an answer.
fn passing() -> std::ops::RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut words = text.split_ascii_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32_768..=60_999,
    }
}

/// Whose each socket is, as far as this user may know.
fn programs() -> HashMap<u64, String> {
    let mut programs = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let folder = process.path();
        let Ok(files) = fs::read_dir(folder.join("fd")) else {
            continue;
        };
        let mut name = None;
        for file in files.flatten() {
            let Some(number) = fs::read_link(file.path()).ok().and_then(|to| number(&to)) else {
                continue;
            };
            let name = name.get_or_insert_with(|| {
                let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                name.trim_end().to_owned()
            });
            programs.entry(number).or_insert_with(|| name.clone());
        }
    }
    programs
}

/// `socket:[12345]`
fn number(link: &std::path::Path) -> Option<u64> {
    let inside = link.to_str()?.strip_prefix("socket:[")?;
    inside.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_that_listens_is_seen_with_its_program_and_one_of_a_client_is_not() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listeners = listeners(&places(), &programs());
        for listener in [&four, &six] {
            let at = listener.local_addr().unwrap();
            let same = |one: &&Listener| {
                one.transport == Transport::Tcp && one.address == at.ip() && one.port == at.port()
            };
            let seen = listeners.iter().find(same).unwrap();
            assert!(seen.program.is_some(), "{seen:?}");
        }
        let port = client.local_addr().unwrap().port();
        let asks = |one: &Listener| one.transport == Transport::Udp && one.port == port;
        assert!(!listeners.iter().any(asks));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        assert_eq!(address("0100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        let mapped = "0000000000000000FFFF0000020200C0";
        assert_eq!(address(mapped), Some(Ipv4Addr::new(192, 0, 2, 2).into()));
        assert_eq!(
            address("B80D0120000000000000000001000000"),
            Some("2001:db8::1".parse().unwrap())
        );
        assert_eq!(address("0100"), None);
    }
}
