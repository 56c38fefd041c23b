//! What a host's sshd shows of itself, as it travels.

use super::{Malformed, v1};
use crate::host_keys::HostKeys;

impl From<&HostKeys> for v1::HostKeys {
    fn from(ordered: &HostKeys) -> Self {
        Self {
            certificates: ordered.certificates.clone(),
            serials: ordered.serials.clone(),
            alone: !ordered.own,
        }
    }
}

impl TryFrom<v1::HostKeys> for HostKeys {
    type Error = Malformed;

    /// Beware: what is not named is destroyed. What cannot be taken whole changes nothing.
    fn try_from(wire: v1::HostKeys) -> Result<Self, Malformed> {
        let all = Self {
            certificates: wire.certificates,
            serials: wire.serials,
            own: !wire.alone,
        };
        match all.sound() {
            true => Ok(all),
            false => Err(Malformed("order: host keys that cannot be held")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::order::Order;
    use crate::wire::{decode_order, encode_order};

    fn order(all: &HostKeys) -> Order {
        Order::HostKeys(Arc::new(all.clone()))
    }

    proptest! {
        #[test]
        fn an_order_is_the_same_after_its_travel(
            certificates in vec(vec(any::<u8>(), 1..600), 0..4),
            serials in btree_set(1u32.., 0..=HostKeys::MOST_SERIALS),
            own: bool,
        ) {
            let own = own || serials.is_empty();
            let serials = serials.into_iter().collect();
            let order = order(&HostKeys { certificates, serials, own });
            prop_assert_eq!(decode_order(&encode_order(order.clone())).unwrap(), Some(order));
        }
    }

    #[test]
    fn what_cannot_be_held_is_refused_as_a_whole() {
        let of = |serials: &[u32], own| HostKeys {
            certificates: vec![vec![1]],
            serials: serials.to_vec(),
            own,
        };
        let with = |certificates| HostKeys {
            certificates,
            ..HostKeys::default()
        };
        assert!(HostKeys::default().sound() && of(&[1, 2], false).sound());
        for wrong in [
            of(&[], false),
            of(&[0], true),
            of(&[2, 1], true),
            of(&[1, 1], true),
            of(&[1, 2, 3], true),
            with(vec![Vec::new()]),
            with(vec![vec![1; HostKeys::LONGEST_CERTIFICATE + 1]]),
            with(vec![vec![1]; HostKeys::MOST_CERTIFICATES + 1]),
        ] {
            assert!(
                decode_order(&encode_order(order(&wrong))).is_err(),
                "{wrong:?}"
            );
        }
    }
}
