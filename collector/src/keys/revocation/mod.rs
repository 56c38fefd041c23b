//! Revocation: what hosts are ordered to refuse, what each holds of it, and the receipt of it.

mod alerts;
mod api;
mod beyond;
pub(super) mod order;
mod plan;
mod receipt;
mod share;
mod signer;
mod spread;
mod stand;
mod strange;
#[cfg(test)]
mod tests;
mod unheld;

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments::Told;
use watchward_protocol::receipt::How;
use watchward_protocol::time::Timestamp;

use super::rows::{ended, peer, reached};
use crate::alerting;
use crate::intake::{Heard, Watched};
use crate::store::{Store, Tx};
use ended::Ended;

pub use api::{Desk, routes};
pub(super) use plan::{Way, lonely};
pub(super) use share::Share;
pub use signer::Signer;
pub use spread::Revocations;
pub(super) use stand::stand;
pub use unheld::run;

/// Lists the hosts there are, and which of them are silent.
pub type Inventory = fn(&Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>>;

/// Keeps what hosts told of what they hold and of sessions that ended, and tells people of what lives
/// on; says whether a host holds something else than before.
///
/// # Errors
/// The database's.
pub async fn absorb(tx: &mut Tx, heard: &[Heard<Told>], now: Timestamp) -> sqlx::Result<bool> {
    let mut holds = false;
    for Heard { host, report, .. } in heard {
        match report {
            Told::Holding(holding) => {
                reached::holding(tx, host, holding, now).await?;
                holds = true;
            }
            Told::Ended(told) => {
                let one = Ended::of(host, told);
                ended::keep(tx, &one, now).await?;
                tell(tx, &one, now).await?;
            }
        }
    }
    Ok(holds)
}

/// Tells of a session that lives, or of what lives on after it.
async fn tell(tx: &mut Tx, one: &Ended, now: Timestamp) -> sqlx::Result<()> {
    match one.how {
        How::Alive => alerting::raise(tx, &alerts::alive(one, now), now).await?,
        How::Ended | How::Gone => {
            let key = alerts::alive_key(one);
            alerting::resolve(tx, &key, "The session is over.", now).await?;
        }
    }
    if !one.survivors.is_empty() {
        alerting::raise(tx, &alerts::survivors(one, now), now).await?;
    }
    Ok(())
}

/// Ends what was told long enough ago; says of how many sessions.
pub(super) async fn activate(tx: &mut Tx, now: Timestamp) -> sqlx::Result<usize> {
    let over = ended::over(tx, now).await?;
    quiet(tx, &over, ("It was told for a week.", now)).await?;
    Ok(over.len())
}

/// Ends what is told of a key that was reinstated; a peer has until its deadline once more.
pub(super) async fn reinstated(tx: &mut Tx, key: &str, now: Timestamp) -> sqlx::Result<()> {
    peer::spare(tx, key).await?;
    let over = ended::end_of_key(tx, key).await?;
    quiet(tx, &over, ("The key was reinstated.", now)).await
}

/// Ends what is told of a host that was revoked.
pub(super) async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    let why = "The host was revoked.";
    let over = ended::end_of_host(tx, host).await?;
    quiet(tx, &over, (why, now)).await?;
    alerting::resolve(tx, &alerts::unheld_key(host), why, now).await
}

async fn quiet(tx: &mut Tx, over: &[Ended], (why, now): (&str, Timestamp)) -> sqlx::Result<()> {
    let keys = over.iter();
    let keys: BTreeSet<_> = keys
        .flat_map(|one| [alerts::alive_key(one), alerts::survivors_key(one)])
        .collect();
    for key in keys {
        alerting::resolve(tx, &key, why, now).await?;
    }
    Ok(())
}
