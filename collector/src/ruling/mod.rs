//! Which policy is in force: the newest version, whoever brought it, on every collector that shares
//! the database.

mod api;
mod apply;
mod basis;
mod file;
mod objection;
mod pages;
mod session;
mod standing;
mod taken;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod told;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use crate::alerting::Bell;
use crate::config::{Config, Policy};
use crate::policy::versions;
use crate::reload::Reload;
use crate::store::Store;
use basis::Basis;
use file::Watch;
use standing::Standing;

pub(crate) use api::routes;
pub(crate) use pages::pages;

/// How often it is looked whether another collector has brought a version, or an exception has ended.
const GLANCE: Duration = Duration::from_secs(1);

/// What is in force when the collector begins.
#[derive(Debug)]
pub(crate) struct Beginning {
    basis: Basis,
    standing: Standing,
}

/// Has the policy in force be followed.
#[derive(Clone)]
pub(crate) struct Ruling(Arc<Inner>);

struct Inner {
    store: Store,
    /// The collector's configuration.
    file: PathBuf,
    hands: Reload,
    bell: Bell,
    /// Somebody asked to read everything again.
    wished: Notify,
    now: Mutex<Held>,
    /// One at a time changes what is in force.
    turn: tokio::sync::Mutex<()>,
}

/// What is held while nobody changes it.
#[derive(Clone, Debug)]
struct Held {
    basis: Arc<Basis>,
    standing: Arc<Standing>,
    /// Until when exceptions were looked at.
    looked: Timestamp,
    /// Why the policy's file does not count, if it does not.
    file: Option<String>,
}

impl Beginning {
    /// Takes the policy's file, if it has changed while the collector was away, and looks what is in
    /// force. A file that makes no sense does not keep a collector from going on as before.
    ///
    /// # Errors
    /// The database's; or there is no policy that can be read.
    pub(crate) async fn of(store: &Store, config: &Config, now: Timestamp) -> anyhow::Result<Self> {
        let basis = Basis::of(config);
        if let Err(error) = taken::take(store, &basis, now).await {
            if versions::newest(store).await? == 0 {
                return Err(error);
            }
            tracing::error!(
                error = format!("{error:#}"),
                "the policy's file is not used; the last good policy stays in force"
            );
        }
        let standing = standing::find(store, &basis).await?;
        if standing.version.is_none() {
            let file = basis.file.display();
            tracing::info!(%file, "there is no policy: the defaults hold");
        }
        Ok(Self { basis, standing })
    }

    /// What it says, and since when.
    pub(crate) fn policy(&self) -> (Policy, Timestamp) {
        (self.standing.policy.clone(), self.standing.since())
    }
}

impl Ruling {
    /// Follows what is in force from there, and has `hands` change what goes by it.
    pub(crate) fn new(
        (store, bell): (Store, Bell),
        file: &Path,
        beginning: Beginning,
        hands: Reload,
        now: Timestamp,
    ) -> Self {
        let Beginning { basis, standing } = beginning;
        Self(Arc::new(Inner {
            store,
            file: file.to_owned(),
            hands,
            bell,
            wished: Notify::new(),
            now: Mutex::new(Held {
                basis: Arc::new(basis),
                standing: Arc::new(standing),
                looked: now,
                file: None,
            }),
            turn: tokio::sync::Mutex::new(()),
        }))
    }

    /// Has the configuration and the policy be read again.
    pub(crate) fn wish(&self) {
        self.0.wished.notify_one();
    }

