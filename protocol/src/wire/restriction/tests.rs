//! What is ordered and told of restrictions comes back as it was; what makes no sense is refused.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::order::Order;
use crate::record::{Record, Report};
use crate::restriction::*;
use crate::span::Span;
use crate::text::Foreign;
use crate::time::Timestamp;
use crate::wire::{decode, decode_order, encode, encode_order};

fn nets() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<[u8; 4]>(), 0..=32u8)
        .prop_map(|(ip, len)| IpNet::V4(Ipv4Net::new(ip.into(), len).unwrap().trunc()));
    let v6 = (any::<[u8; 16]>(), 0..=128u8)
        .prop_map(|(ip, len)| IpNet::V6(Ipv6Net::new(ip.into(), len).unwrap().trunc()));
    prop_oneof![v4, v6]
}

fn times() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_micros)
}

fn ports() -> impl Strategy<Value = Ports> {
    let transport = select(&[Transport::Tcp, Transport::Udp][..]);
    (transport, 1..=u16::MAX, 1..=u16::MAX).prop_map(|(transport, one, other)| Ports {
        transport,
        first: one.min(other),
        last: one.max(other),
    })
}

fn gates() -> impl Strategy<Value = Order> {
    let exception = (nets(), times()).prop_map(|(from, until)| Exception { from, until });
    let mode = select(&[Mode::Watch, Mode::Enforce][..]);
    let parts = ("[a-z]{1,9}", mode, vec(ports(), 0..3));
    let gate = (parts, vec(nets(), 0..5), vec(exception, 0..3));
    let gate = gate.prop_map(|((name, mode, ports), from, exceptions)| Gate {
        name,
        mode,
        ports,
        from,
        exceptions,
    });
    (any::<(u64, bool)>(), vec(gate, 0..4)).prop_map(|((generation, put_back), gates)| {
        Order::Gates(Arc::new(Gates {
            generation,
            put_back,
            gates,
        }))
    })
}

fn bans() -> impl Strategy<Value = Order> {
    let ban = (nets(), times()).prop_map(|(net, until)| Ban { net, until });
    let lift = (nets(), times()).prop_map(|(net, at)| Lift { net, at });
    (any::<u8>(), vec(ban, 0..4), vec(lift, 0..4)).prop_map(|(bucket, bans, lifted)| {
        Order::Bans(Arc::new(Bans {
            bucket,
            bans,
            lifted,
        }))
    })
}

fn probe() -> impl Strategy<Value = Probe> {
    (any::<(IpAddr, u16, bool)>(), ports()).prop_map(|((address, port, ssh), ports)| Probe {
        address: address.to_canonical(),
        transport: ports.transport,
        port,
        ssh,
    })
}

fn probes() -> impl Strategy<Value = Order> {
    (1..1000u64, vec(probe(), 0..4)).prop_map(|(every, probes)| {
        let every = Span::seconds(every);
        Order::Probes(Arc::new(Probes { every, probes }))
    })
}

fn news() -> impl Strategy<Value = News> {
    let drift = any::<bool>().prop_map(|put_back| {
        let what = "the table is gone".to_owned();
        News::Drift(Drift { what, put_back })
    });
    prop_oneof![banned(), holding(), listening(), probed(), drift, sshd()]
}

fn sshd() -> impl Strategy<Value = News> {
    let text = || vec(any::<u8>(), 0..40).prop_map(Foreign::from);
    let setting = (proptest::option::of(text()), "[A-Z][a-z]{1,9}", text());
    let setting = setting.prop_map(|(block, name, value)| Setting { block, name, value });
    (vec(setting, 0..4), any::<u32>())
        .prop_map(|(settings, omitted)| News::Sshd(Sshd { settings, omitted }))
}

fn banned() -> impl Strategy<Value = News> {
    let lines = vec(vec(any::<u8>(), 0..40).prop_map(Foreign::from), 0..4);
    (nets(), times(), any::<(u32, u32, u32)>(), lines).prop_map(
        |(net, until, (tries, accounts, times), lines)| {
            News::Banned(Banned {
                net,
                until,
                tries,
                accounts,
                within: Duration::from_millis(tries.into()).min(LONGEST),
                times,
                lines,
            })
        },
    )
}

