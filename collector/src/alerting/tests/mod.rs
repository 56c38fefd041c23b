//! What people who are told rely on, with real databases and real conversations.

mod acknowledged;
mod asked;
mod budget;
mod config;
mod crash;
mod delivery;
mod folder;
mod gateway;
mod judge;
mod mailbox;
mod outside;
mod pages;
mod post;
mod routes;
mod silences;
mod sms;
mod storage;
mod storm;
mod wording;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use super::message::{Channel, Code, Kind, Message, State};
use super::outbox::Outbox;
use super::*;
use crate::store::testing::{self, Fresh};

/// 2026-11-21 03:04:05 UTC.
pub(super) const NIGHT: Timestamp = Timestamp::from_micros(1_795_230_245_000_000);

pub(super) fn brute_force(severity: Severity) -> Alert {
    Alert {
        key: "access.brute-force 203.0.113.7".to_owned(),
        severity,
        host: Some("db-3".to_owned()),
        title: "sshd brute force from 203.0.113.7, 10 failures".to_owned(),
        detail: "10 failures in 40 s, user names: root, admin".to_owned(),
        advice: "Check access from it".to_owned(),
        since: NIGHT,
    }
}

/// A message that tells of [`brute_force`].
pub(super) fn message(channel: Channel, kind: Kind, severity: Severity) -> Message {
    let address = match channel {
        Channel::Email => "ann@example.org",
        Channel::Sms => "+12025550123",
    };
    Message {
        channel,
        address: address.to_owned(),
        kind,
        ..super::testing::message(&brute_force(severity), None)
    }
}

/// An impatient configuration for one contact, to be completed with servers.
pub(super) fn impatient(folder: &Path) -> Config {
    Config {
        folder: folder.to_owned(),
        budget: Budget {
            email: 1000,
            sms: 1000,
            ..Budget::default()
        },
        pace: Pace {
            first_retry: Span::milliseconds(20),
            longest_retry: Span::milliseconds(100),
            lease: Span::milliseconds(200),
            ..Pace::default()
        },
        ..Config::default()
    }
}

pub(super) fn contact(name: &str, by_sms: Threshold) -> Contact {
    Contact {
        name: name.to_owned().try_into().unwrap(),
        email: Some(format!("{name}@example.org").try_into().unwrap()),
        phone: Some("+12025550123".to_owned().try_into().unwrap()),
        by_email: Threshold::Info,
        by_sms,
    }
}

/// A group with every host whose name begins with `db-`.
pub(super) fn groups() -> Groups {
    toml::from_str("databases = [\"db-*\"]").unwrap()
}

/// The room in one life of a collector.
pub(super) struct Life {
    pub(super) store: Store,
    pub(super) config: Live<Config>,
    pub(super) bell: Bell,
    pub(super) reload: watch::Sender<Arc<Config>>,
    pub(super) rules: Rules,
    pub(super) reroute: watch::Sender<Arc<Routes>>,
}

impl Life {
    pub(super) async fn begin(fresh: &Fresh, config: Config) -> Self {
        let (reload, config) = Live::new(config);
        let (reroute, routes) = Live::new(Routes::default());
        let rules = Rules {
            config: config.clone(),
            routes,
            groups: Live::fixed(groups()),
            is_host: Rules::default().is_host,
        };
        Self {
            store: fresh.reopen().await,
            config,
            bell: Bell::default(),
            reload,
            rules,
            reroute,
        }
    }

    pub(super) async fn raise(&self, alert: &Alert) {
        let mut tx = self.store.begin().await.unwrap();
        raise(&mut tx, alert, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
        self.bell.ring();
    }

    pub(super) async fn resolve(&self, alert: &Alert) {
        let mut tx = self.store.begin().await.unwrap();
        let why = "no failure for an hour";
        resolve(&mut tx, &alert.key, why, clock::now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        self.bell.ring();
    }

    pub(super) async fn outbox(&self) -> Outbox {
        Outbox::open(self.store.clone(), self.rules.clone())
            .await
            .unwrap()
    }

    /// Delivers while `story` goes on, then ends as a collector does that is told to.
    pub(super) async fn deliver<T>(&self, story: impl Future<Output = T>) -> T {
        let stop = Stop::new();
        let delivery = run(
            self.store.clone(),
            (self.rules.clone(), Live::fixed(web::Config::default())),
            self.bell.clone(),
            stop.clone(),
        );
        let story = async {
            let told = story.await;
            stop.cancel();
            told
        };
        let (ended, told) = tokio::join!(Box::pin(delivery), story);
        ended.unwrap();
        told
    }

    /// Delivers until there is nothing left to be done.
    pub(super) async fn deliver_all(&self) {
        self.deliver(self.quiet()).await;
    }

    /// Waits until there is nothing left to be done.
    pub(super) async fn quiet(&self) {
        wait("the outbox is not done", async || self.is_quiet().await).await;
    }

    pub(super) async fn is_quiet(&self) -> bool {
        let open: i64 = sqlx::query_scalar(
            "SELECT (SELECT COUNT(*) FROM alerting_notice) \
             + (SELECT COUNT(*) FROM alerting_message WHERE done_at IS NULL)",
        )
        .fetch_one(self.store.read())
        .await
        .unwrap();
        open == 0
    }

    /// What stands in the outbox: channel, kind and state of each message.
    pub(super) async fn states(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("SELECT channel, kind, state FROM alerting_message ORDER BY id")
            .fetch_all(self.store.read())
            .await
            .unwrap()
    }
}

/// Waits for something that must come to pass.
pub(super) async fn wait(or: &str, mut is: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, waiting).await.expect(or);
}

pub(super) async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA]).await
}
