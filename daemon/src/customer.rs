//! What one customer of a provider gets: an IPv4 address, or an IPv6 /64 (RFC 6177). Pure.

use std::net::{IpAddr, Ipv6Addr};

/// Where somebody comes from, as far as counting goes: whoever has one address of an IPv6 /64 has
/// all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customer(Ipv6Addr);

impl Customer {
    /// Whose this address is.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)),
        })
    }

    /// The address, or the first one of the /64; IPv4 mapped into IPv6.
    pub const fn octets(self) -> [u8; 16] {
        self.0.octets()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_one_and_an_ipv6_network_is_one() {
        let of = |text: &str| Customer::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff::"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_ne!(of("::1"), of("0.0.0.1"));
    }
}
