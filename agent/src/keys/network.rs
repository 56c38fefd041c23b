//! Addresses that patterns of sshd's `Match Address` mean. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A network, or one address.
pub(super) fn network(pattern: &str) -> Option<IpNet> {
    let address = pattern.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| pattern.parse()).ok()
}

/// Some of its addresses, spread over it.
fn some(network: IpNet) -> impl Iterator<Item = IpAddr> {
    let after = u32::from(network.max_prefix_len() - network.prefix_len());
    let mask = 1_u128.checked_shl(after).map_or(u128::MAX, |it| it - 1);
    let (first, v4) = match network.network() {
        IpAddr::V4(first) => (first.to_bits().into(), true),
        IpAddr::V6(first) => (first.to_bits(), false),
    };
    let places = [
        1,
        0,
        mask / 2 + 2,
        mask / 4 + 2,
        mask / 4 * 3 + 2,
        mask.max(1) - 1,
    ];
    places.into_iter().map(move |place| {
        let bits = first | place.min(mask);
        match u32::try_from(bits) {
            Ok(bits) if v4 => Ipv4Addr::from_bits(bits).into(),
            _ => Ipv6Addr::from_bits(bits).into(),
        }
    })
}

/// An address that a pattern means, and as few of the others as can be.
pub(super) fn example(pattern: &str, others: &[IpNet]) -> Option<String> {
    let count = |address: IpAddr| others.iter().filter(|it| it.contains(&address)).count();
    if let Some(network) = network(pattern) {
        let found = some(network).min_by_key(|address| count(*address))?;
        return Some(found.to_string());
    }
    // In `192.168.*` an asterisk stands for two numbers.
    let fills = ["1", "1.1", "1.1.1", "192.0.2.1", "1::1", "::1"];
    let filled = fills.map(|fill| pattern.replace('*', fill).replace('?', "1"));
    let found = filled.into_iter().find(|it| it.parse::<IpAddr>().is_ok());
    found.filter(|_| pattern.contains(['*', '?']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_example_is_in_its_network(address: IpAddr, length in 0_u8..=128) {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let network = IpNet::new(address, length.min(most)).unwrap();
            let found = example(&network.to_string(), &[]).unwrap();
            prop_assert!(network.contains(&found.parse::<IpAddr>().unwrap()), "{found}");
        }
    }

    #[test]
    fn patterns_mean_addresses() {
        for (pattern, example_of_it) in [
            ("10.0.0.7", Some("10.0.0.7")),
            ("2001:db8::/32", Some("2001:db8::1")),
            ("10.*", Some("10.1.1.1")),
            ("10.0.0.?", Some("10.0.0.1")),
            ("2001:db8:*", Some("2001:db8:1::1")),
            ("*", Some("192.0.2.1")),
            ("10.0.0.0/33", None),
            ("somewhere", None),
        ] {
            assert_eq!(example(pattern, &[]).as_deref(), example_of_it, "{pattern}");
        }
    }
}
