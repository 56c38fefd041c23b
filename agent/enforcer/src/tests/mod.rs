//! Frames: whatever is said is understood, and no bytes do harm.

mod guard;
mod kernel;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::frame::{Framed, LARGEST};

fn address() -> impl Strategy<Value = IpAddr> {
    let ipv6 = any::<u128>().prop_map(Ipv6Addr::from);
    let ipv6 = ipv6.prop_filter("IPv4", |it| it.to_ipv4_mapped().is_none());
    prop_oneof![
        any::<u32>().prop_map(|it| IpAddr::V4(Ipv4Addr::from(it))),
        ipv6.prop_map(IpAddr::V6),
    ]
}

fn net() -> impl Strategy<Value = IpNet> {
    (address(), 0..=128_u8).prop_map(|(address, length)| match address {
        IpAddr::V4(it) => Ipv4Net::new(it, length % 33).unwrap().trunc().into(),
        IpAddr::V6(it) => Ipv6Net::new(it, length).unwrap().trunc().into(),
    })
}

fn ports() -> impl Strategy<Value = Ports> {
    (any::<bool>(), 1..=u16::MAX, 1..=u16::MAX).prop_map(|(udp, one, other)| Ports {
        protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        first: one.min(other),
        last: one.max(other),
    })
}

fn gates() -> impl Strategy<Value = Gates> {
    let exception = (net(), any::<u64>()).prop_map(|(net, until)| Exception { net, until });
    let parts = (
        "[A-Za-z0-9._-]{1,64}",
        vec(ports(), 1..4),
        vec(net(), 0..50),
        vec(exception, 0..4),
        any::<bool>(),
    );
    let gate = parts.prop_map(|(name, ports, from, exceptions, watch)| Gate {
        name,
        ports,
        from,
        exceptions,
        mode: if watch { Mode::Watch } else { Mode::Enforce },
    });
    let parts = (any::<u64>(), any::<bool>(), vec(gate, 0..5));
    parts.prop_map(|(generation, put_back, gates)| Gates {
        generation,
        put_back,
        gates,
    })
}

fn bans() -> impl Strategy<Value = Vec<Ban>> {
    let ban = (net(), any::<u32>(), any::<bool>());
    vec(
        ban.prop_map(|(net, seconds, own)| Ban { net, seconds, own }),
        0..40,
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Hello),
        bans().prop_map(Request::Ban),
        vec(net(), 0..40).prop_map(Request::Unban),
        option::of(net()).prop_map(|after| Request::Held { after }),
        (address(), any::<u32>())
            .prop_map(|(address, seconds)| Request::Vouch { address, seconds }),
        (gates(), any::<u32>()).prop_map(|(gates, seconds)| Request::Try { gates, seconds }),
        any::<u64>().prop_map(|generation| Request::Confirm { generation }),
        Just(Request::Back),
        Just(Request::Ruleset),
        Just(Request::Turned),
        Just(Request::Peers),
        vec(any::<[u8; 32]>(), 0..=64).prop_map(Request::Expel),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Done),
        Just(Verdict::Vetoed(Veto::Own)),
        Just(Verdict::Vetoed(Veto::Vouched)),
        Just(Verdict::Vetoed(Veto::Unable)),
    ]
}

fn holding() -> impl Strategy<Value = Holding> {
    let trial = (any::<u64>(), any::<u64>(), any::<u32>());
    let parts = (any::<u64>(), option::of(trial), ".{0,80}", any::<bool>());
    parts.prop_map(|(number, trial, trouble, whole)| Holding {
        version: "0.1.0".to_owned(),
        generation: number,
        digest: number,
        trial: trial.map(|(generation, digest, seconds)| Trial {
            generation,
            digest,
            seconds,
        }),
        bans: 7,
        whole,
        trouble,
        limits: Limits::default(),
    })
}

fn turned() -> impl Strategy<Value = Turned> {
    let parts = ("[a-z]{1,9}", any::<u64>(), vec(address(), 0..=32));
    parts.prop_map(|(name, packets, from)| Turned {
        name,
        packets,
        from,
    })
}

fn expelled() -> impl Strategy<Value = Expelled> {
    let parts = ("[a-z0-9]{1,15}", any::<[u8; 32]>(), ".{0,80}");
    parts.prop_map(|(interface, key, kept)| Expelled {
        interface,
        key,
        kept,
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Done),
        ".{0,200}".prop_map(Answer::Refused),
        holding().prop_map(Answer::Holding),
        vec(verdict(), 0..40).prop_map(Answer::Verdicts),
        bans().prop_map(Answer::Held),
        (vec(any::<u8>(), 0..500), any::<bool>()).prop_map(|(part, last)| Answer::Text(part, last)),
        vec(turned(), 0..4).prop_map(Answer::Turned),
        vec(expelled(), 0..9).prop_map(Answer::Expelled),
        (".{0,80}", any::<bool>())
            .prop_map(|(what, put_back)| Answer::Changed(Change::Meddled { what, put_back })),
        any::<u64>().prop_map(|generation| Answer::Changed(Change::RolledBack { generation })),
        ".{0,80}".prop_map(|trouble| Answer::Changed(Change::Guard(trouble))),
    ]
}

