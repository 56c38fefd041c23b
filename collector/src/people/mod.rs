//! People: their accounts, how they prove who they are, and what they did to sign in.

mod limits;
mod password;
mod rows;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::secret::Secret;
use watchward_daemon::tasks::Stop;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::store::{Store, timer};

use limits::{Asking, Limits};
use password::Hashing;

pub use password::{Weakness, is_name};
pub use rows::{Account, Event, Happened, SCHEMA};

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

/// The first account, made at the first start.
const FIRST: &str = "admin";

/// How long a one-time password can be used.
const ONE_TIME_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Who knows an address by heart: somebody who signed in from there within this time is not held up
/// by strangers who try the same name elsewhere.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// How often it is noted that a session is in use.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// Everybody who may sign in.
#[derive(Clone, Debug)]
pub struct People {
    store: Store,
    config: Live<Config>,
    hashing: Hashing,
    limits: Arc<Mutex<Limits>>,
}

/// Somebody at the door.
#[derive(Debug)]
pub struct Stranger {
    /// The name as it was typed.
    pub name: String,
    /// The password as it was typed.
    pub password: Secret,
    /// Where from; `None` behind a proxy, where nobody can say.
    pub address: Option<IpAddr>,
}

/// What comes of a try to sign in.
#[derive(Debug)]
pub enum Answer {
    /// Welcome: the secret of the new session, which is kept nowhere.
    In(Secret),
    /// No such name, or not its password: which of them is not said.
    Wrong,
    /// Too many tries: not before so long.
    Later(Duration),
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Their account's number.
    pub account: i64,
    /// Their account's name.
    pub name: String,
    /// Whether they have to choose a password before anything else.
    pub must_change: bool,
    hash: [u8; 32],
}

/// What comes of a wish for another password.
#[derive(Debug)]
pub enum Change {
    /// Done: every session of theirs has ended, and this is the secret of a new one.
    Done(Secret),
    /// The old password is another one.
    Wrong,
    /// Too many tries.
    Later(Duration),
    /// The new one will not do.
    Weak(Weakness),
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

