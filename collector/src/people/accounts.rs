//! Who may sign in, and with which roles: accounts made, changed, reset and removed.

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::role::{Role, Roles};
use super::rows::event::{Author, Event, Note};
use super::rows::session::Session;
use super::rows::{account, factor, invitation, session};
use super::{People, is_name, password};
use crate::store::Tx;

/// The first account, made at the first start.
const FIRST: &str = "admin";

/// How long a one-time password can be used.
pub(super) const ONE_TIME_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Why an account cannot be changed like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// Names are simple.
    #[error("a name has letters, digits, '.', '-', '_' and '@', at most 64")]
    Name,
    /// Another has it.
    #[error("there is an account of this name, or of one that differs in case alone")]
    Taken,
    /// Emails have to arrive.
    #[error("that is no email address such as \"ada@example.org\"")]
    Email,
    /// Nobody but whom it is for may see the link.
    #[error(
        "no email address is known of this account: `watchward people reset` on the collector's \
         machine shows a link to hand over"
    )]
    NoEmail,
    /// Nobody has it.
    #[error("there is no account of this name")]
    Missing,
    /// Who has none may see nothing.
    #[error("at least one role is needed")]
    NoRole,
    /// Somebody has to say who may do what.
    #[error("this is the only administrator: make somebody else one first")]
    LastAdministrator,
}

/// What became of a wish to change an account.
pub type Done<T> = anyhow::Result<Result<T, Unfit>>;

impl People {
    /// At the first start, makes the first account and says its one-time password in the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn welcome(&self, now: Timestamp) -> anyhow::Result<()> {
        if account::is_somebody(&self.store).await? {
            return Ok(());
        }
        let by = Author {
            name: "the collector".to_owned(),
            address: None,
        };
        let roles = Roles::from(Role::Administrator);
        if let Ok(once) = self.add((FIRST, &roles), &by, now).await? {
            tracing::warn!(
                "the first account is made: sign in as \"{FIRST}\" with the one-time password {}. \
                 It is said only here, and can be used until {}",
                once.reveal(),
                now + ONE_TIME_LIFE
            );
        }
        Ok(())
    }

    /// Adds an account with a one-time password.
    pub(crate) async fn add(
        &self,
        (name, roles): (&str, &Roles),
        by: &Author,
        now: Timestamp,
    ) -> Done<Secret> {
        if !is_name(name) {
            return Ok(Err(Unfit::Name));
        }
        if roles.is_empty() {
            return Ok(Err(Unfit::NoRole));
        }
        let (once, hash) = self.one_time().await?;
        let mut tx = self.store.begin().await?;
        let until = now + ONE_TIME_LIFE;
        let added = account::add(&mut tx, (name, roles), &hash, (now, until)).await?;
        let Some(account) = added else {
            return Ok(Err(Unfit::Taken));
        };
        let note = Note::of(Event::Added).about((account, name)).by(by);
        note.saying(roles.to_string()).keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Ok(once))
    }

    /// Gives an account other roles. They count from the next click on.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_roles(
        &self,
        (name, roles): (&str, &Roles),
        by: &Author,
        now: Timestamp,
    ) -> Done<()> {
        if roles.is_empty() {
            return Ok(Err(Unfit::NoRole));
        }
        let mut tx = self.store.begin().await?;
        let Some(login) = account::login(&mut *tx, name).await? else {
            return Ok(Err(Unfit::Missing));
        };
        if !roles.has(&Role::Administrator) && is_last(&mut tx, login.account).await? {
            return Ok(Err(Unfit::LastAdministrator));
        }
        account::set_roles(&mut tx, login.account, roles).await?;
        let note = Note::of(Event::Roles).about((login.account, name)).by(by);
        note.saying(roles.to_string()).keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Removes an account and ends its sessions.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, name: &str, by: &Author, now: Timestamp) -> Done<()> {
        let mut tx = self.store.begin().await?;
        let Some(login) = account::login(&mut *tx, name).await? else {
            return Ok(Err(Unfit::Missing));
        };
        if is_last(&mut tx, login.account).await? {
            return Ok(Err(Unfit::LastAdministrator));
        }
        session::end_all(&mut tx, login.account).await?;
        invitation::forget(&mut tx, login.account).await?;
        factor::forget_all(&mut tx, login.account).await?;
        account::remove(&mut tx, login.account).await?;
        let note = Note::of(Event::Removed).about((login.account, name)).by(by);
        note.keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Ok(()))
    }

    /// Keeps that somebody was refused what none of their roles may: the same once a minute, and
    /// only a few of an account, or whoever is in could fill the trail. `what` is one of a few that
    /// there are, and nothing that they may choose.
    ///
    /// # Errors
    /// The database's.
    pub async fn refuse(
        &self,
        session: &Session,
        what: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        if !self.refusals().is_news(session.account, what, now) {
            return Ok(());
        }
        let whose = (session.account, session.name.as_str());
        let mut tx = self.store.begin().await?;
        let note = Note::of(Event::Refused).about(whose).from(address);
        note.saying(what).keep(&mut tx, now).await?;
        tx.commit().await
    }

    /// Who can give roles: the names of all administrators.
    ///
    /// # Errors
    /// The database's.
    pub async fn administrators(&self) -> sqlx::Result<Vec<String>> {
        let mut all = self.accounts().await?;
        all.retain(|account| account.roles.has(&Role::Administrator));
        Ok(all.into_iter().map(|account| account.name).collect())
    }

    async fn one_time(&self) -> anyhow::Result<(Secret, String)> {
        let once = password::one_time();
        let hash = self.hashing.hash(&once).await?;
        Ok((once, hash))
    }
}

/// Whether this account is the only administrator.
async fn is_last(tx: &mut Tx, account: i64) -> sqlx::Result<bool> {
    Ok(account::administrators(tx).await? == [account])
}
