//! How somebody proves who they are, and for how long that counts.

use std::net::IpAddr;
use std::time::Duration;

use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::People;
use super::factor::SecondFactor;
use super::limits::Asking;
use super::password::{self, Weakness};
use super::rows::event::{self, Event, Note};
use super::rows::session::{self, Session};
use super::rows::{account, factor};

/// Who knows an address by heart: somebody who signed in from there within this time is not held up
/// by strangers who try the same name elsewhere.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// How often it is noted that a session is in use.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// How long after the password a code may follow.
const HALF_LIFE: Duration = Duration::from_secs(600);

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
    /// The password is right. This is the secret of half a session: a code is to follow.
    Code(Secret),
    /// No such name, or not its password: which of them is not said.
    Wrong,
    /// Too many tries: not before so long.
    Later(Duration),
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
    /// Lets somebody in, or not. What is said and how long it takes is the same whether there is
    /// such a name or not.
    ///
    /// # Errors
    /// The database's.
    pub async fn sign_in(&self, stranger: &Stranger, now: Timestamp) -> anyhow::Result<Answer> {
        let login = account::login(self.store.read(), &stranger.name).await?;
        let known = match (&login, stranger.address) {
            (Some(login), Some(address)) => {
                event::came_from(&self.store, login.account, address, now - KNOWN_FOR).await?
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
        let usable = |login: &account::Login| login.usable_until.is_none_or(|until| now < until);
        let mut tx = self.store.begin().await?;
        let mut login = login.as_ref().filter(|login| right && usable(login));
        if let Some(found) = login {
            // Meanwhile somebody may have reset it, or used it for the one time.
            let until = found.usable_until.map(|_| now);
            if !account::enter(&mut tx, found, until).await? {
                login = None;
            }
        }
        let Some(login) = login else {
            let failed = Note::of(Event::Failed).about(who).from(stranger.address);
            failed.keep(&mut tx, now).await?;
            tx.commit().await?;
            return Ok(Answer::Wrong);
        };
        let secret = password::secret();
        let hash = password::session_hash(secret.reveal());
        if factor::exists(&mut tx, login.account).await? {
            session::begin_half(&mut tx, &hash, login.account, now).await?;
            tx.commit().await?;
            self.limits().succeed(&asking, now);
            return Ok(Answer::Code(secret));
        }
        self.limits().succeed(&asking, now);
        session::begin(&mut tx, &hash, login.account, now).await?;
        let entered = Note::of(Event::SignedIn).about(who).from(stranger.address);
        entered.keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Answer::In(secret))
    }

    /// Who has this session's secret, if it still counts.
    ///
    /// # Errors
    /// The database's.
    pub async fn session(&self, secret: &str, now: Timestamp) -> sqlx::Result<Option<Session>> {
        let hash = password::session_hash(secret);
        let Some((session, seen)) = self.found(hash, now).await? else {
            return Ok(None);
        };
        if now.since(seen) > NOTE_EVERY {
            let mut tx = self.store.begin().await?;
            session::seen(&mut tx, &hash, now).await?;
            tx.commit().await?;
        }
        Ok(Some(session))
    }

    /// A session as it is now if it still counts, asked by what goes on by itself: that is no use of
    /// it.
    ///
    /// # Errors
    /// The database's.
    pub async fn still(&self, session: &Session, now: Timestamp) -> sqlx::Result<Option<Session>> {
        let found = self.found(session.hash, now).await?;
        Ok(found.map(|(session, _)| session))
    }

    async fn found(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> sqlx::Result<Option<(Session, Timestamp)>> {
        let config = self.config.now();
        let oldest = (
            now - config.session_life.duration(),
            now - config.idle.duration(),
        );
        let found = session::session(&self.store, hash, false, oldest).await?;
        Ok(found.map(|(mut session, seen)| {
            session.must_enrol &= config.second_factor == SecondFactor::Required;
            (session, seen)
        }))
    }

    /// Who has given the password a moment ago, and has to give a code.
    ///
    /// # Errors
    /// The database's.
    pub async fn half(&self, secret: &str, now: Timestamp) -> sqlx::Result<Option<Session>> {
        let hash = password::session_hash(secret);
        let oldest = now - HALF_LIFE;
        let found = session::session(&self.store, hash, true, (oldest, oldest)).await?;
        Ok(found.map(|(session, _)| session))
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
        session::end(&mut tx, &session.hash).await?;
        let who = (session.account, session.name.as_str());
        let left = Note::of(Event::SignedOut).about(who).from(address);
        left.keep(&mut tx, now).await?;
        tx.commit().await
    }

    /// Gives somebody another password, and ends all their sessions. They have to know the old one,
    /// unless that was for once and has let them in just now.
    ///
    /// # Errors
    /// The database's.
    pub async fn change(
        &self,
        session: &Session,
        (old, new): (Option<&Secret>, &Secret),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Change> {
        let asking = Asking::new(&session.name, address, true);
        if let Err(wait) = self.limits().ask(&asking, now) {
            return Ok(Change::Later(wait));
        }
        let login = account::login(self.store.read(), &session.name).await?;
        let Some(login) = login else {
            return Ok(Change::Wrong);
        };
        let kept = Some(login.password.as_str());
        let known = match old {
            Some(old) => self.hashing.verify(old, kept).await?,
            None => Some(session.must_change),
        };
        match known {
            None => return Ok(Change::Later(Duration::from_secs(5))),
            Some(false) => return Ok(Change::Wrong),
            Some(true) => self.limits().succeed(&asking, now),
        }
        if let Some(weakness) = password::weakness(&session.name, new) {
            return Ok(Change::Weak(weakness));
        }
        if self.hashing.verify(new, kept).await? != Some(false) {
            return Ok(Change::Weak(Weakness::Old));
        }
        let hash = self.hashing.hash(new).await?;
        let secret = password::secret();
        let mut tx = self.store.begin().await?;
        if !account::enter(&mut tx, &login, login.usable_until).await? {
            return Ok(Change::Wrong);
        }
        account::set_password(&mut tx, session.account, &hash, (now, None)).await?;
        session::end_all(&mut tx, session.account).await?;
        let session_hash = password::session_hash(secret.reveal());
        session::begin(&mut tx, &session_hash, session.account, now).await?;
        if session.proved {
            session::prove(&mut tx, &session_hash, session.proved_at).await?;
        }
        let who = (session.account, session.name.as_str());
        let changed = Note::of(Event::Changed).about(who).from(address);
        changed.keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Change::Done(secret))
    }
}
