//! Hosts that do not hold what is revoked: people are told for as long as it is so.

use std::collections::HashMap;
use std::time::Duration;

use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::HostId;
use watchward_protocol::receipt::Stand;
use watchward_protocol::time::Timestamp;

use super::beyond::Beyond;
use super::stand::stand;
use super::strange::Strange;
use super::{Inventory, alerts};
use crate::alerting::{self, Alert, Bell};
use crate::intake::Watched;
use crate::keys::rows::reached::{self, Holding};
use crate::keys::rows::revoked;
use crate::store::Store;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// So long a host may take to hold something, or to say why it does not.
const GRACE: Duration = Duration::from_secs(60);

/// Looks who holds what, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    (store, inventory): (Store, Inventory),
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut looks = Looks::default();
    loop {
        let looked = looks.all((&store, inventory), clock::now()).await;
        let what = "look who holds what is revoked";
        if !bell.after(what, looked, (LOOK, &stop)).await {
            return Ok(());
        }
    }
}

/// What is looked at.
#[derive(Debug, Default)]
struct Looks {
    doubts: Doubts,
    strange: Strange,
    beyond: Beyond,
}

impl Looks {
    async fn all(
        &mut self,
        (store, inventory): (&Store, Inventory),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let unheld = self.doubts.look((store, inventory), now).await?;
        let strange = self.strange.look(store, now).await?;
        let beyond = self.beyond.look(store, now).await?;
        Ok(unheld || strange || beyond)
    }
}

/// Hosts that do not hold what they should, since when.
#[derive(Debug, Default)]
pub(super) struct Doubts(HashMap<HostId, Timestamp>);

impl Doubts {
    /// Tells of each host that does not hold what it should, and says whether there was news. A host
    /// that never said that it could hold anything is none, and one that is silent is told of by that.
    pub(super) async fn look(
        &mut self,
        (store, inventory): (&Store, Inventory),
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let holdings = reached::holdings(store).await?;
        if holdings.is_empty() {
            return Ok(false);
        }
        let generation = revoked::generation(store).await?;
        let hosts = inventory(store).await?;
        let mut news = Vec::new();
        for host in &hosts {
            let Some(holding) = holdings.get(&host.host.name) else {
                continue;
            };
            let alert = self.judge((host, holding), generation, now);
            let (is, was) = (alert.as_ref().map(|it| &it.detail), holding.told.as_ref());
            // Of a host that went silent what was told stays.
            if is != was && !(is.is_none() && host.is_silent) {
                news.push((host.host.id, alert));
            }
        }
        self.0
            .retain(|id, _| hosts.iter().any(|one| one.host.id == *id));
        if news.is_empty() {
            return Ok(false);
        }
        let mut tx = store.begin().await?;
        for (host, alert) in news {
            match &alert {
                Some(alert) => alerting::raise(&mut tx, alert, now).await?,
                None => {
                    let (key, why) = (alerts::unheld_key(host), "The host holds all of it.");
                    alerting::resolve(&mut tx, &key, why, now).await?;
                }
            }
            let told = alert.map(|alert| alert.detail);
            reached::told(&mut tx, host, told).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    fn judge(
        &mut self,
        (host, holding): (&Watched, &Holding),
        generation: u64,
        now: Timestamp,
    ) -> Option<Alert> {
        let lacks = match stand(generation, host.is_silent, Some(holding)) {
            _ if generation == 0 => false,
            Stand::Waiting | Stand::Refused => true,
            Stand::Held | Stand::Pending | Stand::Mute => false,
        };
        if !lacks {
            self.0.remove(&host.host.id);
            return None;
        }
        let since = *self.0.entry(host.host.id).or_insert(now);
        let is_told = holding.told.is_some();
        (is_told || now.since(since) >= GRACE).then(|| alerts::unheld(&host.host, holding, since))
    }
}
