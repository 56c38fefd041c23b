//! What another policy would change, and who would be shut out by it.

mod change;
mod lockout;

use serde::Serialize;
use watchward_protocol::time::Timestamp;

use super::api::{COUNTED, LOOKED, Outside};
use super::gates::Ordered;
use super::held::stand::stand;
use super::policy::Table;
use super::rows::held::{self, Held};
use super::rows::listing::{self, Came};
use crate::intake::Watched;
use crate::store::Store;

pub use change::Change;
pub(super) use change::changes;
pub use lockout::Own;
pub(super) use lockout::few;

/// What another policy would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The gates that would be others, with the hosts.
    pub changes: Vec<Change>,
    /// Who would be shut out and is not now: every account, address and host of the logins of the
    /// last 90 days, the latest first.
    pub losing: Vec<Outside>,
    /// Hosts that somebody of those can log in to now, and nobody could then.
    pub locked: Vec<String>,
    /// Hosts that are to have gates and would not hold them, as far as is known now.
    pub unready: Vec<Unready>,
}

/// A host that would not hold its gates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// The host.
    pub host: String,
    /// Why not, as a sentence about it: `has no enforcer`.
    pub why: &'static str,
    /// Whether something is to be shut there, and not only watched.
    pub enforce: bool,
}

/// What would be another if a policy took the place of the one before.
///
/// # Errors
/// The database's.
pub async fn plan(
    store: &Store,
    (before, after): (&Table, &Table),
    hosts: &[Watched],
    now: Timestamp,
) -> sqlx::Result<Plan> {
    let names: Vec<_> = hosts.iter().map(|one| one.host.name.clone()).collect();
    let held = held::all(store).await?;
    let unready = hosts.iter().filter_map(|host| {
        let name = &host.host.name;
        unready((host, &after.ordered(name, now, now)), held.get(name))
    });
    let came = listing::came(store, now - COUNTED, (None, None), LOOKED).await?;
    let rules = (before, after);
    let locked = lockout::locked(&came, rules, now);
    let losing = came.into_iter().filter(|one| loses(rules, one, now));
    Ok(Plan {
        locked,
        changes: changes((before, after), &names, now),
        losing: losing.map(Outside::from).collect(),
        unready: unready.collect(),
    })
}

fn unready((host, ordered): (&Watched, &Ordered), held: Option<&Held>) -> Option<Unready> {
    let why = stand(ordered, host, held).hindrance()?;
    (!ordered.is_empty()).then(|| Unready {
        host: host.host.name.clone(),
        why,
        enforce: !ordered.shut.is_empty(),
    })
}

/// Whether somebody is shut out who is not now.
pub(super) fn loses((before, after): (&Table, &Table), came: &Came, now: Timestamp) -> bool {
    let shuts = |table: &Table| table.shuts(what(came), came.address, now);
    shuts(after) && !shuts(before)
}

/// What somebody came to: the host, and the service.
pub(super) fn what(came: &Came) -> (&str, &str) {
    (&came.host, came.service.name())
}
