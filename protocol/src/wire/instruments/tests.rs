//! An order and what is told are the same after their travel, and what cannot be held is refused.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::instruments::{Managed, Opens};
use crate::order::Order;
use crate::peers::PeerKey;
use crate::record::{Record, Report};
use crate::wire::{decode, decode_order, encode, encode_order};

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![vec![1; 51], vec![2; 279], vec![3; 1]])
}

fn revoked() -> impl Strategy<Value = Revoked> {
    prop_oneof![
        vec(any::<u8>(), 1..600).prop_map(Revoked::Key),
        any::<[u8; 32]>().prop_map(Revoked::Fingerprint),
        (key(), 1..=u64::MAX, any::<u64>()).prop_map(|(authority, first, more)| {
            let last = first.saturating_add(more);
            Revoked::Serials {
                authority,
                first,
                last,
            }
        }),
        (key(), "[!-\"$-~]([ -\"$-~]{0,40}[!-\"$-~])?")
            .prop_map(|(authority, id)| Revoked::Id { authority, id }),
    ]
}

/// An Ed25519 key, or what claims to be one.
fn ed25519(point: &[u8]) -> Vec<u8> {
    let kind: &[u8] = b"ssh-ed25519";
    let length = |of: &[u8]| u32::try_from(of.len()).unwrap().to_be_bytes();
    [&length(kind), kind, &length(point), point].concat()
}

fn managed() -> impl Strategy<Value = Managed> {
    let key = || any::<[u8; 32]>().prop_map(|it| ed25519(&it));
    let opens = prop_oneof![
        key().prop_map(Opens::Key),
        (key(), vec("[A-Za-z0-9._:@-]{1,64}", 1..4))
            .prop_map(|(key, principals)| Opens::Authority { key, principals }),
    ];
    let net = any::<([u8; 4], u8)>()
        .prop_map(|(ip, length)| IpNet::new(ip.into(), length % 33).unwrap().trunc());
    let until = prop::option::of(0..253_402_300_800_i64);
    (
        "[a-z_][a-z0-9_.-]{0,31}",
        opens,
        vec(net, 0..4),
        until,
        any::<bool>(),
    )
        .prop_map(|(account, opens, from, until, forwarding)| Managed {
            account,
            opens,
            from,
            until: until.map(|it| Timestamp::from_micros(it * 1_000_000)),
            forwarding,
        })
}

fn order(generation: u64, revoked: Vec<Revoked>, managed: Vec<Managed>) -> Order {
    Order::Instruments(Arc::new(Instruments {
        generation,
        revoked,
        managed,
        peers: vec![PeerKey::from_bytes([7; 32])],
        lineages: vec![generation, 5],
        kept: 0,
    }))
}

fn holding() -> impl Strategy<Value = Told> {
    let plain = any::<(i64, Option<u64>, u32, Option<[u8; 32]>)>();
    let texts = || prop::option::of("[ -~]{0,99}");
    let foreign = (
        vec(any::<u64>(), 0..4),
        any::<u32>(),
        vec(any::<i64>(), 0..4),
    );
    (plain, texts(), (any::<u32>(), foreign), texts(), texts()).prop_map(
        |((at, generation, revoked, digest), trouble, (managed, foreign), unmanaged, unshown)| {
            Told::Holding(Holding {
                at: Timestamp::from_micros(at),
                generation,
                revoked,
                digest,
                trouble,
                managed,
                unmanaged,
                unshown,
                lineages: foreign.0,
                kept: foreign.1,
                unknown_sessions: foreign.2.into_iter().map(Timestamp::from_micros).collect(),
            })
        },
    )
}

fn ended() -> impl Strategy<Value = Told> {
    let how = prop_oneof![
        Just(Way::Ended),
        Just(Way::Gone),
        "[ -~]{1,99}".prop_map(Way::Refused)
    ];
    let plain = any::<(i64, i64, u32, Option<IpAddr>)>();
    let texts = (vec(any::<u8>(), 0..40), vec("[ -~]{0,99}", 0..4));
    (plain, texts, how).prop_map(|((at, opened, leader, from), (account, survivors), how)| {
        Told::Ended(Ended {
            at: Timestamp::from_micros(at),
            account: account.into(),
            address: from.map(|it| it.to_canonical()),
            fingerprint: "SHA256:x".to_owned(),
            opened_at: Timestamp::from_micros(opened),
            leader,
            how,
            survivors,
        })
    })
}

