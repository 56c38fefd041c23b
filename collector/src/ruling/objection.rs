//! What a policy would bring about, and why it should not come into force unless that is meant.

use watchward_protocol::time::Timestamp;

use super::basis::{Basis, Brought};
use super::standing::words;
use crate::config::Policy;
use crate::store::Store;
use crate::{hosts, keys, restriction};
use watchward_daemon::config::Invalid;

/// What another policy would bring about.
#[derive(Debug)]
pub(super) struct Prospect {
    pub(super) plan: restriction::Plan,
    /// What would be another about keys.
    pub(super) keys: keys::Outlook,
    /// The hosts that are watched, by name.
    pub(super) hosts: Vec<String>,
    /// Why it should not come into force, each with its place.
    pub(super) objections: Vec<String>,
}

/// A policy that does not come into force, because of what it would bring about.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Objection(pub(super) String);

/// Looks what would come of `after` if it took the place of `before`.
///
/// # Errors
/// The database's.
pub(super) async fn prospect(
    store: &Store,
    (before, after): (&Policy, &Policy),
    (basis, brought): (&Basis, &Brought),
    now: Timestamp,
) -> sqlx::Result<Prospect> {
    let watched = hosts::watched(store).await?;
    let rules = (&before.restriction, &after.restriction);
    let plan = restriction::plan(store, rules, &watched, now).await?;
    let cuts = basis.spares(after, brought).err();
    let locks = after.restriction.locking(&plan.locked);
    let locks = locks.map(|place| Invalid::misplaced(&brought.named, &brought.text, &place));
    let objections = cuts.iter().chain(&locks).map(words);
    let names: Vec<_> = watched.into_iter().map(|one| one.host.name).collect();
    Ok(Prospect {
        keys: keys::outlook(store, (&before.keys, &after.keys), &names, now).await?,
        hosts: names,
        objections: objections.collect(),
        plan,
    })
}
