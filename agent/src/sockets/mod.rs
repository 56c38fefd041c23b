//! Where anything waits for connections on this host, as procfs tells it.

pub(crate) mod opened;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use watchward_protocol::restriction::Transport;

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) transport: Transport,
    /// An IPv4 address is never written as an IPv6 one.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// Where anything listens, with the number of the socket.
pub(crate) fn places() -> BTreeMap<Place, u64> {
    let mut places = BTreeMap::new();
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
            places.entry(place).or_insert(number);
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[cfg(target_endian = "little")]
    #[test]
    fn only_what_listens_is_read() {
        let tcp = "   0: 0100007F:0016 00000000:0000 0A 0:0 00:0 0 0 0 4711 1 0";
        let (place, number) = socket(tcp, Transport::Tcp).unwrap().unwrap();
        assert_eq!((place.port, number), (22, 4711));
        let talks = tcp.replace(" 0A ", " 01 ");
        assert!(socket(&talks, Transport::Tcp).is_none(), "no more follow");
        let udp = tcp.replace(" 0A ", " 07 ");
        assert!(socket(&udp, Transport::Udp).unwrap().is_some());
        assert!(socket(&talks, Transport::Udp).unwrap().is_none());
    }
}
