//! Who may sign in: accounts made, reset and removed.

use std::time::Duration;

use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::rows::event::{self, Event};
use super::rows::{account, session};
use super::{People, password};

/// The first account, made at the first start.
const FIRST: &str = "admin";

/// How long a one-time password can be used.
pub(super) const ONE_TIME_LIFE: Duration = Duration::from_secs(7 * 86_400);

impl People {
    /// At the first start, makes the first account and says its one-time password in the log.
    ///
    /// # Errors
    /// The database's.
    pub async fn welcome(&self, now: Timestamp) -> anyhow::Result<()> {
        if account::is_somebody(&self.store).await? {
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
        let Some(account) = account::add(&mut tx, name, &hash, (now, until)).await? else {
            return Ok(None);
        };
        event::remember(&mut tx, now, Event::Added, Some((account, name)), None).await?;
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
        let Some(login) = account::login(&mut *tx, name).await? else {
            return Ok(None);
        };
        let until = Some(now + ONE_TIME_LIFE);
        account::set_password(&mut tx, login.account, &hash, (now, until)).await?;
        session::end_all(&mut tx, login.account).await?;
        event::remember(
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
        let Some(login) = account::login(&mut *tx, name).await? else {
            return Ok(false);
        };
        session::end_all(&mut tx, login.account).await?;
        account::remove(&mut tx, login.account).await?;
        event::remember(
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
}
