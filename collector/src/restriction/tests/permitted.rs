//! Who may come from where, held against a model.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;

use super::planned::apart;
use super::*;
use crate::restriction::judge::look;
use crate::restriction::policy::Place;

/// A network in a small part of the addresses, so that much overlaps.
fn net() -> impl Strategy<Value = Ipv4Net> {
    (0_u32..64, 26_u8..=32).prop_map(|(low, prefix)| {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() | low);
        Ipv4Net::new(address, prefix).unwrap().trunc()
    })
}

/// A rule: for which hosts, and from which networks.
fn rule() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let hosts = prop::collection::vec(0_u8..4, 1..3);
    (hosts, prop::collection::vec(0_usize..3, 1..3))
}

/// The policy as a person would write it: each network and each rule has its own table.
fn written(networks: &[Vec<Ipv4Net>], rules: &[(Vec<u8>, Vec<usize>)]) -> String {
    let mut text = String::from("[groups]\n");
    for host in 0..4 {
        text += &format!("g{host} = [\"web-{host}\"]\n");
    }
    text += "[networks]\n";
    for (at, nets) in networks.iter().enumerate() {
        let nets: Vec<_> = apart(nets.clone())
            .iter()
            .map(|net| format!("\"{net}\""))
            .collect();
        text += &format!("n{at} = [{}]\n", nets.join(", "));
    }
    for (hosts, from) in rules {
        let groups: Vec<_> = hosts.iter().map(|host| format!("\"g{host}\"")).collect();
        let from: Vec<_> = from.iter().map(|at| format!("\"n{at}\"")).collect();
        text += &format!(
            "[[restriction.rules]]\ngroups = [{}]\nservices = [\"ssh\"]\nfrom = [{}]\n",
            groups.join(", "),
            from.join(", ")
        );
    }
    text
}

proptest! {
    #[test]
    fn a_place_is_outside_if_rules_speak_of_the_host_and_none_permits_it(
        networks in prop::collection::vec(prop::collection::vec(net(), 1..4), 3),
        rules in prop::collection::vec(rule(), 0..4),
        host in 0_u8..4,
        low in 0_u8..64,
        mapped in any::<bool>(),
    ) {
        let policy = read(&written(&networks, &rules)).unwrap();
        let address = Ipv4Addr::new(10, 0, 0, low);
        let mut heard = login(1, 0, &address.to_string());
        heard.host.name = format!("web-{host}");
        if mapped {
            let address = IpAddr::V6(address.to_ipv6_mapped());
            heard.report.peer = Some(Peer { address, port: None });
        }
        let about: Vec<_> = rules.iter().filter(|(hosts, _)| hosts.contains(&host)).collect();
        let permits = about.iter().flat_map(|(_, from)| from).any(|at| {
            networks[*at].iter().any(|net| net.contains(&address))
        });
        let seen = look(&heard, &policy, at(0)).unwrap();
        match seen.place {
            Place::Open => prop_assert!(about.is_empty()),
            Place::Inside => prop_assert!(permits),
            Place::Outside(names) => {
                prop_assert!(!about.is_empty() && !permits);
                prop_assert!(!names.is_empty());
            }
        }
    }

    #[test]
    fn a_set_has_the_addresses_of_its_networks(
        nets in prop::collection::vec(net(), 1..12),
        low in 0_u8..80,
    ) {
        let text = written(std::slice::from_ref(&nets), &[]);
        let policy = read(&text).unwrap();
        let (_, set) = policy.networks.all().next().unwrap();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, low));
        let expected = nets.iter().any(|net| IpNet::V4(*net).contains(&address));
        prop_assert_eq!(set.has(address), expected);
    }
}
