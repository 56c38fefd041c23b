//! Who tries what, and what it says.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{
    Exception, Gate, Mode, Ports, Probe, Probed, Reached, Transport,
};
use watchward_protocol::time::Timestamp;

use super::judge::{Said, judge};
use super::pages::words;
use super::plan::{Site, may_pass, plan};

const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000);

fn ports(first: u16) -> Ports {
    Ports {
        transport: Transport::Tcp,
        first,
        last: first,
    }
}

fn gate(mode: Mode, from: &[&str]) -> Gate {
    Gate {
        name: "ssh".to_owned(),
        mode,
        ports: vec![ports(22)],
        from: from.iter().map(|net| net.parse().unwrap()).collect(),
        exceptions: Vec::new(),
    }
}

fn site(number: u8, address: &str, gates: Vec<Gate>) -> Site {
    Site {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
        addresses: vec![address.parse().unwrap()],
        gates,
    }
}

/// Four hosts in the permitted network, four elsewhere, and one with a gate.
fn fleet(mode: Mode) -> Vec<Site> {
    let mut sites = vec![site(0, "192.0.2.1", vec![gate(mode, &["10.0.0.0/8"])])];
    for number in 1..=4 {
        sites.push(site(number, &format!("10.0.0.{number}"), Vec::new()));
        sites.push(site(
            number + 10,
            &format!("198.51.100.{number}"),
            Vec::new(),
        ));
    }
    sites
}

fn ssh() -> Probe {
    Probe {
        address: [192, 0, 2, 1].into(),
        transport: Transport::Tcp,
        port: 22,
        ssh: true,
    }
}

fn probed(from: &str, reached: Reached) -> Probed {
    Probed {
        probe: ssh(),
        from: Some(from.parse().unwrap()),
        reached,
        banner: None,
        took: Duration::ZERO,
    }
}

fn said(mode: Mode, from: &str, reached: Reached) -> Said {
    let [target, ..] = &fleet(mode)[..] else {
        panic!()
    };
    let long_ago = (NOW - Duration::from_secs(3600), Duration::from_secs(120));
    judge(target, &probed(from, reached), long_ago, NOW)
}

#[test]
fn a_gate_is_tried_from_inside_and_from_outside_and_never_by_its_own_host() {
    let sites = fleet(Mode::Enforce);
    let plan = plan(&sites, NOW);
    let tries = |net: &str| {
        let net: IpNet = net.parse().unwrap();
        let there = sites.iter().filter(|site| net.contains(&site.addresses[0]));
        there
            .filter(|site| {
                plan.get(&site.id)
                    .is_some_and(|probes| probes.contains(&ssh()))
            })
            .count()
    };
    assert_eq!((tries("10.0.0.0/8"), tries("198.51.100.0/24")), (2, 2));
    assert_eq!(plan.get(&sites[0].id), None);
}

#[test]
fn what_should_be_shut_and_is_open_leaks_and_what_should_be_open_and_is_not_blocks() {
    use Reached::{Open, Refused, Silent, Unreachable};
    for reached in [Refused, Silent, Unreachable] {
        assert_eq!(said(Mode::Enforce, "198.51.100.1", reached), Said::Right);
    }
    assert_eq!(said(Mode::Enforce, "198.51.100.1", Open), Said::Leaks);
    assert_eq!(said(Mode::Watch, "198.51.100.1", Open), Said::Nothing);
    assert_eq!(said(Mode::Enforce, "10.0.0.1", Open), Said::Right);
    assert_eq!(said(Mode::Enforce, "10.0.0.1", Silent), Said::Blocks);
    assert_eq!(said(Mode::Enforce, "10.0.0.1", Refused), Said::Nothing);
}

#[test]
fn until_hosts_have_had_time_to_follow_nothing_is_said_to_be_wrong() {
    let fleet = fleet(Mode::Enforce);
    let leak = probed("198.51.100.1", Reached::Open);
    let settle = Duration::from_secs(120);
    for (ago, expected) in [(119, Said::Nothing), (120, Said::Leaks)] {
        let changed_at = NOW - Duration::from_secs(ago);
        assert_eq!(judge(&fleet[0], &leak, (changed_at, settle), NOW), expected);
    }
}

#[test]
fn an_exception_is_inside_until_it_ends() {
    let mut gate = gate(Mode::Enforce, &["10.0.0.0/8"]);
    let until = NOW + Duration::from_secs(1);
    gate.exceptions.push(Exception {
        from: "198.51.100.0/24".parse().unwrap(),
        until,
    });
    let from: IpAddr = "::ffff:198.51.100.9".parse().unwrap();
    assert!(may_pass(&gate, from, NOW));
    assert!(!may_pass(&gate, from, until));
}

