//! From the keys that are revoked to what hosts are ordered to refuse. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use watchward_protocol::instruments::{Instruments, Revoked};
use watchward_protocol::peers::PeerKey;

/// What every host is to refuse as of this generation; none, where nothing was ever revoked: what
/// hosts hold stays then, as after a database was lost. Each key is its fingerprint and what it is on
/// the wire, as far as that is known, what counts most first, and then the newest: what has no room any
/// more is said by its fingerprint, which OpenSSH understands from 7.9 on, and the key itself from 6.2 on.
///
/// Certificates, each with its authority's key and its serial, are revoked by that, too, as far as there
/// is room besides: they are refused by the keys that they are for.
pub(in crate::keys) fn instruments(
    generation: u64,
    keys: &[(String, Vec<u8>)],
    certificates: &[(Vec<u8>, u64)],
) -> Option<Instruments> {
    if generation == 0 {
        return None;
    }
    let most = Instruments::MOST_REVOKED;
    let (mut peers, mut keys) = sorted(keys);
    peers.truncate(Instruments::MOST_PEERS);
    keys.truncate(most);
    // Room is kept for all of them by their fingerprints.
    let mut room = Instruments::LARGEST.saturating_sub(32 * keys.len());
    let mut ranges = serials(certificates);
    ranges.truncate(most - keys.len());
    ranges.retain(|range| match room.checked_sub(range.size()) {
        Some(left) if range.sound() => {
            room = left;
            true
        }
        Some(_) | None => false,
    });
    let mut revoked = Vec::new();
    for (fingerprint, wire) in &keys {
        let key = Revoked::Key(wire.clone());
        match room.checked_sub(wire.len()).filter(|_| key.sound()) {
            Some(left) => {
                room = left;
                revoked.push(key);
            }
            None => revoked.extend(digest(fingerprint).map(Revoked::Fingerprint)),
        }
    }
    // The oldest first: one key more of people changes nothing before it.
    revoked.reverse();
    revoked.extend(ranges);
    Some(Instruments {
        generation,
        revoked,
        peers: peers.into_iter().map(|(peer, _)| peer).collect(),
        ..Instruments::default()
    })
}

/// A peer of WireGuard, and what its key is called.
type Peer<'a> = (PeerKey, &'a str);
/// A key's fingerprint, and what it is on the wire.
type Key = (String, Vec<u8>);

/// Those of them that are peers of WireGuard, and the others.
fn sorted(keys: &[Key]) -> (Vec<Peer<'_>>, Vec<&Key>) {
    let (mut peers, mut others) = (Vec::new(), Vec::new());
    for one in keys {
        match one.0.parse::<PeerKey>() {
            Ok(peer) => peers.push((peer, one.0.as_str())),
            Err(_) => others.push(one),
        }
    }
    (peers, others)
}

/// What an order has no room for: peers of WireGuard, and the fingerprints of others.
pub(super) fn left_out(keys: &[Key]) -> (Vec<&str>, Vec<&str>) {
    let (peers, others) = sorted(keys);
    let peers = peers.iter().skip(Instruments::MOST_PEERS);
    let others = others.into_iter().skip(Instruments::MOST_REVOKED);
    (
        peers.map(|(_, name)| *name).collect(),
        others.map(|(name, _)| name.as_str()).collect(),
    )
}

/// The serials as ranges; they come by authority, in their order.
fn serials(certificates: &[(Vec<u8>, u64)]) -> Vec<Revoked> {
    let mut ranges: Vec<(&[u8], u64, u64)> = Vec::new();
    for (key, serial) in certificates {
        match ranges.last_mut() {
            Some((of, _, last)) if of == key && *last + 1 == *serial => *last = *serial,
            Some(_) | None => ranges.push((key, *serial, *serial)),
        }
    }
    let one = |(authority, first, last): (&[u8], u64, u64)| Revoked::Serials {
        authority: authority.to_vec(),
        first,
        last,
    };
    ranges.into_iter().map(one).collect()
}

