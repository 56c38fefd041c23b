//! Who may come from where: logins from elsewhere are told at once, and what came is kept.

mod alerts;
mod api;
mod bans;
mod claims;
mod gates;
mod held;
mod judge;
mod pages;
mod plan;
mod policy;
mod reach;
mod rows;
mod services;
mod sites;
mod sound;
mod sshd;
#[cfg(test)]
mod tests;
mod vantage;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{News, Restriction};
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::alerting::{self, Bell};
use crate::intake::Heard;
use crate::intake::position::known;
use crate::policy::networks;
use crate::store::{Store, Tx, timer};
use judge::Seen;
use rows::standing::{self, Standing};

pub use api::{HostGate, Inventory, Network, Outside, Rule, Shown, Summary, routes, summary};
pub use bans::{
    Shown as Ban, Spread, after as bans_after, last as last_ban, measure, pages as ban_pages,
    routes as ban_routes, shut_out,
};
pub use held::{routes as gate_routes, run as run_gates};
pub use pages::pages;
pub use plan::{Change, Own, Plan, Unready, plan};
pub use policy::{Policy, Table};
pub use reach::routes as reach;
pub use rows::deed::deeds;
pub use rows::listing::IS_OUTSIDE;
pub use rows::{DEADLINES, SCHEMA, ban::SCHEMA as BANS, held::SCHEMA as HELD, week};
pub use sites::sites;
pub use sshd::behind_gates;
pub use vantage::{Sites, places, run as run_probes};

/// The table `[restriction]` of `collector.toml`. Who may come from where is in the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long is kept who came from where, from when it was heard.
    pub keep: Span,
    /// When logins from outside count as over: so long after the last from that address. So long after
    /// a change of whom sshd lets in, it counts as accepted.
    pub settle: Span,
    /// Whether it is told when something newly listens on a host that can be reached from everywhere.
    pub listening: bool,
    /// How long somebody is shut out of all hosts when one of them has shut them out.
    pub ban_first: Span,
    /// How many times longer each time that they come again.
    pub ban_factor: Factor,
    /// How long at most.
    pub ban_longest: Span,
    /// How long it is remembered that somebody was shut out.
    pub ban_again: Span,
    /// How often hosts try the gates of others, from inside and from outside. Hosts rest for 30 seconds
    /// at least between two rounds.
    pub probe_every: Span,
}

/// How many times as much: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Factor(u32);

impl TryFrom<u32> for Factor {
    type Error = &'static str;

    fn try_from(factor: u32) -> Result<Self, Self::Error> {
        match factor {
            1..=1000 => Ok(Self(factor)),
            _ => Err("expected how many times as much: 1 to 1000"),
        }
    }
}

impl From<Factor> for u32 {
    fn from(factor: Factor) -> Self {
        factor.0
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep: Span::days(400),
            settle: Span::days(1),
            listening: true,
            ban_first: Span::minutes(60),
            ban_factor: Factor(4),
            ban_longest: Span::days(7),
            ban_again: Span::days(30),
            probe_every: Span::minutes(5),
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

/// Keeps what hosts tell of what they hold and whom they shut out, and tells of what is wrong. Says
/// whether other hosts are to hear of it.
///
/// # Errors
/// The database's.
pub async fn hear(
    tx: &mut Tx,
    heard: &[Heard<Restriction>],
    (policy, config): (&Policy, &Config),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let mut causes = bans::Causes::new();
    for Heard { host, report, .. } in heard {
        if let News::Banned(banned) = &report.news {
            let at = report.at.min(now);
            let cause = bans::Cause { host, at, banned };
            let whom = networks::canonical(banned.net.trunc());
            causes.entry(whom).or_default().push(cause);
        }
    }
    let changed = match causes.is_empty() {
        true => false,
        false => bans::absorb(tx, causes, (&policy.networks, config), now).await?,
    };
    held::absorb(tx, heard, config, now).await?;
    sshd::absorb(tx, heard, (policy, config), now).await?;
    Ok(changed)
}

/// Keeps from where hosts' conversations come: that alone is not only their word.
///
/// # Errors
/// The database's.
pub async fn see(tx: &mut Tx, all: &[(HostId, IpAddr)]) -> sqlx::Result<()> {
    rows::vantage::see(tx, all).await
}

/// Ends and forgets what is held of a host that is revoked.
///
/// # Errors
/// The database's.
pub async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    sshd::forget(tx, host, now).await?;
    held::forget(tx, host, now).await
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
        sshd::over(tx, key).await?;
    }
    rows::prune(tx, now - config.keep.duration()).await?;
    bans::activate(tx, config, now).await?;
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