#[test]
fn of_udp_only_an_answer_says_something_and_only_from_outside_it_is_tried() {
    let vpn = |mode| {
        let mut sites = fleet(mode);
        sites[0].gates[0].ports[0].transport = Transport::Udp;
        sites
    };
    let probe = Probe {
        transport: Transport::Udp,
        ssh: false,
        ..ssh()
    };
    let sites = vpn(Mode::Enforce);
    let tried = plan(&sites, NOW);
    let vantages: Vec<_> = sites
        .iter()
        .filter(|site| tried.contains_key(&site.id))
        .collect();
    assert_eq!(vantages.len(), 2);
    assert!(
        vantages
            .iter()
            .all(|site| site.addresses[0].to_string().starts_with("198.51.100."))
    );
    assert!(tried.values().all(|probes| probes.iter().eq([&probe])));
    assert!(plan(&vpn(Mode::Watch), NOW).is_empty());
    let long_ago = (NOW - Duration::from_secs(3600), Duration::from_secs(120));
    for (from, reached, expected) in [
        ("198.51.100.1", Reached::Open, Said::Leaks),
        ("198.51.100.1", Reached::Refused, Said::Nothing),
        ("198.51.100.1", Reached::Silent, Said::Nothing),
        ("10.0.0.1", Reached::Silent, Said::Nothing),
        ("10.0.0.1", Reached::Open, Said::Right),
    ] {
        let probed = Probed {
            probe,
            ..probed(from, reached)
        };
        let said = judge(&sites[0], &probed, long_ago, NOW);
        assert_eq!(said, expected, "{from} {reached:?}");
    }
    let silent = Probed {
        probe,
        ..probed("198.51.100.1", Reached::Silent)
    };
    for (counted, expected) in [
        (true, "shut: the host turned it away"),
        (false, "no answer, which says nothing"),
    ] {
        assert_eq!(words(&sites[0], &silent, counted, NOW).1, expected);
    }
}

#[test]
fn sshd_is_not_greeted_so_often_that_it_holds_it_against_somebody() {
    let mut sites = fleet(Mode::Enforce);
    sites[0].gates[0].ports = (2000..2020).map(ports).collect();
    let more = ["192.0.2.2", "192.0.2.3", "192.0.2.4"];
    sites[0]
        .addresses
        .extend(more.map(|it| it.parse::<IpAddr>().unwrap()));
    let tried = plan(&sites, NOW);
    assert!(tried.values().all(|probes| probes.len() <= 3), "{tried:?}");
    assert_eq!(tried.values().map(|probes| probes.len()).sum::<usize>(), 24);
}

#[test]
fn of_many_networks_the_right_one_is_found() {
    let nets = [
        "10.0.0.0/8",
        "192.0.2.0/25",
        "192.0.2.200/32",
        "2001:db8::/32",
        "2001:db9::/64",
    ];
    let gate = gate(Mode::Enforce, &nets);
    for (from, passes) in [
        ("9.255.255.255", false),
        ("10.0.0.0", true),
        ("10.255.255.255", true),
        ("192.0.2.127", true),
        ("192.0.2.128", false),
        ("192.0.2.200", true),
        ("192.0.2.201", false),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", true),
        ("2001:db9:0:1::", false),
    ] {
        assert_eq!(
            may_pass(&gate, from.parse().unwrap(), NOW),
            passes,
            "{from}"
        );
    }
}

proptest! {
    #[test]
    fn a_host_more_moves_few_probes_and_no_host_tries_itself(
        addresses in vec(any::<[u8; 4]>(), 3..40),
    ) {
        let mut sites = Vec::new();
        for (number, address) in (0u8..).zip(addresses) {
            let gates = vec![gate(Mode::Enforce, &["0.0.0.0/1"])];
            sites.push(site(number, &IpAddr::from(address).to_string(), gates));
        }
        let all = plan(&sites, NOW);
        for site in &sites {
            let own = all.get(&site.id).into_iter().flatten();
            for probe in own {
                prop_assert!(!site.addresses.contains(&probe.address) || sites
                    .iter()
                    .any(|other| other.id != site.id && other.addresses == site.addresses));
            }
        }
        // Without the last host, what is tried of the others is tried by the same hosts, but for what
        // it tried itself.
        let gone = sites.pop().unwrap();
        let fewer = plan(&sites, NOW);
        for site in &sites {
            for probe in all.get(&site.id).into_iter().flatten() {
                let still = fewer.get(&site.id).is_some_and(|own| own.contains(probe));
                prop_assert!(still || gone.addresses.contains(&probe.address));
            }
        }
    }
}
