//! What a host refuses that the database behind an order may not know, as after a database was lost: it
//! goes on being refused, beside what is ordered, until the order names it or gives it up. Pure.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use watchward_protocol::instruments::{Instruments, Revoked};

/// What holds: the last order, and what is kept beside it.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) order: Option<Instruments>,
    /// Only its lineages and what is revoked count.
    pub(super) kept: Instruments,
}

impl Lists {
    /// What is kept beside this order, when it takes the place of the one before.
    pub(super) fn beside(&self, order: &Instruments) -> Instruments {
        // An older collector does not say what it knows.
        let knows = |it: &u64| order.lineages.is_empty() || order.lineages.contains(it);
        let mut kept = match self.kept.lineages.iter().all(knows) {
            true => Instruments::default(),
            false => self.kept.clone(),
        };
        if let Some(before) = &self.order {
            let strange = before.lineages.first().filter(|it| !knows(it));
            if let Some(lineage) = strange {
                kept.lineages.retain(|it| it != lineage);
                kept.lineages.insert(0, *lineage);
                kept.lineages.truncate(Instruments::MOST_LINEAGES - 1);
                kept.revoked.extend(before.revoked.iter().cloned());
                kept.peers.extend(&before.peers);
            }
        }
        let mut named: HashSet<_> = order.revoked.iter().map(plain).collect();
        kept.revoked.retain(|it| named.insert(plain(it)));
        let mut named: HashSet<_> = order.peers.iter().copied().collect();
        kept.peers.retain(|it| named.insert(*it));
        match kept.revoked.is_empty() && kept.peers.is_empty() {
            true => Instruments::default(),
            false => kept,
        }
    }

    /// All that holds; none: nothing was ever ordered. What is kept has the room that the order leaves.
    pub(super) fn whole(&self) -> Option<Instruments> {
        let mut whole = self.order.clone()?;
        let sizes = whole.revoked.iter().map(Revoked::size);
        let mut room = Instruments::LARGEST.saturating_sub(sizes.sum());
        let authorities = whole.revoked.iter().filter_map(Revoked::authority);
        let mut authorities: HashSet<Vec<u8>> = authorities.map(<[u8]>::to_vec).collect();
        let mut kept = 0;
        for one in &self.kept.revoked {
            let mut names = authorities.clone();
            names.extend(one.authority().map(<[u8]>::to_vec));
            let fits = whole.revoked.len() < Instruments::MOST_REVOKED
                && names.len() <= Instruments::MOST_AUTHORITIES;
            if let Some(left) = room.checked_sub(one.size()).filter(|_| fits) {
                (room, authorities) = (left, names);
                whole.revoked.push(one.clone());
                kept += 1;
            }
        }
        let peers = Instruments::MOST_PEERS.saturating_sub(whole.peers.len());
        let peers = self.kept.peers.iter().take(peers);
        kept += peers.len();
        whole.peers.extend(peers);
        let left_out = self.kept.revoked.len() + self.kept.peers.len() - kept;
        if left_out > 0 {
            tracing::warn!(left_out, "there is no room for all that was revoked before");
        }
        whole.lineages.truncate(1);
        whole.lineages.extend(&self.kept.lineages);
        whole.kept = u32::try_from(kept).unwrap_or(u32::MAX);
        Some(whole)
    }
}

