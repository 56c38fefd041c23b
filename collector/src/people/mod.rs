//! People: their accounts, how they prove who they are, and what they did to sign in.

mod accounts;
mod door;
mod limits;
mod password;
mod role;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::span::Span;

use crate::store::{Store, timer};

use limits::Limits;
use password::Hashing;

pub use accounts::{Done, Unfit};
pub use door::{Answer, Change, Stranger};
pub use password::{Weakness, is_name};
pub use role::{Needs, Role, Roles};
pub use rows::SCHEMA;
pub use rows::account::Account;
pub use rows::event::{Author, Event, Happened};
pub use rows::session::Session;

/// The table `[people]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Somebody who has asked for nothing for this long has to sign in again.
    pub idle: Span,
    /// How long a sign-in counts at most.
    pub session_life: Span,
    /// How long it is kept who signed in, who failed to, and from where.
    pub keep: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle: Span::minutes(12 * 60),
            session_life: Span::days(7),
            keep: Span::days(400),
        }
    }
}

/// Everybody who may sign in.
#[derive(Clone, Debug)]
pub struct People {
    store: Store,
    config: Live<Config>,
    hashing: Hashing,
    limits: Arc<Mutex<Limits>>,
}

impl People {
    /// Everybody in this store.
    pub fn new(store: Store, config: Live<Config>) -> Self {
        Self {
            store,
            config,
            hashing: Hashing::default(),
            limits: Arc::default(),
        }
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn accounts(&self) -> sqlx::Result<Vec<Account>> {
        rows::account::accounts(&self.store).await
    }

    /// What happened at the door, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn happened(&self, limit: i64) -> sqlx::Result<Vec<Happened>> {
        rows::event::happened(&self.store, limit).await
    }

    /// Forgets what is too old, until told to stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let config = self.config;
        timer::run(
            self.store,
            &[],
            move |tx, now| {
                let config = config.now();
                let began = now - config.session_life.duration();
                Box::pin(rows::prune(tx, began, now - config.keep.duration()))
            },
            || {},
            stop,
        )
        .await
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
