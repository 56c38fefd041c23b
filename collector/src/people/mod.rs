//! People: their accounts, how they prove who they are, and what they did to sign in.

mod accounts;
pub mod deed;
mod door;
mod factor;
mod guessing;
mod invitation;
mod limits;
mod password;
mod post;
mod refusals;
mod role;
mod rows;
mod security_key;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod totp;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::span::Span;
use webauthn_rs::Webauthn;

use crate::sealing::Sealing;
use crate::store::{Store, timer};

use deed::{Deed, Kind, Wanted};
use limits::Limits;
use password::Hashing;
use refusals::Refusals;

pub use accounts::{Done, Unfit};
pub use door::{Answer, Change, Stranger};
pub use factor::{Checked, Having, Offer, SecondFactor};
pub use guessing::{Guessed, calm, guessed};
pub use invitation::{Invited, Newcomer, Welcome};
pub use password::{Weakness, is_name};
pub use post::{Carried, Email, Letter, Post};
pub use role::{Needs, Role, Roles};
pub use rows::SCHEMA;
pub use rows::account::Account;
pub use rows::event::{Author, Event};
pub use rows::security_key::SecurityKey;
pub use rows::session::Session;
pub use security_key::Removed;

/// The table `[people]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Somebody who has asked for nothing for this long has to sign in again.
    pub idle: Span,
    /// How long a sign-in counts at most.
    pub session_life: Span,
    /// Whether everybody has to sign in with a second factor, a code from their phone.
    pub second_factor: SecondFactor,
    /// How long it is kept who signed in, who failed to, from where, and what people did here.
    pub keep: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle: Span::minutes(12 * 60),
            session_life: Span::days(7),
            second_factor: SecondFactor::Required,
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
    refusals: Arc<Mutex<Refusals>>,
    sealing: Sealing,
    webauthn: Option<Arc<Webauthn>>,
    post: Arc<dyn Post>,
    bell: Arc<Notify>,
}

impl People {
    /// Everybody in this store.
    pub fn new(store: Store, config: Live<Config>) -> Self {
        Self {
            store,
            config,
            hashing: Hashing::default(),
            limits: Arc::default(),
            refusals: Arc::default(),
            sealing: Sealing::fleeting(),
            webauthn: None,
            post: Arc::new(post::Nobody),
            bell: Arc::default(),
        }
    }

    /// The same, whose secrets are sealed by this.
    #[must_use]
    pub fn sealed_by(self, sealing: Sealing) -> Self {
        Self { sealing, ..self }
    }

    /// The same, who reach the page at this address: what their security keys are made for.
    #[must_use]
    pub fn at(self, address: &str) -> Self {
        let webauthn = security_key::place(address).map(Arc::new);
        Self { webauthn, ..self }
    }

    /// The same, whose letters are carried by this.
    #[must_use]
    pub fn with_post(self, post: Arc<dyn Post>) -> Self {
        Self { post, ..self }
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn accounts(&self) -> sqlx::Result<Vec<Account>> {
        rows::account::accounts(&self.store).await
    }

    /// What people did at the door and to accounts, the newest first; of one kind, if that is wanted.
    ///
    /// # Errors
    /// The database's.
    pub async fn deeds(&self, kind: Option<Kind>, wanted: &Wanted) -> sqlx::Result<Vec<Deed>> {
        rows::event::deeds(&self.store, kind, wanted).await
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
                let kept = now - config.keep.duration();
                Box::pin(rows::prune(tx, (began, kept), now))
            },
            || {},
            stop,
        )
        .await
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
