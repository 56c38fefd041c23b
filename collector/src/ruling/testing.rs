//! A policy that is followed in a test, with the files that it is read from.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::apply::{Applied, Proposal, Refusal};
use super::{Beginning, Ruling};
use crate::alerting::Bell;
use crate::config::{Config, Policy};
use crate::reload::{self, Followed};
use crate::store::Store;

/// One that follows nothing.
pub(crate) async fn idle(store: &Store) -> Ruling {
    let config = Config::default();
    let (_, hands) = reload::follow(config.clone(), (Policy::default(), Timestamp::default()));
    let beginning = Beginning {
        basis: super::Basis::of(&config),
        standing: super::Standing::default(),
    };
    let parts = (store.clone(), Bell::default());
    Ruling::new(
        parts,
        "collector.toml".as_ref(),
        beginning,
        hands,
        clock::now(),
    )
}

/// The files of a collector.
pub(super) struct Ground {
    folder: TempDir,
}

/// A collector, as far as it goes by a policy.
pub(super) struct Collector {
    pub(super) ruling: Ruling,
    pub(super) followed: Followed,
}

impl Ground {
    /// Nothing but `collector.toml`, with these lines.
    pub(super) fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ground = Self { folder };
        ground.configure(more);
        ground
    }

    pub(super) fn configure(&self, more: &str) {
        let policy = self.path("policy.toml");
        let text = format!("policy.file = {policy:?}\n{more}");
        fs::write(self.path("collector.toml"), text).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, policy: &str) {
        fs::write(self.path("policy.toml"), policy).unwrap();
    }

    /// Starts a collector on this database.
    pub(super) async fn start(&self, store: &Store, now: Timestamp) -> anyhow::Result<Collector> {
        let file = self.path("collector.toml");
        let config = Config::alone(&file)?;
        let beginning = Beginning::of(store, &config, now).await?;
        let (followed, hands) = reload::follow(config, beginning.policy());
        let parts = (store.clone(), Bell::default());
        Ok(Collector {
            ruling: Ruling::new(parts, &file, beginning, hands, now),
            followed,
        })
    }
}

impl Collector {
    /// Goes back to an earlier version.
    pub(super) async fn back(
        &self,
        number: Option<i64>,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Applied, Refusal> {
        let earlier = self.ruling.earlier(number, proposal).await?;
        self.ruling.apply(earlier, now).await
    }

    /// The number of the version in force.
    pub(super) fn in_force(&self) -> i64 {
        let held = self.ruling.held();
        held.standing.version.as_ref().map_or(0, |it| it.number)
    }

    /// The names of the networks, as rooms hear of them.
    pub(super) fn networks(&self) -> Vec<String> {
        let rules = self.followed.rules.now();
        rules
            .networks
            .all()
            .map(|(name, _)| name.to_string())
            .collect()
    }
}
