//! Whether gates are really shut: hosts try those of others, from inside and from outside.

mod alerts;
mod judge;
mod pages;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::{Live, replace};
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Probe, Probes};
use watchward_protocol::time::Timestamp;

use super::bans::inside;
use super::claims::{self, Claim};
use super::rows::standing::{self, Standing};
use super::rows::vantage::{self as rows, Seen};
use super::{Config, Policy, sshd};
use crate::alerting::{self, Alert, Bell};
use crate::intake::Errands;
use crate::store::{Store, Tx};
use judge::judge;
pub(super) use pages::part;
use plan::{Site, plan};

/// How often it is looked at what hosts saw.
const LOOK: Duration = Duration::from_secs(5);
/// Hosts make no round sooner than half a minute after the one before, and wait for what is silent.
const LEAST: Duration = Duration::from_secs(40);
/// So long after it was seen last, something is over.
const OVER: Duration = Duration::from_secs(30);
/// So long after a probe it says nothing any more: hosts repeat what they saw each hour.
const STALE: Duration = Duration::from_secs(2 * 3600);

/// Plans who tries what, and judges what they saw, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    store: Store,
    (mut policy, config): (Live<Policy>, Live<Config>),
    (errands, bell): (watch::Sender<Arc<Errands>>, Bell),
    stop: Stop,
) -> anyhow::Result<()> {
    let (mut changed_at, mut is_new) = (clock::now(), true);
    loop {
        let now = clock::now();
        if is_new {
            match sshd::rule(&store, &policy.now(), now).await {
                Ok(told) => {
                    is_new = false;
                    if told {
                        bell.ring();
                    }
                }
                Err(error) => tracing::error!(%error, "cannot judge where sshd listens"),
            }
        }
        let rules = (&*policy.now(), &*config.now(), changed_at);
        match activate(&store, rules, now).await {
            Ok((plan, told)) => {
                replace(&errands, plan);
                if told {
                    bell.ring();
                }
            }
            Err(error) => tracing::error!(%error, "cannot judge what hosts see of each other"),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = policy.changed() => (changed_at, is_new) = (clock::now(), true),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Who is to try what now; tells of what is not as it should be, and whether there was something.
pub(super) async fn activate(
    store: &Store,
    (policy, config, changed_at): (&Policy, &Config, Timestamp),
    now: Timestamp,
) -> sqlx::Result<(Errands, bool)> {
    let is_named = |own: IpAddr| inside(&own.into(), &policy.networks).is_some();
    let (known, doubts) = claims::weigh(rows::claims(store.read()).await?, is_named);
    let site = |claim: Claim| Site {
        id: claim.id,
        gates: policy.table.gates(&claim.name, now, now).gates,
        name: claim.name,
        addresses: claim.addresses,
    };
    let sites = apart(known.into_iter().map(site).collect());
    let plan = plan(&sites, now);
    let every = config.probe_every;
    // Time enough for gates to be taken, and for each probe to be made once after that.
    let settle = (changed_at, every.duration() * 2 + LEAST);
    let mut told = false;
    for (host, name, doubt) in &doubts {
        let alert = claims::alert((*host, name), doubt, now);
        let mut tx = store.begin().await?;
        told |= tell(&mut tx, alert, now).await?;
        tx.commit().await?;
    }
    for seen in rows::seen(store, now - STALE).await? {
        let Some(target) = asked(&sites, &plan, &seen) else {
            continue;
        };
        let said = judge(target, &seen.probed, settle, now);
        if let Some(alert) = alerts::of(policy, (target, &seen, said), now) {
            let mut tx = store.begin().await?;
            told |= tell(&mut tx, alert, now).await?;
            tx.commit().await?;
        }
    }
    let plan = plan.into_iter().map(|(host, probes)| {
        let probes = probes.into_iter().collect();
        (host, Arc::new(Probes { every, probes }))
    });
    Ok((Errands::new(plan.collect()), told))
}

/// Hosts, each with its name and where it is.
pub type Sites = Vec<(String, Vec<IpAddr>)>;

/// Where hosts are, by their names: what two say is theirs is nobody's.
///
/// # Errors
/// The database's.
pub fn places(store: &Store) -> BoxFuture<'_, sqlx::Result<Sites>> {
    Box::pin(async move {
        let (known, _) = claims::weigh(rows::claims(store.read()).await?, |_| false);
        let site = |claim: Claim| Site {
            id: claim.id,
            gates: Vec::new(),
            name: claim.name,
            addresses: claim.addresses,
        };
        let sites = apart(known.into_iter().map(site).collect()).into_iter();
        Ok(sites.map(|site| (site.name, site.addresses)).collect())
    })
}

/// Whom a probe tried, if it was asked for and came from where the host says that it is. Beware: a
/// host may say of another what it likes.
fn asked<'a>(
    sites: &'a [Site],
    plan: &HashMap<HostId, BTreeSet<Probe>>,
    seen: &Seen,
) -> Option<&'a Site> {
    let probe = &seen.probed.probe;
    let vantage = sites.iter().find(|site| site.id == seen.host)?;
    let from = seen.probed.from?;
    let was = plan.get(&seen.host)?.contains(probe) && vantage.addresses.contains(&from);
    let mut targets = sites.iter().filter(|_| was);
    targets.find(|site| site.addresses.contains(&probe.address))
}

/// The same without addresses that two hosts have: those of bridges inside, and those that somebody
/// only says are theirs.
fn apart(mut sites: Vec<Site>) -> Vec<Site> {
    let mut count: HashMap<IpAddr, usize> = HashMap::new();
    for address in sites.iter().flat_map(|site| &site.addresses) {
        *count.entry(*address).or_default() += 1;
    }
    for site in &mut sites {
        let own = |address: &IpAddr| count.get(address) == Some(&1) && !is_inside(*address);
        site.addresses.retain(own);
    }
    sites
}

/// Whether it is usually of a bridge for containers inside of one host.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets(), [172, 17, ..]),
        IpAddr::V6(_) => false,
    }
}

/// Tells of it once, and has it stand until it is seen no more.
async fn tell(tx: &mut Tx, alert: Alert, now: Timestamp) -> sqlx::Result<bool> {
    let known = standing::find(tx, &alert.key).await?;
    if known
        .as_ref()
        .is_some_and(|known| known.over_at >= now + OVER / 2)
    {
        return Ok(false);
    }
    let is_new = known.is_none();
    if is_new {
        alerting::raise(tx, &alert, now).await?;
    }
    let standing = Standing {
        since: alert.since,
        key: alert.key,
        count: 1,
        over_at: now + OVER,
        ending: "It is seen no more.".to_owned(),
    };
    standing::keep(tx, &standing).await?;
    Ok(is_new)
}
