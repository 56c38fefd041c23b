//! How old the keys of peers are, by what the policy says of them. Pure.

use std::collections::BTreeSet;

use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::keys::Policy;
use crate::keys::rotation::Missed;
use crate::keys::rows::peer::Kept;

/// A peer whose key is to be replaced after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys::peers) struct Aging {
    pub(in crate::keys::peers) peer: Kept,
    /// What people call it; empty: nothing.
    pub(in crate::keys::peers) name: String,
    /// How long its key may be used.
    pub(in crate::keys::peers) every: Span,
    /// When people hear of it, when it is too old, and when that is missed.
    pub(in crate::keys::peers) warn_at: Timestamp,
    pub(in crate::keys::peers) due_at: Timestamp,
    pub(in crate::keys::peers) deadline_at: Timestamp,
    /// What happens then.
    pub(in crate::keys::peers) missed: Missed,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::keys::peers) enum Stage {
    Young,
    /// Its time comes.
    Soon,
    /// It is too old.
    Late,
    /// And there was no other by the deadline.
    Missed,
}

impl Aging {
    /// What the policy says of a peer that stands; none: nothing. One without an address inside carries
    /// nothing: another has them by now. However old it is, the time until the deadline begins with the
    /// first look.
    pub(in crate::keys::peers) fn of(peer: &Kept, policy: &Policy, now: Timestamp) -> Option<Self> {
        if peer.left.is_some() || peer.allowed.is_empty() {
            return None;
        }
        let place = (peer.name.as_str(), peer.interface.as_str());
        let (term, every) = policy.term(place, &peer.peer)?;
        let due_at = peer.first_at + every.duration();
        let begins = match due_at <= now {
            true => peer.late_since.unwrap_or(now).max(due_at),
            false => due_at,
        };
        let known = policy.peering(&peer.peer);
        Some(Self {
            peer: peer.clone(),
            name: known.map(super::super::Peering::called).unwrap_or_default(),
            every,
            warn_at: due_at - term.warn_ahead.duration(),
            due_at,
            deadline_at: begins + term.deadline.duration(),
            missed: term.missed,
        })
    }

    /// How far it is.
    pub(in crate::keys::peers) fn stage(&self, now: Timestamp) -> Stage {
        match now {
            now if now >= self.due_at && now >= self.deadline_at => Stage::Missed,
            now if now >= self.due_at => Stage::Late,
            now if now >= self.warn_at => Stage::Soon,
            _ => Stage::Young,
        }
    }

    /// Whether it is to be revoked, as far as this place is concerned.
    fn is_over(&self, now: Timestamp) -> bool {
        self.missed == Missed::Revoke && self.stage(now) == Stage::Missed
    }
}

/// The keys that are to be revoked, of all peers that stand, or will once their interface is there again:
/// what is revoked is revoked everywhere, so that each place where it carries something has to be over.
pub(super) fn over<'a>(
    peers: impl Iterator<Item = &'a Kept>,
    aging: &[Aging],
    now: Timestamp,
) -> BTreeSet<String> {
    let place = |one: &Kept| (one.host, one.place());
    let over = aging.iter().filter(|it| it.is_over(now));
    let over: BTreeSet<_> = over.map(|it| place(&it.peer)).collect();
    let carrying = peers.filter(|it| !it.allowed.is_empty());
    let kept: BTreeSet<_> = carrying
        .filter(|it| !over.contains(&place(it)))
        .map(|it| &it.peer)
        .collect();
    let keys = over.iter().map(|(_, (_, peer))| peer);
    keys.filter(|peer| !kept.contains(peer)).cloned().collect()
}
