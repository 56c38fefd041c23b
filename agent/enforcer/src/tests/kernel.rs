//! What the kernel is told, and what it says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::bans::{Bans, Shape};
use crate::gates::{Gates, Mode};
use crate::guard::Guard;
use crate::netlink::{attribute, attributes, find, message, messages_of, nested};
use crate::table::{self, Slot};
use crate::turned::Tally;

const NOW: Duration = Duration::from_secs(1000);

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn a_ban_holds_whom_it_names_until_it_ends() {
    let mut bans = Bans::new();
    bans.put(net("192.0.2.7/32"), NOW + Duration::from_secs(5));
    bans.put(net("198.51.100.0/25"), NOW + Duration::from_secs(9));
    bans.put(net("2001:db8:1:2::/64"), NOW + Duration::from_secs(9));
    let held = |bans: &Bans, address: &str, later: u64| {
        bans.hold(
            address.parse::<IpAddr>().unwrap(),
            NOW + Duration::from_secs(later),
        )
    };
    assert!(held(&bans, "192.0.2.7", 4) && !held(&bans, "192.0.2.7", 5));
    assert!(!held(&bans, "192.0.2.8", 0));
    assert!(held(&bans, "198.51.100.127", 0) && !held(&bans, "198.51.100.128", 0));
    assert!(held(&bans, "2001:db8:1:2:ffff::1", 0) && !held(&bans, "2001:db8:1:3::1", 0));
    bans.forget(NOW + Duration::from_secs(6));
    assert_eq!(bans.count(), 2);
    assert!(bans.take(&net("198.51.100.0/25")) && !bans.take(&net("198.51.100.0/25")));
    assert!(!held(&bans, "198.51.100.127", 0));
}

#[test]
fn room_is_made_once_a_second() {
    let mut bans = Bans::new();
    let mut left = |ended: &str, later: u64| {
        let now = NOW + Duration::from_millis(later);
        bans.put(net(ended), now);
        bans.make_room(now);
        bans.count()
    };
    assert_eq!(left("192.0.2.1/32", 0), 0);
    assert_eq!(left("192.0.2.2/32", 0), 1);
    assert_eq!(left("192.0.2.3/32", 999), 2);
    assert_eq!(left("192.0.2.4/32", 1000), 0);
}

#[test]
fn a_set_of_each_shape_is_looked_into_with_its_mask() {
    let shapes = BTreeSet::from([
        Shape::of(&net("192.0.2.0/24")),
        Shape::of(&net("2001:db8::/56")),
    ]);
    let text = table::base(&shapes, &Guard::default().gates.signing_in);
    for line in [
        "add set inet watchward banned4_24 { type ipv4_addr; flags timeout; size ",
        "inbound ip saddr & 255.255.255.0 @banned4_24 counter drop",
        "inbound ip6 saddr & ffff:ffff:ffff:ff00:: @banned6_56 counter drop",
        "doors fib daddr type { local, anycast, broadcast, multicast } goto gates",
        "gates tcp dport 22-22 ip saddr @vouched4 accept",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let place = |what: &str| text.find(what).unwrap();
    let banned = place("inbound ip6 saddr & ffff:ffff:ffff:ff00:: @banned6_56 counter drop");
    for first in ["@never6 accept", "@vouched6 goto doors"] {
        let first = place(&format!("inbound ip6 saddr {first}"));
        assert!(first < banned, "a ban shuts out none of those: {text}");
    }
}

#[test]
fn who_stays_among_those_who_pass_is_not_touched() {
    let before = [net("192.0.2.0/24"), net("198.51.100.0/24")];
    let after = [net("192.0.2.0/24"), net("2001:db8::/32")];
    assert_eq!(
        table::never(&before, &after),
        "delete element inet watchward never4 { 198.51.100.0/24 }\n\
         add element inet watchward never6 { 2001:db8::/32 }\n"
    );
    assert_eq!(table::never(&after, &after), "");
}

proptest! {
    /// Of what others typed, nothing comes into what `nft` reads: names of gates least of all.
    #[test]
    fn the_text_for_nft_has_only_words_of_our_own(gates in super::gates()) {
        let gates = Gates {
            gates: gates.gates.into_iter().map(|mut gate| {
                gate.name = "delete".repeat(3);
                gate
            }).collect(),
            ..gates
        };
        let text = table::slot(Slot::New, &gates, &Tally::new());
        prop_assert!(!text.contains("deletedelete"));
        let plain = |it: char| it.is_ascii_alphanumeric() || " \n{}@_.,:/&-<\"".contains(it);
        prop_assert!(text.chars().all(plain), "{}", text);
        let drops = text.matches(" drop comment").count();
        let shut = gates.gates.iter().filter(|gate| gate.mode == Mode::Enforce).count();
        prop_assert_eq!(drops, shut);
    }

    #[test]
    fn any_bytes_of_the_kernel_are_read_without_harm(bytes in vec(any::<u8>(), 0..300)) {
        for message in messages_of(&bytes) {
            let _end = attributes(message.body).count();
        }
        let _end = attributes(&bytes).count();
    }

    #[test]
    fn attributes_are_read_as_they_were_written(
        values in vec((1..100_u16, vec(any::<u8>(), 0..50)), 0..8)
    ) {
        let body: Vec<u8> = values.iter().flat_map(|(kind, value)| attribute(*kind, value)).collect();
        let whole = [message(7, 0, 9, &nested(3, &body)), message(8, 0, 10, &[])].concat();
        let messages: Vec<_> = messages_of(&whole).collect();
        prop_assert_eq!(messages.len(), 2);
        prop_assert_eq!((messages[0].kind, messages[0].sequence), (7, 9));
        let read = attributes(find(messages[0].body, 3).unwrap());
        let read: Vec<_> = read.map(|(kind, value)| (kind, value.to_vec())).collect();
        prop_assert_eq!(read, values);
    }
}