#[test]
fn more_peers_than_may_be_at_once_are_no_request() {
    let request = Request::Expel(vec![[7; 32]; 10_000]);
    assert!(request.encode().is_err());
    let mut frame = Request::Expel(vec![[7; 32]; 64]).encode().unwrap();
    frame[2..6].copy_from_slice(&10_000_u32.to_be_bytes());
    frame.resize(6 + 32 * 10_000, 7);
    assert!(Request::decode(&frame).is_err());
}

/// A frame with some of its bytes changed, which is nearer to what decoders get wrong than noise is.
fn nearly(
    frame: Vec<u8>,
    changes: &[(prop::sample::Index, u8)],
    end: prop::sample::Index,
) -> Vec<u8> {
    let mut frame = frame;
    for (at, byte) in changes {
        let at = at.index(frame.len());
        frame[at] = *byte;
    }
    frame.truncate(end.index(frame.len() * 4) + 1);
    frame
}

proptest! {
    #[test]
    fn a_request_is_understood(request in request()) {
        let frame = request.encode().unwrap();
        prop_assert_eq!(Request::decode(&frame).unwrap(), request);
    }

    #[test]
    fn an_answer_is_understood(answer in answer()) {
        let frame = answer.encode().unwrap();
        prop_assert_eq!(Answer::decode(&frame).unwrap(), answer);
    }

    #[test]
    fn gates_on_disk_are_understood(gates in gates()) {
        let kept = gates.encode().unwrap();
        prop_assert_eq!(&Gates::decode(&kept).unwrap(), &gates);
        let mut other = gates.clone();
        other.put_back = !gates.put_back;
        prop_assert_ne!(other.digest(), gates.digest());
    }

    #[test]
    fn any_bytes_are_a_frame_or_refused(mut bytes in vec(any::<u8>(), 0..300), tag in 0..12_u8) {
        if bytes.len() > 1 {
            (bytes[0], bytes[1]) = (1, tag);
        }
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode().unwrap(), bytes.clone());
        }
        if let Ok(answer) = Answer::decode(&bytes) {
            prop_assert_eq!(answer.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_frame_is_one_of_its_own_or_refused(
        request in request(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let bytes = nearly(request.encode().unwrap(), &changes, end);
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode().unwrap(), bytes);
        }
    }
}

#[test]
fn as_many_gates_as_may_be_fit_into_a_frame() {
    let net = |number: u128| IpNet::from(IpAddr::V6(Ipv6Addr::from(1 << 120 | number)));
    let gate = |number: u128| Gate {
        name: "n".repeat(64),
        ports: vec![
            Ports {
                protocol: Protocol::Tcp,
                first: 1,
                last: u16::MAX
            };
            64
        ],
        from: (0..160).map(|it| net(number * 160 + it)).collect(),
        exceptions: vec![
            Exception {
                net: net(number),
                until: u64::MAX
            };
            4
        ],
        mode: Mode::Enforce,
    };
    let mut gates = Gates {
        generation: 1,
        put_back: true,
        gates: (0..64).map(gate).collect(),
    };
    let seconds = 300;
    let request = Request::Try {
        gates: gates.clone(),
        seconds,
    };
    let frame = request.encode().unwrap();
    assert_eq!(Request::decode(&frame).unwrap(), request);
    gates.gates[0].from.extend(vec![net(0); 10_000]);
    assert!(Request::Try { gates, seconds }.encode().is_err());
}

#[test]
fn what_has_two_spellings_is_refused() {
    let ban = |net: &str| {
        let net = net.parse().unwrap();
        let own = false;
        Request::Ban(vec![Ban {
            net,
            seconds: 1,
            own,
        }])
        .encode()
    };
    assert!(ban("192.0.2.0/24").is_ok());
    assert!(ban("192.0.2.1/24").is_err(), "host bits");
    assert!(ban("::ffff:192.0.2.1/128").is_err(), "IPv4 as IPv6");
    assert!(Request::decode(&[1, 4, 2]).is_err(), "neither yes nor no");
    assert!(Request::decode(&[1, 1, 0]).is_err(), "something is left");
    assert!(Request::decode(&[2, 1]).is_err(), "another version");
}

#[test]
fn a_million_entries_are_refused_without_being_kept() {
    let mut frame = vec![1, 2];
    frame.extend(1_000_000_u32.to_be_bytes());
    assert!(Request::decode(&frame).is_err());
    frame.resize(LARGEST + 1, 0);
    assert!(Request::decode(&frame).is_err());
    let ban = Ban {
        net: "192.0.2.1/32".parse().unwrap(),
        seconds: 1,
        own: true,
    };
    assert!(Request::Ban(vec![ban; 513]).encode().is_err());
}

#[test]
fn a_gate_is_named_plainly_and_has_ports() {
    let gate = |name: &str, first: u16, last: u16| {
        let protocol = Protocol::Udp;
        let gate = Gate {
            name: name.to_owned(),
            ports: vec![Ports {
                protocol,
                first,
                last,
            }],
            from: Vec::new(),
            exceptions: Vec::new(),
            mode: Mode::Watch,
        };
        let gates = vec![gate];
        let gates = Gates {
            gates,
            ..Gates::default()
        };
        gates.encode()
    };
    assert!(gate("ssh", 22, 22).is_ok());
    for name in [
        "",
        "a b",
        "x; flush ruleset",
        "{",
        "é",
        "\"",
        "$(id)",
        "a\n",
    ] {
        assert!(gate(name, 22, 22).is_err(), "{name}");
    }
    assert!(gate("ssh", 23, 22).is_err());
    assert!(gate("ssh", 0, 22).is_err());
}