/// The same, however it is spelt.
fn plain(revoked: &Revoked) -> Revoked {
    match revoked {
        Revoked::Key(wire) => Revoked::Fingerprint(Sha256::digest(wire).into()),
        Revoked::Fingerprint(_) | Revoked::Serials { .. } | Revoked::Id { .. } => revoked.clone(),
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::peers::PeerKey;

    use super::*;

    fn order(generation: u64, lineages: &[u64], keys: &[u8]) -> Instruments {
        Instruments {
            generation,
            revoked: keys.iter().map(|it| Revoked::Key(vec![*it; 9])).collect(),
            lineages: lineages.to_vec(),
            ..Instruments::default()
        }
    }

    /// What is refused after these orders: the keys, how many of them are kept, and of whom.
    fn after(orders: &[Instruments]) -> (Vec<u8>, u32, Vec<u64>) {
        let mut lists = Lists::default();
        for order in orders {
            lists = Lists {
                kept: lists.beside(order),
                order: Some(order.clone()),
            };
        }
        let whole = lists.whole().unwrap();
        let key = |it: &Revoked| match it {
            Revoked::Key(wire) => wire[0],
            Revoked::Fingerprint(_) | Revoked::Serials { .. } | Revoked::Id { .. } => 0,
        };
        (
            whole.revoked.iter().map(key).collect(),
            whole.kept,
            whole.lineages,
        )
    }

    #[test]
    fn what_a_lost_database_had_revoked_is_refused_until_it_is_given_up() {
        let lost = order(1, &[7], &[1, 2]);
        assert_eq!(after(std::slice::from_ref(&lost)), (vec![1, 2], 0, vec![7]));
        let anew = [lost, order(2, &[8], &[3])];
        assert_eq!(after(&anew), (vec![3, 1, 2], 2, vec![8, 7]));
        // What the new database takes back is its own alone, and what it revokes again is known.
        let later = [&anew[..], &[order(3, &[8], &[2])]].concat();
        assert_eq!(after(&later), (vec![2, 1], 1, vec![8, 7]));
        let lost_again = [&later[..], &[order(4, &[9], &[4])]].concat();
        assert_eq!(after(&lost_again), (vec![4, 1, 2], 2, vec![9, 8, 7]));
        let meant = [&lost_again[..], &[order(5, &[9, 7, 8], &[4])]].concat();
        assert_eq!(after(&meant), (vec![4], 0, vec![9]));
    }

    #[test]
    fn a_database_that_comes_back_takes_all_of_it_over() {
        let (lost, interim) = (order(1, &[7], &[1, 2]), order(2, &[8], &[]));
        let back = order(3, &[7], &[1, 2]);
        let orders = [lost, interim, back, order(4, &[7], &[2])];
        assert_eq!(after(&orders[..2]), (vec![1, 2], 2, vec![8, 7]));
        assert_eq!(after(&orders[..3]), (vec![1, 2], 0, vec![7]));
        assert_eq!(after(&orders), (vec![2], 0, vec![7]), "reinstated");
        // What was revoked in between, it does not know.
        let orders = [
            order(1, &[7], &[1]),
            order(2, &[8], &[3]),
            order(3, &[7], &[1]),
        ];
        assert_eq!(after(&orders), (vec![1, 3], 1, vec![7, 8]));
    }

    #[test]
    fn of_one_database_the_newer_order_takes_the_place_of_the_older() {
        assert_eq!(
            after(&[order(1, &[7], &[1]), order(2, &[7], &[2])]),
            (vec![2], 0, vec![7])
        );
        for (before, after_it) in [(&[][..], &[7][..]), (&[7], &[]), (&[], &[])] {
            let orders = [order(1, before, &[1]), order(2, after_it, &[2])];
            assert_eq!(after(&orders).0, [2], "an older collector says nothing");
        }
    }

    #[test]
    fn a_key_is_the_same_by_its_fingerprint_and_peers_are_kept_as_keys_are() {
        let peer = PeerKey::from_bytes([7; 32]);
        let lost = Instruments {
            peers: vec![peer],
            ..order(1, &[7], &[1])
        };
        let anew = Instruments {
            revoked: vec![plain(&lost.revoked[0])],
            ..order(2, &[8], &[])
        };
        let lists = Lists {
            order: Some(lost),
            kept: Instruments::default(),
        };
        let kept = lists.beside(&anew);
        assert_eq!((kept.revoked.len(), &kept.peers[..]), (0, &[peer][..]));
    }

    #[test]
    fn what_is_kept_has_the_room_that_the_order_leaves() {
        let many = |count: usize, of: u8| Instruments {
            revoked: (0..count)
                .map(|it| {
                    let mut digest = [of; 32];
                    digest[..8].copy_from_slice(&it.to_be_bytes());
                    Revoked::Fingerprint(digest)
                })
                .collect(),
            lineages: vec![of.into()],
            ..Instruments::default()
        };
        let lists = Lists {
            order: Some(many(15_000, 1)),
            kept: many(15_000, 2),
        };
        let whole = lists.whole().unwrap();
        assert_eq!((whole.revoked.len(), whole.kept), (20_000, 5_000));
    }
}
