//! Peers of WireGuard, as they travel.

use std::net::SocketAddr;

use super::restriction::net;
use super::{Malformed, address, bytes, text, v1};
use crate::peers::{Peer, PeerKey, Peers, Taken};
use crate::time::Timestamp;

impl From<Peers> for v1::Peers {
    fn from(told: Peers) -> Self {
        let taken = |one: Taken| v1::PeerTaken {
            at: one.at.as_micros(),
            interface: one.interface,
            key: one.key.as_bytes().to_vec(),
        };
        Self {
            at: told.at.as_micros(),
            peers: told.peers.into_iter().map(Into::into).collect(),
            omitted: told.omitted,
            generation: told.generation,
            taken: told.taken.into_iter().map(taken).collect(),
            trouble: told.trouble,
        }
    }
}

impl TryFrom<v1::Peers> for Peers {
    type Error = Malformed;

    /// One that makes no sense is left out, and counted.
    fn try_from(wire: v1::Peers) -> Result<Self, Malformed> {
        let count = wire.peers.len();
        let peers = wire.peers.into_iter().filter_map(|it| it.try_into().ok());
        let peers: Vec<Peer> = peers.take(Self::MOST).collect();
        let left_out = u32::try_from(count - peers.len()).unwrap_or(u32::MAX);
        let taken = |one: v1::PeerTaken| {
            Some(Taken {
                at: Timestamp::from_micros(one.at),
                interface: interface(one.interface).ok()?,
                key: key(one.key).ok()?,
            })
        };
        let taken = wire.taken.into_iter().filter_map(taken).take(Self::MOST);
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            peers,
            omitted: wire.omitted.saturating_add(left_out),
            generation: wire.generation,
            taken: taken.collect(),
            trouble: wire.trouble.map(text),
        })
    }
}

impl From<Peer> for v1::Peer {
    fn from(peer: Peer) -> Self {
        Self {
            interface: peer.interface,
            key: peer.key.as_bytes().to_vec(),
            allowed: peer.allowed.into_iter().map(Into::into).collect(),
            address: peer.endpoint.map(|it| bytes(it.ip())),
            port: peer.endpoint.map_or(0, |it| it.port().into()),
            proved_at: peer.proved_at.map(Timestamp::as_micros),
            received: peer.received,
            sent: peer.sent,
            kept: peer.kept,
        }
    }
}

impl TryFrom<v1::Peer> for Peer {
    type Error = Malformed;

    fn try_from(wire: v1::Peer) -> Result<Self, Malformed> {
        let allowed = wire.allowed.into_iter().take(Self::MOST_ALLOWED);
        let allowed: Result<_, _> = allowed.map(|it| net(Some(it))).collect();
        let port = u16::try_from(wire.port).map_err(|_| Malformed("port"))?;
        let address = wire.address.as_deref().map(address).transpose()?;
        Ok(Self {
            interface: interface(wire.interface)?,
            key: key(wire.key)?,
            allowed: allowed?,
            endpoint: address.map(|it| SocketAddr::new(it, port)),
            proved_at: wire.proved_at.map(Timestamp::from_micros),
            received: wire.received,
            sent: wire.sent,
            kept: wire.kept.map(text),
        })
    }
}

pub(super) fn key(bytes: Vec<u8>) -> Result<PeerKey, Malformed> {
    let bytes = bytes.try_into().map_err(|_| Malformed("peer"))?;
    Ok(PeerKey::from_bytes(bytes))
}

fn interface(name: String) -> Result<String, Malformed> {
    match (1..=Peer::LONGEST_INTERFACE).contains(&name.len()) {
        true => Ok(text(name)),
        false => Err(Malformed("interface")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::{IpNet, Ipv4Net};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Record, Report};
    use crate::wire::{decode, encode};

    prop_compose! {
        fn peer()(
            interface in "[a-z0-9]{1,15}",
            key: [u8; 32],
            allowed in vec((any::<u32>(), 0_u8..=32), 0..Peer::MOST_ALLOWED),
            endpoint in option::of((any::<u128>(), any::<bool>(), any::<u16>())),
            proved_at in option::of(any::<i64>()),
            received: u64,
            sent: u64,
            kept in option::of("[^\\x00]{0,80}"),
        ) -> Peer {
            let net = |(address, length)| -> IpNet {
                Ipv4Net::new(Ipv4Addr::from(address), length).unwrap().trunc().into()
            };
            let place = |(address, v4, port): (u128, bool, u16)| {
                let low = address.to_be_bytes()[..4].try_into().unwrap();
                let address = match v4 {
                    true => IpAddr::V4(Ipv4Addr::from_octets(low)),
                    false => IpAddr::V6(Ipv6Addr::from(address)).to_canonical(),
                };
                SocketAddr::new(address, port)
            };
            Peer {
                interface,
                key: PeerKey::from_bytes(key),
                allowed: allowed.into_iter().map(net).collect(),
                endpoint: endpoint.map(place),
                proved_at: proved_at.map(Timestamp::from_micros),
                received,
                sent,
                kept,
            }
        }
    }

    prop_compose! {
        fn told()(
            at: i64,
            peers in vec(peer(), 0..9),
            omitted: u32,
            generation in option::of(any::<u64>()),
            taken in vec(("[a-z0-9]{1,15}", any::<[u8; 32]>(), any::<i64>()), 0..4),
            trouble in option::of("[^\\x00]{0,80}"),
        ) -> Peers {
            let one = |(interface, key, at)| Taken {
                at: Timestamp::from_micros(at),
                interface,
                key: PeerKey::from_bytes(key),
            };
            Peers {
                at: Timestamp::from_micros(at),
                peers,
                omitted,
                generation,
                taken: taken.into_iter().map(one).collect(),
                trouble,
            }
        }
    }

    proptest! {
        #[test]
        fn what_stands_is_the_same_after_its_travel(told in told()) {
            let record = Record {
                seq: 1,
                covers: 0,
                kept_at: told.at,
                boot: [7; 16],
                report: Report::Peers(told),
            };
            prop_assert_eq!(decode(&encode(record.clone())).unwrap(), record);
        }
    }

    #[test]
    fn one_that_makes_no_sense_is_counted_and_the_rest_is_taken() {
        let right = v1::Peer {
            interface: "wg0".into(),
            key: vec![1; 32],
            ..v1::Peer::default()
        };
        let wrong = [
            v1::Peer {
                key: vec![1; 31],
                ..right.clone()
            },
            v1::Peer {
                interface: "x".repeat(16),
                ..right.clone()
            },
            v1::Peer {
                port: 65_536,
                ..right.clone()
            },
        ];
        for one in wrong {
            let peers = vec![right.clone(), one, right.clone()];
            let wire = v1::Peers {
                peers,
                omitted: 3,
                ..v1::Peers::default()
            };
            let told = Peers::try_from(wire).unwrap();
            assert_eq!((told.peers.len(), told.omitted), (2, 4));
        }
        let many = v1::Peers {
            peers: vec![right; Peers::MOST + 7],
            ..v1::Peers::default()
        };
        let told = Peers::try_from(many).unwrap();
        assert_eq!((told.peers.len(), told.omitted), (Peers::MOST, 7));
    }
}