/// The hash that a fingerprint writes.
fn digest(fingerprint: &str) -> Option<[u8; 32]> {
    let text = fingerprint.strip_prefix("SHA256:")?;
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::proof::fingerprint;

    fn key(wire: Vec<u8>) -> (String, Vec<u8>) {
        (fingerprint(&wire), wire)
    }

    #[test]
    fn hosts_keep_what_they_hold_where_nothing_was_ever_revoked() {
        assert_eq!(instruments(0, &[], &[]), None);
        let nothing = instruments(7, &[], &[]).unwrap();
        assert_eq!((nothing.generation, nothing.revoked.len()), (7, 0));
    }

    #[test]
    fn a_key_that_is_not_known_itself_is_refused_by_its_fingerprint() {
        let (known, other) = (key(vec![1, 2, 3]), key(vec![4]));
        let keys = [known.clone(), (other.0, Vec::new())];
        let ordered = instruments(7, &keys, &[]).unwrap().revoked;
        let [Revoked::Fingerprint(digest), Revoked::Key(wire)] = &ordered[..] else {
            panic!("{ordered:?}");
        };
        assert_eq!((wire, digest[..4].len()), (&known.1, 4));
    }

    #[test]
    fn certificates_are_refused_by_their_serials_as_ranges() {
        let (one, other) = (vec![7_u8; 51], vec![8_u8; 51]);
        let all = [(&one, 3), (&one, 4), (&one, 6), (&other, 7)];
        let all: Vec<_> = all
            .iter()
            .map(|(it, serial)| ((*it).clone(), *serial))
            .collect();
        let ordered = instruments(9, &[key(vec![1])], &all).unwrap().revoked;
        let range = |authority: &Vec<u8>, first, last| Revoked::Serials {
            authority: authority.clone(),
            first,
            last,
        };
        assert_eq!(
            ordered,
            [
                Revoked::Key(vec![1]),
                range(&one, 3, 4),
                range(&one, 6, 6),
                range(&other, 7, 7)
            ]
        );
    }

    #[test]
    fn a_peer_is_taken_away_and_sshd_hears_nothing_of_it() {
        let peer = PeerKey::from_bytes([9; 32]);
        let keys = [(peer.to_string(), Vec::new()), key(vec![1])];
        let ordered = instruments(7, &keys, &[]).unwrap();
        assert_eq!(ordered.peers, [peer]);
        assert_eq!(ordered.revoked, [Revoked::Key(vec![1])]);
    }

    #[test]
    fn what_has_no_room_is_the_last_and_is_said() {
        let one = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            (PeerKey::from_bytes(bytes).to_string(), Vec::new())
        };
        let mut all: Vec<_> = (0..=Instruments::MOST_PEERS).map(one).collect();
        let last = all[Instruments::MOST_PEERS].0.clone();
        all.push(key(vec![1]));
        assert_eq!(left_out(&all), (vec![last.as_str()], Vec::new()));
        let ordered = instruments(7, &all, &[]).unwrap();
        assert_eq!(ordered.peers.len(), Instruments::MOST_PEERS);
        assert!(ordered.peers.iter().all(|it| it.to_string() != last));
        let many = |number: usize| key(number.to_be_bytes().to_vec());
        let all: Vec<_> = (0..Instruments::MOST_REVOKED + 2).map(many).collect();
        assert_eq!(left_out(&all).1, [&all[20_000].0, &all[20_001].0]);
        let ordered = instruments(7, &all, &[]).unwrap();
        assert!(ordered.revoked.contains(&Revoked::Key(all[0].1.clone())));
    }

    proptest! {
        #[test]
        fn every_key_is_refused_and_all_of_them_fit(
            lengths in prop::collection::vec(0_usize..16_384, 0..400),
        ) {
            let one = |(at, length): (usize, usize)| {
                let wire = [&at.to_be_bytes()[..], &vec![7; length]].concat();
                key(wire)
            };
            let keys: Vec<_> = lengths.into_iter().enumerate().map(one).collect();
            let ordered = instruments(9, &keys, &[]).unwrap();
            prop_assert_eq!(ordered.revoked.len(), keys.len());
            let size: usize = ordered.revoked.iter().map(Revoked::size).sum();
            prop_assert!(size <= Instruments::LARGEST);
            prop_assert!(ordered.revoked.iter().all(Revoked::sound));
        }
    }
}
