//! Hosts that do not hold what they are to shut: people are told for as long as it is so.

use std::collections::HashMap;
use std::time::Duration;

use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::alerts;
use super::stand::{Stand, stand};
use crate::alerting::{self, Alert, Bell};
use crate::intake::Watched;
use crate::restriction::gates::Ordered;
use crate::restriction::rows::held::{self, Held};
use crate::restriction::rows::standing::{self, NEVER, Standing};
use crate::restriction::{Inventory, Policy};
use crate::store::{Store, Tx};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// So long a host may take to answer, or its enforcer to start again, before people are told.
const GRACE: Duration = Duration::from_secs(60);

/// Looks who holds what, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    (store, inventory): (Store, Inventory),
    policy: Live<Policy>,
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut doubts = Doubts::default();
    loop {
        let (rules, now) = (policy.now(), clock::now());
        let looked = doubts.look((&store, inventory), &rules, now).await;
        let what = "look who holds which gate";
        if !bell.after(what, looked, (LOOK, &stop)).await {
            return Ok(());
        }
    }
}

/// Hosts of which it is not known yet, since when.
#[derive(Debug, Default)]
pub(in crate::restriction) struct Doubts(HashMap<HostId, Timestamp>);

impl Doubts {
    /// Tells of each host that does not hold what it is to shut, and whether there was news.
    pub(in crate::restriction) async fn look(
        &mut self,
        (store, inventory): (&Store, Inventory),
        policy: &Policy,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let (hosts, all) = (inventory(store).await?, held::all(store).await?);
        let told = standing::beginning(store, alerts::UNHELD).await?;
        let mut news = Vec::new();
        for host in &hosts {
            let held = all.get(&host.host.name);
            let known = told.get(&alerts::unheld_key(host.host.id));
            let ordered = policy.ordered(&host.host.name, now);
            match self.judge((host, &ordered, held), now) {
                Verdict::Fine if known.is_some() => news.push((host, None)),
                Verdict::Tell(alert) if is_news(&alert, known) => news.push((host, Some(alert))),
                Verdict::Fine | Verdict::Tell(_) | Verdict::Wait => {}
            }
        }
        self.0
            .retain(|id, _| hosts.iter().any(|one| one.host.id == *id));
        if news.is_empty() {
            return Ok(false);
        }
        let mut tx = store.begin().await?;
        for (host, alert) in news {
            tell(&mut tx, host.host.id, alert, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    fn judge(
        &mut self,
        (host, ordered, held): (&Watched, &Ordered, Option<&Held>),
        now: Timestamp,
    ) -> Verdict {
        let stand = stand(ordered, host, held);
        let waits = match stand {
            _ if ordered.shut.is_empty() => return self.settle(host, Verdict::Fine),
            Stand::Held => return self.settle(host, Verdict::Fine),
            // What was told of the gates before is over only when these hold.
            Stand::Trial => return self.settle(host, Verdict::Wait),
            Stand::Refused | Stand::Undone => {
                self.0.remove(&host.host.id);
                return Verdict::Tell(alerts::unheld((&host.host, ordered), (stand, held), now));
            }
            Stand::Waiting | Stand::NoEnforcer | Stand::Away | Stand::Mute => {
                self.0.entry(host.host.id).or_insert(now)
            }
        };
        match now.since(*waits) >= GRACE {
            true => Verdict::Tell(alerts::unheld((&host.host, ordered), (stand, held), *waits)),
            false => Verdict::Wait,
        }
    }

    fn settle(&mut self, host: &Watched, verdict: Verdict) -> Verdict {
        self.0.remove(&host.host.id);
        verdict
    }
}

/// What to do about a host.
#[derive(Debug)]
enum Verdict {
    /// It holds everything that it is to shut.
    Fine,
    /// That may be.
    Wait,
    /// It does not.
    Tell(Alert),
}

/// Whether something else was told before. Beware: to raise it each time would count as repeats.
fn is_news(alert: &Alert, known: Option<&Standing>) -> bool {
    known.is_none_or(|known| known.ending != alert.title)
}

async fn tell(tx: &mut Tx, host: HostId, alert: Option<Alert>, now: Timestamp) -> sqlx::Result<()> {
    let key = alerts::unheld_key(host);
    let Some(alert) = alert else {
        alerting::resolve(tx, &key, "The host holds what it is to hold.", now).await?;
        return standing::remove(tx, &key).await;
    };
    alerting::raise(tx, &alert, now).await?;
    let standing = Standing {
        key,
        since: alert.since,
        count: 1,
        over_at: NEVER,
        ending: alert.title,
    };
    standing::keep(tx, &standing).await
}