    /// At the first start, makes the first account and says its one-time password in the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn welcome(&self, now: Timestamp) -> anyhow::Result<()> {
        if rows::is_somebody(&self.store).await? {
            return Ok(());
        }
        if let Some(once) = self.add(FIRST, now).await? {
            tracing::warn!(
                "the first account is made: sign in as \"{FIRST}\" with the one-time password {}. \
                 It is said only here, and can be used until {}",
                once.reveal(),
                now + ONE_TIME_LIFE
            );
        }
        Ok(())
    }

    /// Adds an account: its one-time password, or `None` if there is one of this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn add(&self, name: &str, now: Timestamp) -> anyhow::Result<Option<Secret>> {
        let (once, hash) = self.one_time().await?;
        let mut tx = self.store.begin().await?;
        let until = now + ONE_TIME_LIFE;
        let Some(account) = rows::add(&mut tx, name, &hash, (now, until)).await? else {
            return Ok(None);
        };
        rows::remember(&mut tx, now, Event::Added, Some((account, name)), None).await?;
        tx.commit().await?;
        Ok(Some(once))
    }

    /// Gives an account a new one-time password, and ends its sessions; `None` if there is no such
    /// account.
    ///
    /// # Errors
    /// The database's.
    pub async fn reset(&self, name: &str, now: Timestamp) -> anyhow::Result<Option<Secret>> {
        let (once, hash) = self.one_time().await?;
        let mut tx = self.store.begin().await?;
        let Some(login) = rows::login(&mut *tx, name).await? else {
            return Ok(None);
        };
        let until = Some(now + ONE_TIME_LIFE);
        rows::set_password(&mut tx, login.account, &hash, (now, until)).await?;
        rows::end_all(&mut tx, login.account).await?;
        rows::remember(
            &mut tx,
            now,
            Event::Reset,
            Some((login.account, name)),
            None,
        )
        .await?;
        tx.commit().await?;
        self.limits().forget_name(name);
        Ok(Some(once))
    }

    /// Removes an account and ends its sessions; `false` if there is none of this name.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, name: &str, now: Timestamp) -> sqlx::Result<bool> {
        let mut tx = self.store.begin().await?;
        let Some(login) = rows::login(&mut *tx, name).await? else {
            return Ok(false);
        };
        rows::end_all(&mut tx, login.account).await?;
        rows::remove(&mut tx, login.account).await?;
        rows::remember(
            &mut tx,
            now,
            Event::Removed,
            Some((login.account, name)),
            None,
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn one_time(&self) -> anyhow::Result<(Secret, String)> {
        let once = password::one_time();
        let hash = self.hashing.hash(&once).await?;
        Ok((once, hash))
    }

    /// Lets somebody in, or not. What is said and how long it takes is the same whether there is
    /// such a name or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn sign_in(&self, stranger: &Stranger, now: Timestamp) -> anyhow::Result<Answer> {
        let login = rows::login(self.store.read(), &stranger.name).await?;
        let known = match (&login, stranger.address) {
            (Some(login), Some(address)) => {
                rows::came_from(&self.store, login.account, address, now - KNOWN_FOR).await?
            }
            _ => false,
        };
        let who = login
            .as_ref()
            .map(|login| (login.account, stranger.name.as_str()));
        let asking = Asking::new(&stranger.name, stranger.address, known);
        if let Err(wait) = self.limits().ask(&asking, now) {
            return Ok(Answer::Later(wait));
        }
        let hash = login.as_ref().map(|login| login.password.as_str());
        let Some(right) = self.hashing.verify(&stranger.password, hash).await? else {
            return Ok(Answer::Later(Duration::from_secs(5)));
        };
        let usable = |login: &rows::Login| login.usable_until.is_none_or(|until| now < until);
        let mut tx = self.store.begin().await?;
        let Some(login) = login.as_ref().filter(|login| right && usable(login)) else {
            rows::remember(&mut tx, now, Event::Failed, who, stranger.address).await?;
            tx.commit().await?;
            return Ok(Answer::Wrong);
        };
        self.limits().succeed(&asking);
        let secret = password::secret();
        let hash = password::session_hash(secret.reveal());
        rows::begin(&mut tx, &hash, login.account, now).await?;
        rows::remember(&mut tx, now, Event::SignedIn, who, stranger.address).await?;
        tx.commit().await?;
        Ok(Answer::In(secret))
    }

    /// Who has this session's secret, if it still counts.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, secret: &str, now: Timestamp) -> sqlx::Result<Option<Session>> {
        let config = self.config.now();
        let oldest = (
            now - config.session_life.duration(),
            now - config.idle.duration(),
        );
        let hash = password::session_hash(secret);
        let Some((session, seen)) = rows::session(&self.store, hash, oldest).await? else {
            return Ok(None);
        };
        if now.since(seen) > NOTE_EVERY {
            let mut tx = self.store.begin().await?;
            rows::seen(&mut tx, &hash, now).await?;
            tx.commit().await?;
        }
        Ok(Some(session))
    }

    /// Whether a session still counts, asked by what goes on by itself: that is no use of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_in(&self, session: &Session, now: Timestamp) -> sqlx::Result<bool> {
        let config = self.config.now();
        let oldest = (
            now - config.session_life.duration(),
            now - config.idle.duration(),
        );
        let found = rows::session(&self.store, session.hash, oldest).await?;
        Ok(found.is_some())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database's.
    pub async fn sign_out(
        &self,
        session: &Session,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        rows::end(&mut tx, &session.hash).await?;
        let who = Some((session.account, session.name.as_str()));
        rows::remember(&mut tx, now, Event::SignedOut, who, address).await?;
        tx.commit().await
    }

    /// Gives somebody another password, if they know the old one, and ends all their sessions.
    ///
    /// # Errors
    /// The database's.
    pub async fn change(
        &self,
        session: &Session,
        (old, new): (&Secret, &Secret),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Change> {
        let asking = Asking::new(&session.name, address, true);
        if let Err(wait) = self.limits().ask(&asking, now) {
            return Ok(Change::Later(wait));
        }
        let login = rows::login(self.store.read(), &session.name).await?;
        let hash = login.as_ref().map(|login| login.password.as_str());
        match self.hashing.verify(old, hash).await? {
            None => return Ok(Change::Later(Duration::from_secs(5))),
            Some(false) => return Ok(Change::Wrong),
            Some(true) => self.limits().succeed(&asking),
        }
        if let Some(weakness) = password::weakness(&session.name, old, new) {
            return Ok(Change::Weak(weakness));
        }
        let hash = self.hashing.hash(new).await?;
        let secret = password::secret();
        let mut tx = self.store.begin().await?;
        rows::set_password(&mut tx, session.account, &hash, (now, None)).await?;
        rows::end_all(&mut tx, session.account).await?;
        let session_hash = password::session_hash(secret.reveal());
        rows::begin(&mut tx, &session_hash, session.account, now).await?;
        let who = Some((session.account, session.name.as_str()));
        rows::remember(&mut tx, now, Event::Changed, who, address).await?;
        tx.commit().await?;
        Ok(Change::Done(secret))
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn accounts(&self) -> sqlx::Result<Vec<Account>> {
        rows::accounts(&self.store).await
    }

    /// What happened at the door, the newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn happened(&self, limit: i64) -> sqlx::Result<Vec<Happened>> {
        rows::happened(&self.store, limit).await
    }

    /// Forgets what is too old, until told to stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let config = self.config;
        timer::run(
            self.store,
            move |tx, now, _| {
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
