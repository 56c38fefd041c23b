//! Bans: what a host decided holds on all of them, longer each time, until somebody lifts it.

mod alerts;
mod api;
mod decided;
mod judge;
mod pages;
mod people;
mod spread;
#[cfg(test)]
mod tests;
mod wish;

use std::time::Duration;

use ipnet::IpNet;
use watchward_protocol::restriction::ShutOut;
use watchward_protocol::time::Timestamp;

use super::Config;
use super::rows::{ban, bans, held};
use crate::store::{Store, Tx};

pub use api::{Shown, after, last, routes};
pub use pages::pages;
pub use spread::Spread;

pub(super) use decided::absorb;
pub(super) use judge::{Cause, Causes, inside};
pub(super) use pages::why_not;

/// How long hosts are told of a ban that was lifted.
const LIFTS: Duration = Duration::from_secs(30 * 86_400);

/// Ends the bans whose time has come, and forgets what is too old. Hosts need not hear of either:
/// their kernels end bans by themselves.
pub(super) async fn activate(tx: &mut Tx, config: &Config, now: Timestamp) -> sqlx::Result<()> {
    ban::expire(tx, now).await?;
    bans::prune(tx, now - config.keep.duration(), now - LIFTS).await
}

/// Since when all of a network is shut out, and of how many hosts; none: it is not.
///
/// # Errors
/// The database's.
pub async fn shut_out(tx: &mut Tx, whom: IpNet, now: Timestamp) -> sqlx::Result<Option<ShutOut>> {
    let Some(ban) = bans::around(tx, &whom, now).await? else {
        return Ok(None);
    };
    let hosts = match ban.row.unspread {
        Some(_) => bans::count_hosts(tx, ban.id).await?,
        None => {
            let vetoes = held::vetoes(&mut **tx).await?;
            let vetoes = vetoes.iter().filter(|(net, ..)| *net == ban.row.net);
            let not = i64::try_from(vetoes.count()).unwrap_or(i64::MAX);
            held::count_enforcers(tx).await?.saturating_sub(not)
        }
    };
    Ok(Some(ShutOut {
        since: ban.row.decided_at,
        hosts: u32::try_from(hosts).unwrap_or(0),
    }))
}

/// Measures how many bans hold on all hosts, for monitoring.
///
/// # Errors
/// The database's.
pub async fn measure(store: &Store, now: Timestamp) -> sqlx::Result<()> {
    let count = bans::count(store, now).await?;
    metrics::gauge!("watchward_bans").set(count as f64);
    Ok(())
}
