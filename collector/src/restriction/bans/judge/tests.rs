//! Whom a ban is about, for how long it holds, and where it does not.

use ipnet::Ipv4Net;
use proptest::prelude::*;

use super::*;
use crate::restriction::Factor;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn networks(text: &str) -> Networks {
    let mut networks: Networks = toml::from_str(text).unwrap();
    networks.join().unwrap();
    networks
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

#[test]
fn an_ipv6_address_stands_for_its_64_and_a_64_for_its_56() {
    for (told, meant) in [
        ("203.0.113.7/32", "203.0.113.7/32"),
        ("::ffff:203.0.113.7/128", "203.0.113.7/32"),
        ("2001:db8:1:2:3:4:5:6/128", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("2001:db8:1:200::/56", "2001:db8:1:200::/56"),
    ] {
        assert_eq!(whom(net(told)), net(meant), "{told}");
    }
    let customer = |text| customer(&net(text)).map(|net| net.to_string());
    assert_eq!(
        customer("2001:db8:1:2ff::/64").unwrap(),
        "2001:db8:1:200::/56"
    );
    assert_eq!(customer("2001:db8:1:200::/56"), None, "never wider");
    assert_eq!(customer("203.0.113.7/32"), None);
}

#[test]
fn the_same_source_is_shut_out_longer_each_time() {
    let config = Config::default();
    let hours = |times| until(at(0), times, &config, at(0)).since(at(0)).as_secs() / 3600;
    let all: Vec<_> = (1..=6).map(hours).collect();
    assert_eq!(all, [1, 4, 16, 64, 168, 168]);
    let late = until(at(0), 1, &config, at(3599));
    assert_eq!(late, at(3599 + 3600), "it counts from when it is heard of");
    assert_eq!(until(at(0), 1, &config, at(3600)), at(3600), "it was over");
}

#[test]
fn no_host_takes_more_than_its_share_of_all_or_of_a_bucket() {
    let mut share = Share::of([(7, MOST_OF_A_BUCKET - 1)].into());
    assert!(share.take(7) && !share.take(7));
    let others = (0..=u8::MAX).flat_map(|bucket| vec![bucket; 100]);
    let taken = others.filter(|bucket| share.take(*bucket)).count();
    assert_eq!(
        i64::try_from(taken).unwrap(),
        MOST_OF_A_HOST - MOST_OF_A_BUCKET
    );
}

#[test]
fn who_is_in_a_network_of_ours_is_shut_out_nowhere_else() {
    let networks = networks(
        "office = [\"192.0.2.0/24\", \"2001:db8::/32\"]\neverywhere = [\"0.0.0.0/0\", \"::/0\"]",
    );
    for (whom, why) in [
        ("192.0.2.7/32", Some("it is in the network office")),
        ("2001:db8:1:2::/64", Some("it is in the network office")),
        ("203.0.113.7/32", None),
        ("2001:db9:1:2::/64", None),
        ("2001:db9::/56", None),
        (
            "203.0.113.0/24",
            Some("it is wider than a host may have others shut out"),
        ),
        (
            "2001:db9::/48",
            Some("it is wider than a host may have others shut out"),
        ),
    ] {
        let ours = Ours {
            networks: &networks,
            addresses: &BTreeMap::new(),
            attacked: &BTreeMap::new(),
        };
        assert_eq!(ours.unspread(&net(whom)).as_deref(), why, "{whom}");
    }
}

#[test]
fn nor_is_a_host_of_ours_or_the_collector() {
    let networks = Networks::default();
    let addresses = ["198.51.100.7", "2001:db8:1:2::7"].map(|it| it.parse().unwrap());
    let owner = Owner {
        whose: "the host web-1".to_owned(),
        claimed: None,
    };
    let addresses = addresses.map(|it: IpAddr| (it, owner.clone()));
    let ours = Ours {
        networks: &networks,
        addresses: &addresses.into(),
        attacked: &BTreeMap::new(),
    };
    for whom in ["198.51.100.7/32", "2001:db8:1:2::/64", "2001:db8:1::/56"] {
        let why = ours.unspread(&net(whom));
        assert_eq!(why.as_deref(), Some("it is the host web-1"), "{whom}");
    }
    for whom in ["198.51.100.8/32", "2001:db8:1:3::/64"] {
        assert_eq!(ours.unspread(&net(whom)), None, "{whom}");
    }
}

#[test]
fn a_reason_can_be_read_and_lines_stay_lines() {
    let banned = |tries, accounts| Banned {
        net: net("203.0.113.7/32"),
        until: at(0),
        tries,
        accounts,
        within: Duration::from_millis(40_300),
        times: 1,
        lines: Vec::new(),
    };
    assert_eq!(reason(&banned(12, 3)), "12 tries with 3 accounts in 40s");
    assert_eq!(reason(&banned(1, 1)), "1 try in 40s");
    let lines = ["a\nb".into(), "c".into()];
    assert_eq!(evidence(&lines), b"a b\nc");
}

proptest! {
    #[test]
    fn nothing_wider_than_was_told_but_a_64_is_ever_shut_out(bits: u128, length in 0_u8..=128) {
        let told = IpNet::V6(Ipv6Net::new(bits.into(), length).unwrap());
        let meant = whom(told);
        if let IpNet::V6(meant) = meant {
            prop_assert_eq!(meant.prefix_len(), length.min(64));
            prop_assert!(meant.contains(&std::net::Ipv6Addr::from(bits)));
        }
        if let Some(wide) = customer(&meant) {
            prop_assert_eq!(wide.prefix_len(), 56);
            prop_assert!(wide.contains(&meant));
        }
    }

    #[test]
    fn no_end_is_before_the_first_or_beyond_the_longest(
        bits: u32, times in -1_i64..100, heard in 0_i64..1_000_000_000, factor in 1_u32..=1000,
    ) {
        let config = Config { ban_factor: Factor::try_from(factor).unwrap(), ..Config::default() };
        let end = until(at(0), times, &config, at(heard));
        prop_assert!(end >= at(3600) && end <= at(heard + 7 * 86_400));
        let next = until(at(0), times + 1, &config, at(heard));
        prop_assert!(next >= end, "never shorter");
        let single = IpNet::V4(Ipv4Net::new(bits.into(), 32).unwrap());
        prop_assert_eq!(whom(single), single);
    }
}
