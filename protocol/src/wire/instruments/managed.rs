//! Lines that open accounts, as they travel.

use super::super::restriction::net;
use super::{Malformed, v1};
use crate::instruments::{Instruments, Managed, Opens};
use crate::time::Timestamp;

pub(super) fn line(managed: &Managed) -> v1::Managed {
    let Managed {
        account,
        opens,
        from,
        until,
        forwarding,
    } = managed.clone();
    let (key, principals) = match opens {
        Opens::Key(key) => (key, Vec::new()),
        Opens::Authority { key, principals } => (key, principals),
    };
    v1::Managed {
        account,
        authority: matches!(managed.opens, Opens::Authority { .. }),
        key,
        principals,
        from: from.into_iter().map(Into::into).collect(),
        until: until.map(Timestamp::as_micros),
        forwarding,
    }
}

/// All that can be held.
pub(super) fn lines(wire: Vec<v1::Managed>) -> Result<Vec<Managed>, Malformed> {
    if wire.len() > Instruments::MOST_MANAGED {
        return Err(Malformed("order: too many lines open accounts"));
    }
    let all: Vec<Managed> = wire.into_iter().filter_map(managed).collect();
    match all.iter().map(Managed::size).sum::<usize>() > Instruments::LARGEST_MANAGED {
        true => Err(Malformed("order: lines that open accounts are too large")),
        false => Ok(all),
    }
}

fn managed(wire: v1::Managed) -> Option<Managed> {
    let opens = match (wire.authority, wire.principals) {
        (true, principals) => Opens::Authority {
            key: wire.key,
            principals,
        },
        (false, none) if none.is_empty() => Opens::Key(wire.key),
        (false, _) => return None,
    };
    let from = wire.from.into_iter().map(|one| net(Some(one)));
    let managed = Managed {
        account: wire.account,
        opens,
        from: from.collect::<Result<_, _>>().ok()?,
        until: wire.until.map(Timestamp::from_micros),
        forwarding: wire.forwarding,
    };
    managed.sound().then_some(managed)
}
