//! What hosts hold of what was ordered, what a third hand did to it, and what listens on them.

mod alerts;
mod api;
mod judge;
mod pages;
pub(super) mod stand;
#[cfg(test)]
mod tests;
mod unheld;

use std::collections::BTreeMap;

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::{Drift, Holding, Listener, News, Probe, Probed, Restriction};
use watchward_protocol::time::Timestamp;

use super::Config;
use super::rows::standing::{self, Standing};
use super::rows::{held, listener};
use crate::alerting::{self, Alert};
use crate::intake::{Heard, Host};
use crate::store::Tx;

pub use api::routes;
pub(super) use pages::parts;
#[cfg(test)]
pub(super) use unheld::Doubts;
pub use unheld::run;

/// Keeps what hosts tell of themselves, and tells of what is not as it should be.
pub(super) async fn absorb(
    tx: &mut Tx,
    heard: &[Heard<Restriction>],
    config: &Config,
    now: Timestamp,
) -> sqlx::Result<()> {
    let mut probed: BTreeMap<(HostId, String), (Timestamp, &Probed)> = BTreeMap::new();
    for Heard { host, report, .. } in heard {
        let at = report.at.min(now);
        match &report.news {
            News::Holding(what) => holding(tx, host, what, (at, now)).await?,
            News::Drift(what) => drift(tx, host, what, (at, config, now)).await?,
            News::Listening(all) => listening(tx, host, all, (config, now)).await?,
            News::Probed(what) => {
                probed.insert((host.id, key(&what.probe)), (at, what));
            }
            News::Banned(_) | News::Sshd(_) => {}
        }
    }
    let probed: Vec<_> = probed
        .iter()
        .map(|((host, _), (at, what))| (*host, *at, *what))
        .collect();
    held::probed(tx, &probed).await
}

/// What tells probes apart.
fn key(probe: &Probe) -> String {
    let Probe {
        address,
        transport,
        port,
        ssh,
    } = probe;
    format!("{address} {} {port} {ssh}", transport.name())
}

async fn holding(
    tx: &mut Tx,
    host: &Host,
    holding: &Holding,
    (at, now): (Timestamp, Timestamp),
) -> sqlx::Result<()> {
    held::keep(tx, host, holding, at).await?;
    let trouble = holding.trouble.as_str();
    if trouble.is_empty() {
        let ending = "The host says so no more.";
        alerting::resolve(tx, &alerts::trouble_key(host.id), ending, now).await?;
    } else {
        alerting::raise(tx, &alerts::trouble(host, trouble, at), now).await?;
    }
    let drift = alerts::drift_key(host.id);
    // What was put back is told for a while, however whole it is.
    if judge::is_whole(holding) && standing::find(tx, &drift).await?.is_none() {
        alerting::resolve(tx, &drift, "The host holds what was ordered.", now).await?;
    }
    Ok(())
}

async fn drift(
    tx: &mut Tx,
    host: &Host,
    drift: &Drift,
    (at, config, now): (Timestamp, &Config, Timestamp),
) -> sqlx::Result<()> {
    let alert = alerts::drift(host, drift, at);
    alerting::raise(tx, &alert, now).await?;
    if drift.put_back {
        let ending = format!("No third hand changed anything for {}.", config.settle);
        settle(tx, alert, ending, (config, now)).await
    } else {
        standing::remove(tx, &alert.key).await
    }
}

/// Ends an alert by itself when a while has passed.
async fn settle(
    tx: &mut Tx,
    alert: Alert,
    ending: String,
    (config, now): (&Config, Timestamp),
) -> sqlx::Result<()> {
    let standing = Standing {
        key: alert.key,
        since: alert.since,
        count: 1,
        over_at: now + config.settle.duration(),
        ending,
    };
    standing::keep(tx, &standing).await
}

async fn listening(
    tx: &mut Tx,
    host: &Host,
    all: &[Listener],
    (config, now): (&Config, Timestamp),
) -> sqlx::Result<()> {
    let is_first = held::hears_listeners(tx, host, now).await?;
    let known = listener::known(tx, host.id).await?;
    let all = judge::each_once(all);
    listener::keep(tx, host.id, &all, (&judge::missing(&known, &all), now)).await?;
    let change = judge::change(&known, &all, now);
    for door in change.gone {
        let key = alerts::listening_key(host.id, door);
        alerting::resolve(tx, &key, "Nothing listens there any more.", now).await?;
        standing::remove(tx, &key).await?;
    }
    if is_first || !config.listening {
        return Ok(());
    }
    for listener in change.new {
        let alert = alerts::listening(host, listener, now);
        alerting::raise(tx, &alert, now).await?;
        let ending = format!("It counts as known after {}.", config.settle);
        settle(tx, alert, ending, (config, now)).await?;
    }
    Ok(())
}

/// Ends what is told of a host that is revoked, and forgets what it told.
pub(super) async fn forget(tx: &mut Tx, host: HostId, now: Timestamp) -> sqlx::Result<()> {
    let keys = [alerts::drift_key, alerts::unheld_key, alerts::trouble_key];
    let mut keys: Vec<_> = keys.into_iter().map(|key| key(host)).collect();
    let doors = listener::known(tx, host).await?;
    let doors = doors.iter().map(|one| judge::door(&one.listener));
    keys.extend(doors.map(|door| alerts::listening_key(host, door)));
    for key in keys {
        alerting::resolve(tx, &key, "The host was revoked.", now).await?;
        standing::remove(tx, &key).await?;
    }
    listener::forget(tx, host).await?;
    held::forget(tx, host).await
}
