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

use watchward_protocol::time::Timestamp;

use super::Config;
use super::rows::{ban, bans};
use crate::store::{Store, Tx};

pub use api::{Shown, after, last, routes};
pub use pages::pages;
pub use spread::Spread;

pub(super) use decided::absorb;
pub(super) use judge::{Cause, Causes};
pub(super) use pages::why_not;

/// How long hosts are told of a ban that was lifted.
const LIFTS: Duration = Duration::from_secs(30 * 86_400);

/// Ends the bans whose time has come, and forgets what is too old. Hosts need not hear of either:
/// their kernels end bans by themselves.
pub(super) async fn activate(tx: &mut Tx, config: &Config, now: Timestamp) -> sqlx::Result<()> {
    ban::expire(tx, now).await?;
    bans::prune(tx, now - config.keep.duration(), now - LIFTS).await
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
