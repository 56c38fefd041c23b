//! Addresses as they are counted and compared: 16 bytes, IPv4 mapped into IPv6. Pure.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use watchward_daemon::customer::Customer;

use crate::store::value::{address, sixteen};

/// The first and the last address of a network, as the database has them.
pub(super) fn range(network: IpNet) -> ([u8; 16], [u8; 16]) {
    (sixteen(network.network()), sixteen(network.broadcast()))
}

/// Where attempts come from, as far as counting goes: what one [`Customer`] gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Source([u8; 16]);

impl Source {
    /// Where an address belongs.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(Customer::of(address).octets())
    }

    /// All of its addresses.
    pub(super) fn net(self) -> IpNet {
        match address(self.0) {
            IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
            IpAddr::V6(network) => Ipv6Net::new_assert(network, 64).into(),
        }
    }

    /// The source that the database has.
    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The source as the database has it.
    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.net() {
            IpNet::V4(net) => write!(f, "{}", net.addr()),
            IpNet::V6(net) => write!(f, "{net}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> String {
        Source::of(text.parse().unwrap()).to_string()
    }

    #[test]
    fn counts_one_ipv4_address_and_one_ipv6_network() {
        assert_eq!(source("203.0.113.7"), "203.0.113.7");
        assert_eq!(source("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(source("::1"), "::/64");
    }

    #[test]
    fn a_network_is_one_range() {
        let within = |network: &str, text: &str| {
            let (low, high) = range(network.parse().unwrap());
            (low..=high).contains(&sixteen(text.parse().unwrap()))
        };
        assert!(within("10.1.0.0/16", "10.1.255.255"));
        assert!(!within("10.1.0.0/16", "10.2.0.0"));
        assert!(within("0.0.0.0/0", "255.255.255.255"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
        assert!(within("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!within("2001:db8::/32", "2001:db9::"));
    }
}
