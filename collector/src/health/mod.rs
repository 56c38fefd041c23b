//! What is up, down, flapping or unknown: kept, judged, shown.

mod advice;
mod alerts;
mod api;
mod judge;
mod mute;
mod pages;
mod policy;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::HostId;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Bell};
use crate::intake::Heard;
use crate::store::{Store, Tx, timer};
use judge::{Change, Follow};
use rows::check::{self, Gone, Kept, Key};
use rows::past::{self, Transition};

pub use api::{Shown, after, last, routes};
pub use judge::State;
pub use mute::{Signs, doctors};
pub use pages::pages;
pub use policy::Policy;
pub use rows::{DEADLINES, SCHEMA};

/// The table `[health]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long measurements are kept, and checks that no host speaks of any more.
    pub keep: Span,
    /// How long changes of state are kept.
    pub keep_changes: Span,
    /// The table `[health.flapping]`.
    pub flapping: Flapping,
}

/// The table `[health.flapping]`: when a check goes up and down too often. Of its last 21 results,
/// each that differs from the one before counts, the newer the more; all together are 100 percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Thresholds", into = "Thresholds")]
pub struct Flapping {
    high: u8,
    low: u8,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Thresholds {
    /// Percent from which on it is flapping.
    high: u8,
    /// Percent below which it is stable again.
    low: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Span::days(7),
            keep_changes: Span::days(400),
            flapping: Flapping::default(),
        }
    }
}

impl Default for Flapping {
    fn default() -> Self {
        Self { high: 50, low: 25 }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Flapping::default().into()
    }
}

impl From<Flapping> for Thresholds {
    fn from(Flapping { high, low }: Flapping) -> Self {
        Self { high, low }
    }
}

impl TryFrom<Thresholds> for Flapping {
    type Error = &'static str;

    fn try_from(Thresholds { high, low }: Thresholds) -> Result<Self, Self::Error> {
        if 0 < low && low < high && high <= 100 {
            Ok(Self { high, low })
        } else {
            Err("expected percentages with 0 < low < high <= 100")
        }
    }
}

/// Keeps what checks found, and raises what follows from it. A report that is there already changes
/// nothing.
///
/// # Errors
/// The database's.
pub async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<HealthReport>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let keys: BTreeSet<_> = heard.iter().map(Key::of).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let mut checks = check::load(tx, &keys).await?;
    let mut changed = BTreeSet::new();
    let mut fresh = Vec::with_capacity(heard.len());
    let mut transitions = Vec::new();
    for one in heard {
        let key = Key::of(one);
        let known = checks.get(&key);
        if known.is_some_and(|kept| kept.has(one)) {
            continue;
        }
        let known = known.filter(|kept| kept.stands());
        let change = judge::judge(known.map(|kept| &kept.check), one, &config.flapping, now);
        if change.before != Some(change.check.state) {
            transitions.push(Transition::of(one, &change));
        }
        follow(tx, one, known, &change, now).await?;
        changed.insert(key.clone());
        checks.insert(key, Kept::new(one, change.check, now));
        fresh.push(one);
    }
    checks.retain(|key, _| changed.contains(key));
    check::keep(tx, &checks).await?;
    past::transitions(tx, &transitions, now).await?;
    past::samples(tx, &fresh, now).await
}

/// Tells people what follows from a report.
async fn follow(
    tx: &mut Tx,
    heard: &Heard<HealthReport>,
    known: Option<&Kept>,
    change: &Change,
    now: Timestamp,
) -> sqlx::Result<()> {
    for follow in &change.follows {
        match *follow {
            Follow::Raise(trouble) => {
                let alert = alerts::alert(heard, trouble, &change.check);
                alerting::raise(tx, &alert, now).await?;
            }
            Follow::Resolve(trouble) => {
                let since = known.map_or(change.check.since, |kept| kept.check.since);
                let why = alerts::over(heard, &change.check, since);
                let key = alerts::key(trouble, &heard.host.id, &heard.report.check);
                alerting::resolve(tx, &key, &why, now).await?;
            }
        }
    }
    Ok(())
}

/// Notices checks that have fallen silent, forgets those that have been for long, and says how many
/// incidents that began or ended.
///
/// A check that is silent because its host is raises nothing: that is told already.
///
/// # Errors
/// The database's.
pub async fn activate(
    tx: &mut Tx,
    config: &Config,
    signs: Signs,
    now: Timestamp,
) -> sqlx::Result<usize> {
    check::mark_silent(tx, now).await?;
    let told = mute::look(tx, signs, now).await?;
    let oldest = now - config.keep.duration();
    let gone = check::take_gone(tx, oldest).await?;
    let why = format!("The host has not spoken of this check for {}.", config.keep);
    let ended = end(tx, &gone, &why, now).await?;
    past::prune(tx, oldest).await?;
    past::prune_transitions(tx, now - config.keep_changes.duration()).await?;
    Ok(told + ended)
}

/// Ends what is open about a host that was revoked, and forgets its checks.
///
/// # Errors
/// The database's.
pub async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    let gone = check::take_of(tx, host).await?;
    end(tx, &gone, "the host was revoked", now).await?;
    Ok(())
}

/// Ends what is open about checks that are gone, and says how many incidents that were.
async fn end(tx: &mut Tx, gone: &[Gone], why: &str, now: Timestamp) -> sqlx::Result<usize> {
    let mut ended = 0;
    for gone in gone {
        for trouble in gone.open.all() {
            let key = alerts::key(trouble, &gone.host, &gone.check_name);
            alerting::resolve(tx, &key, why, now).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Notices what falls silent, until it is told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    config: Live<Config>,
    signs: Signs,
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    timer::run(
        store,
        DEADLINES,
        move |tx, now| {
            let config = config.now();
            Box::pin(async move { activate(tx, &config, signs, now).await })
        },
        || bell.ring(),
        stop,
    )
    .await
}
