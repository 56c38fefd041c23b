//! The host's own addresses, as procfs tells them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// So much is read of a file: a router's is long, and tells its own addresses last.
const LARGEST: u64 = 8 << 20;
/// How many are told.
const MOST: usize = 256;

/// The addresses of this host that others can reach, in order.
pub(super) fn own() -> Vec<IpAddr> {
    let mut own = four(&read("/proc/self/net/fib_trie"));
    own.extend(six(&read("/proc/self/net/if_inet6")));
    own.into_iter().take(MOST).collect()
}

/// What cannot be read tells nothing: a kernel may have no IPv6.
fn read(file: &str) -> String {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// From the kernel's table of routes: an address, and below it that it is of this host.
fn four(text: &str) -> BTreeSet<IpAddr> {
    let (mut last, mut own) = (None, BTreeSet::new());
    for line in text.lines().map(str::trim_start) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            let reached = last.filter(|it| !it.is_loopback() && !it.is_link_local());
            own.extend(reached.map(IpAddr::from));
        }
    }
    own
}

/// From lines of an address, an interface's number, a prefix, a scope (0: everywhere), flags and a name.
fn six(text: &str) -> BTreeSet<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let bits = u128::from_str_radix(words.next()?, 16).ok()?;
        (words.nth(2)? == "00").then_some(IpAddr::from(Ipv6Addr::from_bits(bits)))
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_can_reach_are_told_once() {
        let routes = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
            Local:\n     +-- 127.0.0.0/8 2 0 2\n           |-- 127.0.0.1\n              \
            /32 host LOCAL\n        |-- 192.0.2.2\n           /32 host LOCAL\n        \
            |-- 192.0.2.255\n           /32 link BROADCAST\n        |-- 169.254.1.1\n           \
            /32 host LOCAL\n        |-- 192.0.2.2\n           /32 host LOCAL\n";
        let own: Vec<_> = four(routes).iter().map(IpAddr::to_string).collect();
        assert_eq!(own, ["192.0.2.2"]);
        let interfaces = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\n\
            20010db8000000000000000000000001 02 40 00 80     eth0\n";
        let own: Vec<_> = six(interfaces).iter().map(IpAddr::to_string).collect();
        assert_eq!(own, ["2001:db8::1"]);
    }
}
