//! Who got in, and who tried: kept, judged, shown.

mod address;
mod alerts;
mod api;
mod attacks;
mod elevation;
mod judge;
mod pages;
mod rows;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::IpAddr;
use std::num::NonZeroU16;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::{AccessEvent, Service};
use watchward_protocol::record::Gap;
use watchward_protocol::restriction::ShutOut;
use watchward_protocol::span::Span;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use crate::alerting::{Bell, Severity};
use crate::intake::Heard;
use crate::intake::position::known;
use crate::store::{Store, Tx, timer};

pub use api::{Shown, after, last, routes};
pub use pages::pages;
pub use rows::{DEADLINES, SCHEMA, week};

/// The table `[access]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long events and gaps are kept, from when they came.
    pub keep: Span,
    /// When lines that nobody recognises, and gaps in a log, count as over: so long after the last.
    pub settle: Span,
    /// The table `[access.brute_force]`.
    pub brute_force: BruteForce,
    /// The table `[access.elevation]`.
    pub elevation: Elevation,
}

/// The table `[access.brute_force]`: many failures from one IPv4 address or one IPv6 /64, on
/// whatever hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BruteForce {
    /// How many failures are too many.
    pub failures: NonZeroU16,
    /// Within how long.
    pub window: Span,
    /// When it counts as over: so long after the last failure.
    pub quiet: Span,
    /// How much it matters. A login after such failures is always critical.
    pub severity: Severity,
}

/// The table `[access.elevation]`: many failures of one user of a host to become another one, by
/// sudo or su: wrong passwords, and what they are not allowed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elevation {
    /// How many failures are too many.
    pub failures: NonZeroU16,
    /// Within how long.
    pub window: Span,
    /// When it counts as over: so long after the last failure.
    pub quiet: Span,
    /// How much it matters.
    pub severity: Severity,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Span::days(400),
            settle: Span::days(1),
            brute_force: BruteForce::default(),
            elevation: Elevation::default(),
        }
    }
}

impl Default for Elevation {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU16::new(5).unwrap() },
            window: Span::minutes(10),
            quiet: Span::minutes(30),
            severity: Severity::Warning,
        }
    }
}

impl Default for BruteForce {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU16::new(10).unwrap() },
            window: Span::minutes(10),
            quiet: Span::minutes(30),
            severity: Severity::Critical,
        }
    }
}

/// Says whether all of a network is shut out.
pub type IsShutOut =
    for<'a> fn(&'a mut Tx, IpNet, Timestamp) -> BoxFuture<'a, sqlx::Result<Option<ShutOut>>>;

/// Keeps what hosts saw of people getting in, and raises what follows from it. An event that is
/// there already changes nothing.
///
/// # Errors
/// The database's.
pub async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<AccessEvent>],
    (config, shut_out): (&Config, IsShutOut),
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut there = known(tx, "access_event", heard.iter().map(Heard::position)).await?;
    let mut fresh = Vec::with_capacity(heard.len());
    for event in heard {
        if there.insert(event.position()) {
            fresh.push(judge::Fresh::new(event, now));
        }
    }
    rows::event::insert(tx, &fresh, now).await?;
    let by = attacks::Means {
        config: &config.brute_force,
        shut_out,
    };
    attacks::follow(tx, &fresh, &by, now).await?;
    elevation::follow(tx, &fresh, &config.elevation, now).await?;
    standing::unrecognised(tx, &fresh, config, now).await
}

/// A session of which it is not known that it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// When it began.
    pub since: Timestamp,
    /// The host's name.
    pub host: String,
    /// The server there.
    pub service: Service,
    /// Whose it is.
    pub user: Option<Foreign>,
}

/// The sessions from this address that began since then and have not ended, as far as is known; the
/// latest first.
///
/// # Errors
/// The database's.
pub async fn open(store: &Store, from: IpAddr, since: Timestamp) -> sqlx::Result<Vec<Open>> {
    rows::open::open(store, from, since).await
}

/// Keeps what hosts could not see, and raises it. A gap that is there already changes nothing.
///
/// # Errors
/// The database's.
pub async fn absorb_gaps(
    tx: &mut Tx,
    heard: &[Heard<Gap>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut seen = HashSet::new();
    for gap in heard {
        if seen.insert((gap.host.id, gap.lane, gap.epoch, gap.seq))
            && rows::gap::insert(tx, gap, now).await?
        {
            standing::gap(tx, gap, config, now).await?;
        }
    }
    Ok(())
}

/// Ends what has been quiet for long enough, says how many incidents that were, and forgets some of
/// what is too old.
///
/// # Errors
/// The database's.
pub async fn activate(tx: &mut Tx, config: &Config, now: Timestamp) -> sqlx::Result<usize> {
    let attacks = attacks::end(tx, &config.brute_force, now).await?;
    let standing = standing::end(tx, now).await?;
    rows::prune(tx, now - config.keep.duration()).await?;
    Ok(attacks + standing)
}

/// Ends what has been quiet for long enough, until it is told to stop.
///
/// # Errors
/// None.
pub async fn run(store: Store, config: Live<Config>, bell: Bell, stop: Stop) -> anyhow::Result<()> {
    timer::run(
        store,
        DEADLINES,
        move |tx, now| {
            let config = config.now();
            Box::pin(async move { activate(tx, &config, now).await })
        },
        || bell.ring(),
        stop,
    )
    .await
}
