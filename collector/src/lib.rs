//! The centre: keeps what agents tell, judges it, and tells people.

pub mod access;
pub mod alerting;
mod asked;
pub mod config;
pub mod health;
pub mod hosts;
pub mod intake;
pub mod live;
pub mod policy;
pub mod restriction;
pub mod store;
pub mod web;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::service::{self, Signals};
use watchward_daemon::tasks::{Tasks, tasks};
use watchward_protocol::time::Timestamp;

use alerting::Bell;
use config::{Config, Policy};
use hosts::Hosts;
use intake::Told;
use store::{Schema, Store, Tx};

/// Every room's tables.
const SCHEMAS: &[Schema] = &[
    intake::SCHEMA,
    alerting::SCHEMA,
    hosts::SCHEMA,
    access::SCHEMA,
    health::SCHEMA,
    restriction::SCHEMA,
];

/// Runs the collector until a signal ends it.
///
/// # Errors
/// The configuration is wrong, an address or the database cannot be used, or a task ended that
/// should not have.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let (tasks, running) = tasks();
    let reload = start(&tasks, Config::read(file)?).await?;
    drop(tasks);
    service::run(signals, running, || reload.from(file)).await
}

/// Builds the rooms and joins them.
async fn start(tasks: &Tasks, read: (Config, Policy)) -> anyhow::Result<Reload> {
    let (config, policy) = read;
    let Policy {
        groups: _,
        networks,
        restriction: rules,
    } = policy;
    let Config {
        store,
        intake,
        admin,
        policy: _,
        alerting,
        hosts,
        access,
        health,
        restriction,
    } = config;
    let store = Store::open(&store.url()?, SCHEMAS).await?;
    let now = clock::now();
    let bell = Bell::default();
    let (alerting_changes, telling) = alerting::Rules::unrouted(alerting);
    let (hosts_changes, hosts) = Live::new(hosts);
    let (access_changes, access) = Live::new(access);
    let (health_changes, health) = Live::new(health);
    let (restriction_changes, restriction) = Live::new(restriction);
    let (rules_changes, rules) = Live::new(restriction::Policy::of(networks, rules));
    let hosts = Hosts::open(store.clone(), hosts, now)?
        .on_revoke(|tx, host, now| Box::pin(health::forget(tx, host, now)));
    thaw(&store, &hosts, now).await?;

    let rooms = Rooms {
        hosts: hosts.clone(),
        access: access.clone(),
        health: health.clone(),
        restriction: restriction.clone(),
        rules: rules.clone(),
        bell: bell.clone(),
    };
    let parts = (
        store.clone(),
        Arc::new(hosts.clone()) as _,
        Arc::new(rooms) as _,
    );
    intake::start(tasks, &intake, &hosts.trust(), parts).await?;
    let rooms = access::routes()
        .merge(health::routes())
        .with_state(store.clone());
    let routes = hosts::routes(hosts.clone())
        .merge(rooms)
        .merge(alerting::routes(store.clone(), telling.clone()))
        .merge(restriction::routes(store.clone(), rules))
        .merge(live::routes(store.clone(), tasks.stop()));
    web::start(tasks, &admin, routes)?;
    tasks.start(
        "alerting",
        alerting::run(store.clone(), telling, bell.clone(), tasks.stop()),
    );
    tasks.start(
        "access",
        access::run(store.clone(), access, bell.clone(), tasks.stop()),
    );
    tasks.start(
        "restriction",
        restriction::run(store.clone(), restriction, bell.clone(), tasks.stop()),
    );
    tasks.start(
        "health",
        health::run(store, health, bell.clone(), tasks.stop()),
    );
    tasks.start("hosts", hosts.run(bell, tasks.stop()));
    Ok(Reload {
        alerting: alerting_changes,
        hosts: hosts_changes,
        access: access_changes,
        health: health_changes,
        restriction: restriction_changes,
        rules: rules_changes,
    })
}

/// Puts every deadline off by the time that the collector was away.
async fn thaw(store: &Store, hosts: &Hosts, now: Timestamp) -> anyhow::Result<()> {
    let mut tx = store.begin().await?;
    let away = hosts.thaw(&mut tx, now).await?;
    access::shift(&mut tx, away).await?;
    health::shift(&mut tx, away).await?;
    restriction::shift(&mut tx, away).await?;
    Ok(tx.commit().await?)
}

/// Hands what hosts told to the rooms that keep and judge it.
struct Rooms {
    hosts: Hosts,
    access: Live<access::Config>,
    health: Live<health::Config>,
    restriction: Live<restriction::Config>,
    rules: Live<restriction::Policy>,
    bell: Bell,
}

#[tonic::async_trait]
impl intake::Rooms for Rooms {
    async fn absorb(&self, tx: &mut Tx, told: Told<'_>, now: Timestamp) -> anyhow::Result<()> {
        match told {
            Told::Alive(hosts) => self.hosts.alive(tx, hosts, now).await?,
            Told::Doctors(heard) => self.hosts.doctors(tx, heard, now).await?,
            Told::Access(heard) => {
                access::absorb(tx, heard, &self.access.now(), now).await?;
                let (rules, config) = (self.rules.now(), self.restriction.now());
                restriction::absorb(tx, heard, (&rules, &config), now).await?;
            }
            Told::Gaps(heard) => access::absorb_gaps(tx, heard, &self.access.now(), now).await?,
            // The room that keeps them is being built.
            Told::Keys(_) => {}
            Told::Health(heard) => health::absorb(tx, heard, &self.health.now(), now).await?,
        }
        Ok(())
    }

    fn committed(&self) {
        self.bell.ring();
    }
}

/// The hands that change a running collector's configuration.
struct Reload {
    alerting: watch::Sender<Arc<alerting::Config>>,
    hosts: watch::Sender<Arc<hosts::Config>>,
    access: watch::Sender<Arc<access::Config>>,
    health: watch::Sender<Arc<health::Config>>,
    restriction: watch::Sender<Arc<restriction::Config>>,
    rules: watch::Sender<Arc<restriction::Policy>>,
}

impl Reload {
    /// Reads the file again, and the policy: if either is bad, neither changes anything. Where to
    /// listen and what to keep things in changes at the next start.
    fn from(&self, file: &Path) {
        match Config::read(file) {
            Ok((config, policy)) => {
                let Policy {
                    groups: _,
                    networks,
                    restriction: rules,
                } = policy;
                let Config {
                    store: _,
                    intake: _,
                    admin: _,
                    policy: _,
                    alerting,
                    hosts,
                    access,
                    health,
                    restriction,
                } = config;
                self.alerting.send_replace(Arc::new(alerting));
                self.hosts.send_replace(Arc::new(hosts));
                self.access.send_replace(Arc::new(access));
                self.health.send_replace(Arc::new(health));
                self.restriction.send_replace(Arc::new(restriction));
                let rules = restriction::Policy::of(networks, rules);
                self.rules.send_replace(Arc::new(rules));
                tracing::info!(file = %file.display(), "read the configuration again");
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration is not used; the old one stays");
            }
        }
    }
}
