//! Keys that programs of a host log in elsewhere with, as they travel.

use super::{Malformed, text, v1};
use crate::identities::{Holding, Identities, Identity, Made, is_name};
use crate::time::Timestamp;

impl From<&Identities> for v1::Identities {
    fn from(ordered: &Identities) -> Self {
        let identity = |it: &Identity| v1::Identity {
            name: it.name.clone(),
            account: it.account.clone(),
            serials: it.serials.clone(),
            using: it.using,
        };
        Self {
            identities: ordered.identities.iter().map(identity).collect(),
            known_hosts: ordered.known_hosts.clone(),
        }
    }
}

impl TryFrom<v1::Identities> for Identities {
    type Error = Malformed;

    /// Beware: what is not named is destroyed. What cannot be taken whole changes nothing.
    fn try_from(wire: v1::Identities) -> Result<Self, Malformed> {
        let identity = |it: v1::Identity| Identity {
            name: it.name,
            account: it.account,
            serials: it.serials,
            using: it.using,
        };
        let identities = wire.identities.into_iter().map(identity);
        let all = Self {
            identities: identities.collect(),
            known_hosts: wire.known_hosts,
        };
        match all.sound() {
            true => Ok(all),
            false => Err(Malformed("order: identities that cannot be held")),
        }
    }
}

impl From<Holding> for v1::IdentityHeld {
    fn from(held: Holding) -> Self {
        let key = |it: Made| v1::IdentityKey {
            serial: it.serial,
            key: it.key,
        };
        Self {
            at: held.at.as_micros(),
            name: held.name,
            keys: held.keys.into_iter().map(key).collect(),
            using: held.using,
            trouble: held.trouble,
        }
    }
}

impl TryFrom<v1::IdentityHeld> for Holding {
    type Error = Malformed;

    fn try_from(wire: v1::IdentityHeld) -> Result<Self, Malformed> {
        if !is_name(&wire.name) {
            return Err(Malformed("identity"));
        }
        let keys = wire.keys.into_iter().take(Self::MOST).map(|it| Made {
            serial: it.serial,
            key: it.key,
        });
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            name: wire.name,
            keys: keys.filter(Made::sound).collect(),
            using: wire.using,
            trouble: wire.trouble.map(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::order::Order;
    use crate::record::{Record, Report};
    use crate::wire::{decode, decode_order, encode, encode_order};

    prop_compose! {
        fn identity()(
            name in "[a-z0-9][a-z0-9-]{0,31}",
            account in "[a-z_][a-z0-9_.-]{0,31}",
            serials in btree_set(1u32.., 1..=3),
            using: prop::sample::Index,
            none: bool,
        ) -> Identity {
            let serials: Vec<u32> = serials.into_iter().collect();
            let using = if none { 0 } else { *using.get(&serials) };
            Identity { name, account, serials, using }
        }
    }

    const KNOWN: &str = "@cert-authority web,*.test ssh-ed25519 AAAA watchward-hosts-1";

    fn order(identities: Vec<Identity>) -> Order {
        knowing(identities, &[KNOWN, "@revoked * ssh-ed25519 BBBB"])
    }

    fn knowing(identities: Vec<Identity>, lines: &[&str]) -> Order {
        let known_hosts = lines.iter().map(|it| (*it).to_owned()).collect();
        Order::Identities(Arc::new(Identities {
            identities,
            known_hosts,
        }))
    }

    proptest! {
        #[test]
        fn an_order_is_the_same_after_its_travel(all in vec(identity(), 0..5)) {
            let mut all = all;
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all.dedup_by(|a, b| a.name == b.name);
            let back = decode_order(&encode_order(order(all.clone()))).unwrap();
            prop_assert_eq!(back, Some(order(all)));
        }

        #[test]
        fn what_is_held_is_the_same_after_its_travel(
            at: i64,
            name in "[a-z0-9][a-z0-9-]{0,31}",
            keys in vec((1u32.., vec(any::<u8>(), 1..600)), 0..=Holding::MOST),
            using: u32,
            trouble in prop::option::of("[ -~]{0,99}"),
        ) {
            let keys = keys.into_iter().map(|(serial, key)| Made { serial, key }).collect();
            let at = Timestamp::from_micros(at);
            let sent = Record {
                seq: 9,
                covers: 0,
                kept_at: Timestamp::from_micros(7),
                boot: [3; 16],
                report: Report::Identities(Holding { at, name, keys, using, trouble }),
            };
            prop_assert_eq!(decode(&encode(sent.clone())).unwrap(), sent);
        }
    }

    #[test]
    fn what_cannot_be_held_is_refused_as_a_whole() {
        let good = Identity {
            name: "backup".to_owned(),
            account: "backup".to_owned(),
            serials: vec![1, 2],
            using: 1,
        };
        let named = |name: &str| Identity {
            name: name.to_owned(),
            ..good.clone()
        };
        let of = |serials: &[u32], using| Identity {
            serials: serials.to_vec(),
            using,
            ..named("other")
        };
        let whose = |account: &str| Identity {
            account: account.to_owned(),
            ..named("other")
        };
        for wrong in [
            vec![good.clone()],
            vec![named("")],
            vec![named("..")],
            vec![named("a/b")],
            vec![named("-a")],
            vec![named("Backup")],
            vec![named(&"a".repeat(33))],
            vec![of(&[], 0)],
            vec![of(&[1, 2, 3, 4], 1)],
            vec![of(&[1, 1], 1)],
            vec![of(&[0], 0)],
            vec![of(&[1], 2)],
            vec![whose("")],
            vec![whose("a b")],
            vec![whose(&"a".repeat(33))],
            (0..64).map(|it| named(&format!("n{it}"))).collect(),
        ] {
            let mut all = vec![good.clone()];
            all.extend(wrong);
            assert!(
                decode_order(&encode_order(order(all.clone()))).is_err(),
                "{all:?}"
            );
        }
    }

    #[test]
    fn what_would_be_trusted_for_every_host_is_refused_as_a_whole() {
        for wrong in ["@cert-authority * ssh-ed25519 AAAA", "web ssh-ed25519 AAAA"] {
            let order = knowing(Vec::new(), &[KNOWN, wrong]);
            assert!(decode_order(&encode_order(order)).is_err(), "{wrong}");
        }
        let long = format!("{KNOWN}{}", "a".repeat(Identities::LONGEST_KNOWN));
        assert!(decode_order(&encode_order(knowing(Vec::new(), &[&long]))).is_err());
    }
}