    /// Follows until told to stop.
    ///
    /// # Errors
    /// None.
    pub(crate) async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(GLANCE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch::of(&self.held().basis.file);
        self.tell(clock::now()).await;
        // The file may have changed between the start and the watch.
        let (mut again, mut well) = (true, true);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.0.wished.notified() => self.read_again(clock::now()).await,
                () = watch.changed() => again = true,
                _ = tick.tick() => {}
            }
            if std::mem::take(&mut again) {
                again = !self.take(clock::now()).await;
            }
            well = match self.look(clock::now()).await {
                Ok(()) => true,
                // Said once, and not each second while the database is away.
                Err(error) => {
                    let error = format!("{error:#}");
                    if well {
                        tracing::error!(error, "cannot look for another policy; this one stays");
                    }
                    false
                }
            };
            let basis = self.held().basis;
            if basis.file != watch.file() {
                watch = Watch::of(&basis.file);
            }
        }
    }

    /// Takes the policy's file, if it has changed; whether that is done with, for good or ill.
    async fn take(&self, now: Timestamp) -> bool {
        let _turn = self.0.turn.lock().await;
        let taken = taken::take(&self.0.store, &self.held().basis, now).await;
        let done = match &taken {
            Ok(_) => true,
            // The database's, or another collector was first: worth another look.
            Err(error) => error.downcast_ref::<sqlx::Error>().is_none(),
        };
        if let Err(error) = &taken {
            let error = format!("{error:#}");
            tracing::error!(error, "the policy's file is not used; the old policy stays");
        }
        self.note(taken.map(drop), now).await;
        done
    }

    /// Notes whether the policy's file counts, and tells people if it does not.
    async fn note(&self, taken: anyhow::Result<()>, now: Timestamp) {
        let why = taken.as_ref().err().map(|error| format!("{error:#}"));
        let held = self.held();
        let is_ours = taken.as_ref().is_err_and(|error| error.is::<sqlx::Error>());
        if !is_ours && (why.is_none() || why != held.file) {
            let parts = (&self.0.store, &self.0.bell);
            told::file(parts, &held.basis.file, &taken, now).await;
        }
        self.hold().file = why;
    }

    /// Reads the configuration again, and the policy: if either is bad, neither changes anything.
    async fn read_again(&self, now: Timestamp) {
        let _turn = self.0.turn.lock().await;
        let read = self.again(now).await;
        measure(read.is_ok());
        match read {
            Ok(()) => {
                let file = self.0.file.display();
                tracing::info!(%file, "read the configuration again");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(
                    error,
                    "the new configuration is not used; the old one stays"
                );
            }
        }
    }

    async fn again(&self, now: Timestamp) -> anyhow::Result<()> {
        let config = Config::alone(&self.0.file)?;
        let basis = Basis::of(&config);
        let taken = taken::take(&self.0.store, &basis, now).await;
        let trouble = taken.as_ref().err().map(|error| format!("{error:#}"));
        self.note(taken.map(drop), now).await;
        anyhow::ensure!(trouble.is_none(), trouble.unwrap_or_default());
        let standing = standing::find(&self.0.store, &basis).await?;
        self.0.hands.configure(config);
        self.hold().basis = Arc::new(basis);
        self.follow(standing, now).await;
        Ok(())
    }

    /// Looks whether there is another version, or an exception has ended.
    async fn look(&self, now: Timestamp) -> anyhow::Result<()> {
        let held = self.held();
        let newest = versions::newest(&self.0.store).await?;
        if newest != held.standing.newest() {
            let _turn = self.0.turn.lock().await;
            let standing = standing::find(&self.0.store, &held.basis).await?;
            self.follow(standing, now).await;
            return Ok(());
        }
        let end = held.standing.policy.restriction.next_end(held.looked);
        if end.is_some_and(|end| end <= now) {
            tracing::info!("an exception of the policy has ended");
            self.rule(&held.standing);
        }
        self.hold().looked = now;
        Ok(())
    }

    /// From now on this is in force.
    async fn follow(&self, standing: Standing, now: Timestamp) {
        self.rule(&standing);
        {
            let mut held = self.hold();
            held.looked = now;
            held.standing = Arc::new(standing);
        }
        self.tell(now).await;
    }

    fn rule(&self, standing: &Standing) {
        let (policy, since) = (standing.policy.clone(), standing.since());
        self.0.hands.rule(policy, since);
    }

    async fn tell(&self, now: Timestamp) {
        told::tell((&self.0.store, &self.0.bell), &self.held().standing, now).await;
    }

    fn held(&self) -> Held {
        self.hold().clone()
    }

    fn hold(&self) -> MutexGuard<'_, Held> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says for monitoring whether the configuration was right when it was last read.
fn measure(right: bool) {
    let right = f64::from(u8::from(right));
    ::metrics::gauge!("watchward_config_last_reload_successful").set(right);
}