proptest! {
    #[test]
    fn an_order_is_the_same_after_its_travel(
        generation: u64,
        revoked in vec(revoked(), 0..9),
        managed in vec(managed(), 0..9),
    ) {
        let given = order(generation, revoked, managed);
        let back = decode_order(&encode_order(given.clone())).unwrap();
        prop_assert_eq!(back, Some(given));
    }

    #[test]
    fn what_is_told_is_the_same_after_its_travel(told in prop_oneof![holding(), ended()]) {
        let sent = Record {
            seq: 9,
            covers: 0,
            kept_at: Timestamp::from_micros(7),
            boot: [3; 16],
            report: Report::Instruments(told),
        };
        prop_assert_eq!(decode(&encode(sent.clone())).unwrap(), sent);
    }
}

#[test]
fn an_order_that_cannot_be_held_is_refused_as_a_whole() {
    let authority = vec![1; 51];
    let id = |id: &str| Revoked::Id {
        authority: authority.clone(),
        id: id.to_owned(),
    };
    let serials = |first, last| Revoked::Serials {
        authority: authority.clone(),
        first,
        last,
    };
    let good = Revoked::Fingerprint([1; 32]);
    let of = |number: u8| Revoked::Serials {
        authority: vec![number],
        first: 1,
        last: 1,
    };
    for wrong in [
        vec![Revoked::Key(Vec::new())],
        vec![Revoked::Key(vec![1; (16 << 10) + 1])],
        vec![Revoked::Key(vec![1; 16 << 10]); 129],
        vec![good.clone(); Instruments::MOST_REVOKED + 1],
        vec![serials(0, 1)],
        vec![serials(2, 1)],
        vec![id("")],
        vec![id("ada#laptop")],
        vec![id(" ada")],
        vec![id("ada\nserial: 1-99")],
        vec![id(&"x".repeat(257))],
        (0..17).map(of).collect(),
    ] {
        let mut all = vec![good.clone()];
        all.extend(wrong);
        let bytes = encode_order(order(1, all, Vec::new()));
        assert!(decode_order(&bytes).is_err());
    }
    let most = vec![good; Instruments::MOST_REVOKED];
    assert!(decode_order(&encode_order(order(1, most, Vec::new()))).is_ok());
}

#[test]
fn a_line_that_cannot_be_held_is_left_out_and_what_is_revoked_holds() {
    let good = Managed {
        account: "deploy".to_owned(),
        opens: Opens::Key(ed25519(&[7; 32])),
        from: Vec::new(),
        until: None,
        forwarding: false,
    };
    let named = |account: &str| Managed {
        account: account.to_owned(),
        ..good.clone()
    };
    let of = |opens| Managed {
        opens,
        ..good.clone()
    };
    let until = |micros| Managed {
        until: Some(Timestamp::from_micros(micros)),
        ..good.clone()
    };
    let signed = |principals: &[&str]| {
        of(Opens::Authority {
            key: ed25519(&[7; 32]),
            principals: principals.iter().map(|it| (*it).to_owned()).collect(),
        })
    };
    let certificate = b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com\0\0\0\x01x";
    let wrong = [
        named(""),
        named("-oProxyCommand"),
        named("../root"),
        named("Ada"),
        named("ada\n"),
        named(&"a".repeat(33)),
        of(Opens::Key(Vec::new())),
        of(Opens::Key(certificate.to_vec())),
        of(Opens::Key(b"\xff\xff\xff\xffssh-ed25519".to_vec())),
        signed(&[]),
        signed(&["role,root"]),
        signed(&["role\"root"]),
        signed(&["role root"]),
        signed(&[""]),
        signed(&["a"; 65]),
        until(1),
        until(-1_000_000),
        until(253_402_300_800_000_000),
        Managed {
            from: vec!["192.0.2.0/24".parse().unwrap(); 65],
            ..good.clone()
        },
    ];
    let revoked = vec![Revoked::Fingerprint([1; 32])];
    for wrong in wrong {
        let both = vec![wrong.clone(), good.clone()];
        let sent = encode_order(order(1, revoked.clone(), both));
        let expected = order(1, revoked.clone(), vec![good.clone()]);
        assert_eq!(decode_order(&sent).unwrap(), Some(expected), "{wrong:?}");
    }
    let more = vec![good; Instruments::MOST_MANAGED + 1];
    assert!(decode_order(&encode_order(order(1, revoked, more))).is_err());
}
