//! Whose network it is: one machine's, one customer's, or one that strangers share.

use super::*;

#[test]
fn several_networks_of_one_customer_become_one_and_never_more() {
    let mut judge = Judge::new(HashMap::new());
    let nets: Vec<String> = (1..=4)
        .map(|part| format!("2001:db8:0:{part:x}00::1"))
        .chain((1..=3).map(|part| format!("2001:db8:1:{part:02x}::{part}")))
        .map(|address| fails(&mut judge, &address, NOON).net.to_string())
        .collect();
    let alone = (1..=4).map(|part| format!("2001:db8:0:{part:x}00::/64"));
    let together = ["2001:db8:1:1::/64", "2001:db8:1:2::/64", "2001:db8:1::/56"];
    let expected: Vec<_> = alone.chain(together.map(str::to_owned)).collect();
    assert_eq!(nets, expected);
    let inside = failed("2001:db8:1:77::1".parse::<IpAddr>().unwrap(), NOON);
    let more = (0..99).find_map(|_| judge.see(&inside, &Config::default(), NOON));
    assert_eq!(more, None, "it is shut out already");
}

/// Who fails so many times from each of so many /64 of one /56, and whom that shuts out.
fn from_parts(parts: u128, tries: usize) -> Vec<String> {
    let mut judge = Judge::new(HashMap::new());
    let addresses = (0..parts).map(|part| (0x2001_0db8 << 96) | (part << 64) | 7);
    let addresses = addresses.map(Ipv6Addr::from_bits);
    let tries = addresses.flat_map(|address| vec![failed(address, NOON); tries]);
    let said = tries.filter_map(|event| judge.see(&event, &Config::default(), NOON));
    said.map(|one| banned(Some(one)).net.to_string()).collect()
}

#[test]
fn who_tries_a_little_from_each_of_many_networks_is_shut_out_of_all() {
    assert_eq!(from_parts(3, 4), [""; 0]);
    assert_eq!(from_parts(4, 4), ["2001:db8::/56"]);
    assert_eq!(from_parts(256, 1), ["2001:db8::/56"]);
    assert_eq!(from_parts(14, 1), [""; 0]);
    let alone = ["2001:db8::/64", "2001:db8:0:1::/64"];
    assert_eq!(from_parts(2, 99), alone, "two are not several");
    let spread: Vec<_> = (0..20_u128).map(|part| part << 72).collect();
    let mut judge = Judge::new(HashMap::new());
    for bits in spread {
        let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | bits);
        let said = judge.see(&failed(address, NOON), &Config::default(), NOON);
        assert_eq!(said, None, "each of another customer");
    }
}

#[test]
fn a_neighbour_of_somebody_who_must_not_be_shut_out_is_shut_out_alone() {
    let mut judge = Judge::new(HashMap::new());
    let [one, other]: [IpAddr; 2] =
        ["2001:db8::1:1", "2001:db8::1:2"].map(|it| it.parse().unwrap());
    let first = fails(&mut judge, "2001:db8::1:1", NOON);
    assert_eq!(first.net.to_string(), "2001:db8::/64");
    let alone = judge.narrow(&first.net, one, NOON);
    assert_eq!(alone, Some(one.into()));
    let standing: Vec<_> = judge.standing(NOON).collect();
    assert_eq!(standing, [(IpNet::from(one), first.until)]);
    assert_eq!(
        judge.see(&failed(one, NOON), &Config::default(), NOON),
        None
    );
    assert_eq!(
        fails(&mut judge, "2001:db8::1:2", NOON).net,
        IpNet::from(other)
    );
    assert_eq!(
        judge.narrow(&alone.unwrap(), one, NOON),
        None,
        "nothing is narrower"
    );
    let later = first.until;
    let again = fails(&mut judge, "2001:db8::1:1", later);
    assert_eq!((again.net, again.times), (one.into(), 2));
    let after = NOON + SHARED;
    let whole = fails(&mut judge, "2001:db8::1:3", after);
    assert_eq!(whole.net, first.net, "whoever it was may have gone");
}

#[test]
fn a_key_is_no_pass_for_the_neighbours_of_whoever_has_it() {
    let (mut judge, config) = (Judge::new(HashMap::new()), Config::default());
    let keyed: IpAddr = "2001:db8::7".parse().unwrap();
    let mut login = failed(keyed, NOON);
    login.outcome = Outcome::Success;
    login.method = Some("publickey".to_owned());
    let first = fails(&mut judge, "2001:db8::8", NOON);
    assert_eq!(
        judge.see(&login, &config, NOON),
        Some(Verdict::Vouch(keyed))
    );
    assert_eq!(judge.stands(&first.net, NOON), Some(first.until));
    let now = first.until;
    login.at = now;
    assert_eq!(judge.see(&login, &config, now), Some(Verdict::Vouch(keyed)));
    let mistyped = fails(&mut judge, "2001:db8::7", now);
    assert_eq!(mistyped.net, IpNet::from(keyed), "an office for one of it");
    let spray = fails(&mut judge, "2001:db8::9", now);
    assert_eq!(spray.net.to_string(), "2001:db8::/64");
}

#[test]
fn of_a_customer_who_cannot_be_shut_out_as_a_whole_the_network_that_tries_is() {
    let mut judge = Judge::new(HashMap::new());
    let nets = [1, 2, 3].map(|part| fails(&mut judge, &format!("2001:db8:0:{part}::9"), NOON).net);
    assert_eq!(nets[2].to_string(), "2001:db8::/56");
    let from = "2001:db8:0:3::9".parse().unwrap();
    let narrow = judge.narrow(&nets[2], from, NOON).unwrap();
    assert_eq!(narrow.to_string(), "2001:db8:0:3::/64");
    let next = fails(&mut judge, "2001:db8:0:4::9", NOON).net;
    assert_eq!(
        next.to_string(),
        "2001:db8:0:4::/64",
        "it is not asked for again"
    );
}
