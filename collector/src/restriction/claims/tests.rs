//! What of a host's word counts.

use super::*;

fn claim(number: u8, addresses: &[&str], seen: &[&str]) -> Claim {
    let read = |all: &[&str]| all.iter().map(|it| it.parse().unwrap()).collect();
    Claim {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
        addresses: read(addresses),
        seen: read(seen),
    }
}

fn counted(claims: &[Claim]) -> Vec<Vec<String>> {
    let of = |claim: &Claim| claim.addresses.iter().map(IpAddr::to_string).collect();
    claims.iter().map(of).collect()
}

#[test]
fn an_address_is_whose_the_collector_sees_there() {
    let own = claim(1, &["10.0.0.1", "203.0.113.1"], &["203.0.113.1"]);
    let liar = claim(2, &["203.0.113.1", "203.0.113.2"], &["203.0.113.2"]);
    let (all, doubts) = weigh(vec![own, liar], |_| false);
    assert_eq!(counted(&all)[0], ["10.0.0.1", "203.0.113.1"]);
    assert_eq!(counted(&all)[1], ["203.0.113.2"]);
    let [(host, name, doubt)] = &*doubts else {
        panic!("{doubts:?}")
    };
    let told = alert((*host, name), doubt, Timestamp::from_micros(0));
    assert_eq!(
        told.title,
        "web-2 says that 203.0.113.1 is its own, where web-1 is"
    );
}

#[test]
fn what_two_say_whom_nobody_saw_there_is_doubtful_and_bridges_inside_are_not() {
    let four = ["172.18.0.1", "203.0.113.9", "2001:db9::1"];
    let one = claim(1, &four, &["2001:db9::1"]);
    let two = claim(2, &["172.18.0.1", "203.0.113.9"], &["198.51.100.2"]);
    let (all, doubts) = weigh(vec![one, two], |_| false);
    assert_eq!(counted(&all)[0], four, "two stays for who tries gates");
    let doubts: Vec<_> = doubts.into_iter().map(|(.., doubt)| doubt).collect();
    let said = |name: &str| Doubt::Said("203.0.113.9".parse().unwrap(), name.to_owned());
    assert_eq!(doubts, [said("web-2"), said("web-1")]);
}

#[test]
fn many_public_networks_where_nobody_saw_a_host_do_not_count_unless_they_have_a_name() {
    let many: Vec<_> = (0..17).map(|it| format!("198.51.100.{it}")).collect();
    let mut many: Vec<_> = many.iter().map(String::as_str).collect();
    let temporary: Vec<_> = (0..40).map(|it| format!("2001:db9::{it:x}")).collect();
    let six = temporary.iter().map(String::as_str);
    many.extend(six.chain(["10.0.0.1", "203.0.113.1"]));
    let all = vec![claim(1, &many, &["203.0.113.1", "2001:db9::5"])];
    let (left, doubts) = weigh(all.clone(), |_| false);
    assert_eq!(left[0].addresses.len(), 42, "of one IPv6 machine, and seen");
    assert_eq!(doubts[0].2, Doubt::Many(17));
    let (left, doubts) = weigh(all, |own| own.is_ipv4());
    assert_eq!((left[0].addresses.len(), doubts.len()), (59, 0));
}
