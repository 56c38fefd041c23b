//! What rooms show, to the operator's command and to people: all their paths and pages together.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::watch;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use crate::alerting::Bell;
use crate::hosts::Hosts;
use crate::intake::Questions;
use crate::people::People;
use crate::ruling::Ruling;
use crate::store::Store;
use crate::web::{self, Site};
use crate::{
    access, alerting, audit, backup, health, hosts, keys, live, metrics, report, restriction,
    ruling,
};

/// What rooms show, to the operator's command and to people.
pub(crate) struct Shown {
    pub(crate) store: Store,
    pub(crate) people: People,
    pub(crate) hosts: Hosts,
    pub(crate) alerting: alerting::Rules,
    pub(crate) rules: Live<restriction::Policy>,
    pub(crate) key_rules: Live<keys::Policy>,
    pub(crate) spread: restriction::Spread,
    pub(crate) revoking: keys::Desk,
    pub(crate) bell: Bell,
    pub(crate) web: Live<web::Config>,
    pub(crate) report: Live<report::Config>,
    pub(crate) committing: watch::Receiver<Option<Timestamp>>,
    pub(crate) ruling: Ruling,
    pub(crate) questions: Questions,
    pub(crate) authority: keys::Authority,
    pub(crate) rotations: keys::Calendar,
}

impl Shown {
    /// Where reports come from.
    pub(crate) fn reports(&self) -> report::Sources {
        report::Sources {
            store: self.store.clone(),
            calendar: self.rotations.clone(),
            desk: self.revoking.clone(),
        }
    }

    /// Sends them, until told to stop.
    pub(crate) fn send_reports(
        &self,
        stop: Stop,
    ) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let with = (self.report.clone(), self.alerting.config.clone());
        report::run(self.reports(), with, stop)
    }
}

/// What the operator's command can ask.
pub(crate) fn routes(shown: &Shown, stop: Stop) -> Router {
    let Shown {
        store,
        people,
        hosts,
        alerting,
        rules,
        key_rules,
        spread,
        revoking,
        bell,
        ruling,
        questions,
        authority,
        rotations,
        ..
    } = shown;
    let rooms = access::routes()
        .merge(health::routes())
        .with_state(store.clone());
    hosts::routes(hosts.clone())
        .merge(rooms)
        .merge(alerting::routes(store.clone(), alerting.clone()))
        .merge(restriction::routes(
            store.clone(),
            rules.clone(),
            hosts::watched,
        ))
        .merge(restriction::gate_routes(
            store.clone(),
            rules.clone(),
            hosts::watched,
        ))
        .merge(restriction::ban_routes(
            store.clone(),
            rules.clone(),
            spread.clone(),
        ))
        .merge(restriction::reach(questions.clone(), rules.clone()))
        .merge(keys::routes(store.clone(), key_rules.clone(), bell.clone()))
        .merge(keys::proof_routes(
            (store.clone(), key_rules.clone()),
            (questions.clone(), hosts::names, restriction::places),
            bell.clone(),
        ))
        .merge(keys::revoke_routes(revoking.clone()))
        .merge(keys::authority_routes(
            authority.clone(),
            hosts::watched,
            bell.clone(),
        ))
        .merge(keys::rotation_routes(rotations.clone()))
        .merge(keys::peer_routes(store.clone(), key_rules.clone()))
        .merge(report::routes(shown.reports()))
        .merge(ruling::routes(ruling.clone()))
        .merge(live::routes(store.clone(), stop))
        .merge(backup::routes(store.clone()))
        .merge(audit::routes(store.clone(), people.clone()))
        .merge(web::account_routes(people.clone()))
        .merge(metrics::routes(measure(shown)))
        .layer(from_fn_with_state(store.clone(), hosts::known_host))
}

/// What is measured in the database when monitoring asks.
fn measure(shown: &Shown) -> metrics::Measure {
    let (store, hosts) = (shown.store.clone(), shown.hosts.clone());
    Arc::new(move |now| {
        let (store, hosts) = (store.clone(), hosts.clone());
        Box::pin(async move {
            hosts.measure().await?;
            alerting::measure(&store, now).await?;
            restriction::measure(&store, now).await?;
            store.measure().await
        })
    })
}

/// What says whether hosts and people can be served.
fn ready(shown: &Shown, stop: Stop) -> metrics::Ready {
    let hosts = shown.hosts.clone();
    metrics::Ready {
        written: Arc::new(move || {
            let hosts = hosts.clone();
            Box::pin(async move { hosts.written().await })
        }),
        committing: shown.committing.clone(),
        stop,
    }
}

/// The pages, with their entries in the order of the navigation.
pub(crate) fn site(shown: &Shown, stop: Stop) -> Site {
    let store = &shown.store;
    Site::new(shown.people.clone())
        .with(alerting::pages(store.clone(), shown.alerting.clone()))
        .with(metrics::pages(
            measure(shown),
            shown.web.clone(),
            ready(shown, stop.clone()),
        ))
        .with(hosts::pages(store.clone()))
        .with(health::pages(store.clone()))
        .with(access::pages(store.clone(), restriction::IS_OUTSIDE, stop))
        .with(restriction::pages(
            store.clone(),
            shown.rules.clone(),
            hosts::watched,
        ))
        .with(restriction::ban_pages(
            store.clone(),
            shown.rules.clone(),
            shown.spread.clone(),
        ))
        .with(ruling::pages(shown.ruling.clone()))
        .with(keys::pages(
            store.clone(),
            shown.key_rules.clone(),
            (shown.revoking.clone(), shown.bell.clone()),
        ))
        .with(keys::login_pages(
            shown.authority.clone(),
            shown.people.clone(),
        ))
        .with(keys::rotation_pages(shown.rotations.clone()))
        .with(keys::peer_pages(
            shown.store.clone(),
            shown.key_rules.clone(),
        ))
        .with(report::pages(shown.reports()))
        .with(audit::pages(store.clone(), shown.people.clone()))
}

#[cfg(test)]
mod tests;
