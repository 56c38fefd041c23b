//! Who may come from where: logins from elsewhere are told at once, and what came is kept.

mod alerts;
mod api;
mod gates;
mod judge;
mod networks;
mod pages;
mod plan;
mod policy;
mod rows;
mod services;
mod sound;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Bell};
use crate::intake::Heard;
use crate::intake::position::known;
use crate::store::{Store, Tx, timer};
use judge::Seen;
use rows::standing::{self, Standing};

pub use api::{HostGate, Names, Network, Outside, Rule, Shown, Summary, routes, summary};
pub use networks::Networks;
pub use pages::pages;
pub use plan::{Change, Own, Plan, plan};
pub use policy::{Policy, Table};
pub use rows::listing::IS_OUTSIDE;
pub use rows::{DEADLINES, SCHEMA};

/// The table `[restriction]` of `collector.toml`. Who may come from where is in the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long is kept who came from where, from when it was heard.
    pub keep: Span,
    /// When logins from outside count as over: so long after the last from that address.
    pub settle: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Span::days(400),
            settle: Span::days(1),
        }
    }
}

/// Keeps who came from where, and raises a login from outside. What is there already changes
/// nothing.
///
/// # Errors
/// The database's.
pub async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<AccessEvent>],
    (policy, config): (&Policy, &Config),
    now: Timestamp,
) -> sqlx::Result<()> {
    let looked = heard.iter();
    let mut fresh: Vec<_> = looked
        .filter_map(|one| judge::look(one, policy, now))
        .collect();
    let mut there = known(tx, "restriction_mark", fresh.iter().map(|one| one.at)).await?;
    fresh.retain(|one| there.insert(one.at));
    rows::mark::insert(tx, &fresh, now).await?;
    // In one order everywhere, so that two collectors never wait for each other.
    let mut outside: BTreeMap<String, Vec<&Seen<'_>>> = BTreeMap::new();
    for one in fresh.iter().filter(|one| one.is_login_from_outside()) {
        outside.entry(alerts::key(one)).or_default().push(one);
    }
    for (key, logins) in outside {
        tell(tx, key, &logins, config, now).await?;
    }
    Ok(())
}

/// Tells of logins from outside with one account from one address on one host.
async fn tell(
    tx: &mut Tx,
    key: String,
    logins: &[&Seen<'_>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let Some(last) = logins.iter().max_by_key(|one| one.judged_at) else {
        return Ok(());
    };
    let first = logins.iter().map(|one| one.judged_at).min();
    let known = standing::find(tx, &key).await?;
    let mut standing = known.unwrap_or(Standing {
        key,
        since: first.unwrap_or(last.judged_at),
        count: 0,
        over_at: now,
        ending: String::new(),
    });
    let more = i64::try_from(logins.len()).unwrap_or(i64::MAX);
    standing.count = standing.count.saturating_add(more);
    standing.over_at = now + config.settle.duration();
    standing.ending = alerts::ending(config);
    alerting::raise(tx, &alerts::outside(last, &standing), now).await?;
    standing::keep(tx, &standing).await
}

/// Ends what has been quiet for long enough, says how many incidents that were, and forgets some of
/// what is too old.
///
/// # Errors
/// The database's.
pub async fn activate(tx: &mut Tx, config: &Config, now: Timestamp) -> sqlx::Result<usize> {
    let over = standing::take_over(tx, now).await?;
    for (key, ending) in &over {
        alerting::resolve(tx, key, ending, now).await?;
    }
    rows::prune(tx, now - config.keep.duration()).await?;
    Ok(over.len())
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
