//! Many addresses at once: who hides behind them is found, and memory stays bounded.

use super::*;
use crate::restriction::config::Tries;

/// An address of a flood.
fn of_flood(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
}

#[test]
fn in_a_flood_of_addresses_that_fail_twice_only_the_attacker_is_shut_out() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let mut said = Vec::new();
    for number in (0..25_000).chain(0..25_000) {
        said.extend(judge.see(&failed(of_flood(number), NOON), &config, NOON));
    }
    assert_eq!(said, []);
    assert_eq!(fails(&mut judge, "192.0.2.7", NOON).tries, 5);
}

#[test]
fn a_flood_of_addresses_takes_no_memory_and_hides_nobody() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let attacker: IpAddr = [192, 0, 2, 7].into();
    let (mut said, mut event) = (Vec::new(), failed(attacker, NOON));
    for number in 0..200_000 {
        event.peer.as_mut().unwrap().address = match number % 20_000 {
            9 => attacker,
            _ => of_flood(number),
        };
        said.extend(judge.see(&event, &config, NOON));
        if number % 10_000 == 0 {
            assert!(judge.suspects.len() <= 2 * MOST_SUSPECTS);
        }
    }
    let nets: Vec<_> = said.into_iter().map(|one| banned(Some(one)).net).collect();
    assert_eq!(nets, [IpNet::from(attacker)]);
}

#[test]
fn more_bans_than_are_remembered_are_made_all_the_same() {
    let mut judge = Judge::new(HashMap::new());
    let count = u32::try_from(MOST_FORMER).unwrap() + 10;
    let (mut event, two) = (failed(of_flood(0), NOON), Tries::try_from(2).unwrap());
    let strict = Config {
        tries: two,
        ..Config::default()
    };
    for number in 0..count {
        event.peer.as_mut().unwrap().address = of_flood(number);
        let said = (0..2).find_map(|_| judge.see(&event, &strict, NOON));
        assert!(said.is_some(), "{number}");
    }
    assert_eq!(judge.former.len(), MOST_FORMER);
    assert!(judge.notes().len() <= MOST_FORMER);
    let later = NOON + seconds(20 * 86_400);
    fails(&mut judge, "192.0.2.7", later);
    assert_eq!(judge.former.len(), 1, "the others are long over");
}

#[test]
fn a_flood_of_networks_hides_no_network_either() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let mut said = Vec::new();
    for number in 0..100_000_u128 {
        let bits = match number % 2_000 {
            // Of one /56, each time another /64.
            9 => (0x2001_0db8 << 96) | ((number / 2_000) << 64),
            _ => (0x2a00 << 112) | (number << 72),
        };
        let event = failed(Ipv6Addr::from_bits(bits), NOON);
        said.extend(judge.see(&event, &config, NOON));
    }
    let nets: Vec<_> = said.into_iter().map(|one| banned(Some(one)).net).collect();
    assert_eq!(nets, ["2001:db8::/56".parse().unwrap()]);
    assert!(judge.suspects.len() <= 2 * MOST_SUSPECTS && judge.wide.len() <= 2 * MOST_WIDE);
}
