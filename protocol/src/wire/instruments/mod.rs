//! What sshd is told about keys, and what came of that, as it travels.

mod managed;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::reach::ACCOUNT;
use super::{Malformed, NAME, address, bytes, cut, peers, short, text, v1};
use crate::instruments::{Ended, Holding, Instruments, Revoked, Told, Way};
use crate::time::Timestamp;

impl From<&Instruments> for v1::Instruments {
    fn from(ordered: &Instruments) -> Self {
        Self {
            generation: ordered.generation,
            revoked: ordered.revoked.iter().map(Into::into).collect(),
            managed: ordered.managed.iter().map(managed::line).collect(),
            peers: ordered
                .peers
                .iter()
                .map(|it| it.as_bytes().to_vec())
                .collect(),
            lineages: ordered.lineages.clone(),
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
        if wire.peers.len() > Self::MOST_PEERS {
            return Err(Malformed("order: too many peers are revoked"));
        }
        let peers = wire.peers.into_iter().map(peers::key);
        let authorities = revoked.iter().filter_map(Revoked::authority);
        if authorities.collect::<HashSet<_>>().len() > Self::MOST_AUTHORITIES {
            return Err(Malformed("order: revocations of too many authorities"));
        }
        Ok(Self {
            generation: wire.generation,
            revoked,
            managed: managed::lines(wire.managed)?,
            peers: peers.collect::<Result<_, _>>()?,
            lineages: few(wire.lineages),
            kept: 0,
        })
    }
}

fn few(mut lineages: Vec<u64>) -> Vec<u64> {
    lineages.truncate(Instruments::MOST_LINEAGES);
    lineages
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
        let unknown = held.unknown_sessions.iter().map(|it| it.as_micros());
        Self {
            at: held.at.as_micros(),
            generation: held.generation,
            revoked: held.revoked,
            digest: held.digest.map(Vec::from),
            trouble: held.trouble,
            managed: held.managed,
            unmanaged: held.unmanaged,
            unshown: held.unshown,
            lineages: held.lineages,
            kept: held.kept,
            unknown_sessions: unknown.collect(),
        }
    }
}

impl TryFrom<v1::InstrumentsHeld> for Holding {
    type Error = Malformed;

    fn try_from(wire: v1::InstrumentsHeld) -> Result<Self, Malformed> {
        let digest = wire.digest.map(TryInto::try_into).transpose();
        let unknown = wire.unknown_sessions.into_iter().take(Self::MOST_UNKNOWN);
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            generation: wire.generation,
            revoked: wire.revoked,
            digest: digest.map_err(|_| Malformed("digest"))?,
            trouble: wire.trouble.map(text),
            managed: wire.managed,
            unmanaged: wire.unmanaged.map(text),
            unshown: wire.unshown.map(text),
            lineages: few(wire.lineages),
            kept: wire.kept,
            unknown_sessions: unknown.map(Timestamp::from_micros).collect(),
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