fn holding() -> impl Strategy<Value = News> {
    let phases = [
        Phase::Open,
        Phase::Trial,
        Phase::Held,
        Phase::Refused,
        Phase::Undone,
    ];
    let held = ("[a-z]{1,9}", any::<(u64, IpAddr)>()).prop_map(|(name, (count, from))| GateHeld {
        name,
        mode: Mode::Enforce,
        turned_away: count,
        from: vec![from.to_canonical()],
    });
    let vetoed = nets().prop_map(|net| Vetoed {
        net,
        why: if net.prefix_len() % 2 == 0 {
            Veto::Reserved
        } else {
            Veto::Unable
        },
    });
    let lists = (vec(held, 0..3), vec(vetoed, 0..3));
    (select(phases.to_vec()), any::<(u64, u32, bool)>(), lists).prop_map(
        |(phase, (generation, bans, there), (gates, vetoed))| {
            News::Holding(Holding {
                enforcer: there.then(|| "0.1.0".to_owned()),
                phase,
                generation,
                why: "because".to_owned(),
                trouble: "line 1".to_owned(),
                addresses: vec![[192, 0, 2, 1].into()],
                gates,
                bans,
                vetoed,
            })
        },
    )
}

fn listening() -> impl Strategy<Value = News> {
    let listener =
        (any::<(IpAddr, u16)>(), ports()).prop_map(|((address, port), ports)| Listener {
            transport: ports.transport,
            address: address.to_canonical(),
            port,
            program: Some("sshd".to_owned()),
        });
    vec(listener, 0..4).prop_map(News::Listening)
}

fn probed() -> impl Strategy<Value = News> {
    let ends = [
        Reached::Open,
        Reached::Refused,
        Reached::Silent,
        Reached::Unreachable,
    ];
    (probe(), select(ends.to_vec()), vec(any::<u8>(), 0..80)).prop_map(
        |(probe, reached, banner)| {
            News::Probed(Probed {
                probe,
                reached,
                banner: Some(banner.into()),
                took: Duration::from_micros(7),
                from: Some(probe.address),
            })
        },
    )
}

proptest! {
    #[test]
    fn orders_come_back_as_they_were(order in prop_oneof![gates(), bans(), probes()]) {
        let bytes = encode_order(order.clone());
        prop_assert_eq!(decode_order(&bytes).unwrap(), Some(order));
    }

    #[test]
    fn news_come_back_as_they_were((news, at) in (news(), times())) {
        let record = Record {
            seq: 9,
            covers: 0,
            kept_at: at,
            boot: [3; 16],
            report: Report::Restriction(Restriction { at, news }),
        };
        prop_assert_eq!(decode(&encode(record.clone())).unwrap(), record);
    }
}

#[test]
fn a_network_with_bits_beyond_its_prefix_is_refused() {
    let wire = |address: &[u8], length| {
        net(Some(v1::Network {
            address: address.to_vec(),
            length,
        }))
    };
    assert!(wire(&[192, 0, 2, 0], 24).is_ok());
    assert!(wire(&[192, 0, 2, 1], 24).is_err());
    assert!(wire(&[192, 0, 2, 0], 33).is_err());
    assert!(wire(&[192, 0, 2], 24).is_err());
    assert!(wire(&[0; 16], 0).is_ok());
}

#[test]
fn what_is_larger_than_an_order_may_be_is_refused() {
    let ban = Ban {
        net: "192.0.2.1/32".parse().unwrap(),
        until: Timestamp::from_micros(1),
    };
    for (count, taken) in [(MOST_BANS, true), (MOST_BANS + 1, false)] {
        let order = Order::Bans(Arc::new(Bans {
            bucket: 0,
            bans: vec![ban; count],
            lifted: Vec::new(),
        }));
        assert_eq!(decode_order(&encode_order(order)).is_ok(), taken);
    }
}

#[test]
fn ports_from_nought_or_backwards_are_refused() {
    for (first, last, taken) in [(22, 22, true), (0, 22, false), (23, 22, false)] {
        let ports = Ports {
            transport: Transport::Tcp,
            first,
            last,
        };
        let gate = Gate {
            name: "ssh".to_owned(),
            mode: Mode::Watch,
            ports: vec![ports],
            from: Vec::new(),
            exceptions: Vec::new(),
        };
        let order = Order::Gates(Arc::new(Gates {
            generation: 1,
            put_back: false,
            gates: vec![gate],
        }));
        assert_eq!(decode_order(&encode_order(order)).is_ok(), taken);
    }
}
