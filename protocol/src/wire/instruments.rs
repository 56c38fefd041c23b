//! What sshd is told about keys, and what came of that, as it travels.

use std::collections::HashSet;

use super::reach::ACCOUNT;
use super::{Malformed, NAME, address, bytes, cut, short, text, v1};
use crate::instruments::{Ended, Holding, Instruments, Revoked, Told, Way};
use crate::time::Timestamp;

impl From<&Instruments> for v1::Instruments {
    fn from(ordered: &Instruments) -> Self {
        Self {
            generation: ordered.generation,
            revoked: ordered.revoked.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Instruments> for Instruments {
    type Error = Malformed;

    /// Beware: of revocations no part is taken. What cannot be taken whole changes nothing.
    fn try_from(wire: v1::Instruments) -> Result<Self, Malformed> {
        if wire.revoked.len() > Self::MOST_REVOKED {
            return Err(Malformed("order: too much is revoked"));
        }
        let revoked = wire.revoked.into_iter().map(TryInto::try_into);
        let revoked: Vec<Revoked> = revoked.collect::<Result<_, _>>()?;
        if revoked.iter().map(Revoked::size).sum::<usize>() > Self::LARGEST {
            return Err(Malformed("order: revocations that are too large"));
        }
        let authorities = revoked.iter().filter_map(Revoked::authority);
        if authorities.collect::<HashSet<_>>().len() > Self::MOST_AUTHORITIES {
            return Err(Malformed("order: revocations of too many authorities"));
        }
        Ok(Self {
            generation: wire.generation,
            revoked,
        })
    }
}

impl From<&Revoked> for v1::Revoked {
    fn from(revoked: &Revoked) -> Self {
        use v1::revoked::{Id, Serials, What};
        let what = match revoked.clone() {
            Revoked::Key(key) => What::Key(key),
            Revoked::Fingerprint(digest) => What::Fingerprint(digest.to_vec()),
            Revoked::Serials {
                authority,
                first,
                last,
            } => What::Serials(Serials {
                authority,
                first,
                last,
            }),
            Revoked::Id { authority, id } => What::Id(Id { authority, id }),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<v1::Revoked> for Revoked {
    type Error = Malformed;

    fn try_from(wire: v1::Revoked) -> Result<Self, Malformed> {
        use v1::revoked::What;
        const WRONG: Malformed = Malformed("order: a revocation that cannot be held");
        let revoked = match wire.what.ok_or(WRONG)? {
            What::Key(key) => Self::Key(key),
            What::Fingerprint(digest) => Self::Fingerprint(digest.try_into().map_err(|_| WRONG)?),
            What::Serials(it) => Self::Serials {
                authority: it.authority,
                first: it.first,
                last: it.last,
            },
            What::Id(it) => Self::Id {
                authority: it.authority,
                id: it.id,
            },
        };
        match revoked.sound() {
            true => Ok(revoked),
            false => Err(WRONG),
        }
    }
}

impl From<Told> for v1::InstrumentsTold {
    fn from(told: Told) -> Self {
        use v1::instruments_told::Told as Wire;
        let told = match told {
            Told::Holding(held) => Wire::Held(held.into()),
            Told::Ended(ended) => Wire::Ended(ended.into()),
        };
        Self { told: Some(told) }
    }
}

impl TryFrom<v1::InstrumentsTold> for Told {
    type Error = Malformed;

    fn try_from(wire: v1::InstrumentsTold) -> Result<Self, Malformed> {
        use v1::instruments_told::Told as Wire;
        Ok(match wire.told.ok_or(Malformed("instruments"))? {
            Wire::Held(held) => Self::Holding(held.try_into()?),
            Wire::Ended(ended) => Self::Ended(ended.try_into()?),
        })
    }
}

impl From<Holding> for v1::InstrumentsHeld {
    fn from(held: Holding) -> Self {
        Self {
            at: held.at.as_micros(),
            generation: held.generation,
            revoked: held.revoked,
            digest: held.digest.map(Vec::from),
            trouble: held.trouble,
        }
    }
}

impl TryFrom<v1::InstrumentsHeld> for Holding {
    type Error = Malformed;

    fn try_from(wire: v1::InstrumentsHeld) -> Result<Self, Malformed> {
        let digest = wire.digest.map(TryInto::try_into).transpose();
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            generation: wire.generation,
            revoked: wire.revoked,
            digest: digest.map_err(|_| Malformed("digest"))?,
            trouble: wire.trouble.map(text),
        })
    }
}

impl From<Ended> for v1::SessionEnded {
    fn from(ended: Ended) -> Self {
        use v1::session_ended::How;
        let (how, why) = match ended.how {
            Way::Ended => (How::Ended, String::new()),
            Way::Gone => (How::Gone, String::new()),
            Way::Refused(why) => (How::Refused, why),
        };
        Self {
            at: ended.at.as_micros(),
            account: ended.account.into_bytes(),
            address: ended.address.map(bytes),
            fingerprint: ended.fingerprint,
            opened_at: ended.opened_at.as_micros(),
            leader: ended.leader,
            how: how.into(),
            why,
            survivors: ended.survivors,
        }
    }
}

impl TryFrom<v1::SessionEnded> for Ended {
    type Error = Malformed;

    fn try_from(wire: v1::SessionEnded) -> Result<Self, Malformed> {
        use v1::session_ended::How;
        let how = match wire.how() {
            How::Ended => Way::Ended,
            How::Gone => Way::Gone,
            // A word of a newer host: that it ended is not said.
            How::Refused | How::Unspecified => Way::Refused(text(wire.why)),
        };
        let survivors = wire.survivors.into_iter().take(Self::MOST_SURVIVORS);
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            account: cut(wire.account, ACCOUNT),
            address: wire.address.as_deref().map(address).transpose()?,
            fingerprint: short(wire.fingerprint, NAME),
            opened_at: Timestamp::from_micros(wire.opened_at),
            leader: wire.leader,
            how,
            survivors: survivors.map(|it| short(it, 1024)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::order::Order;
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

    fn order(generation: u64, revoked: Vec<Revoked>) -> Order {
        Order::Instruments(Arc::new(Instruments {
            generation,
            revoked,
        }))
    }

    fn holding() -> impl Strategy<Value = Told> {
        let plain = any::<(i64, Option<u64>, u32, Option<[u8; 32]>)>();
        (plain, prop::option::of("[ -~]{0,99}")).prop_map(
            |((at, generation, revoked, digest), trouble)| {
                Told::Holding(Holding {
                    at: Timestamp::from_micros(at),
                    generation,
                    revoked,
                    digest,
                    trouble,
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
        ) {
            let given = order(generation, revoked);
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
            let bytes = encode_order(order(1, all));
            assert!(decode_order(&bytes).is_err());
        }
        let most = vec![good; Instruments::MOST_REVOKED];
        assert!(decode_order(&encode_order(order(1, most))).is_ok());
    }
}
