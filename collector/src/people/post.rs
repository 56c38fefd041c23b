//! Letters to people: what carries them, and the loop that has them carried.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::Address;
use serde::Serialize;
use watchward_daemon::clock;
use watchward_daemon::secret::Secret;
use watchward_daemon::tasks::Stop;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::rows::invitation::{self, Due};
use super::{People, password};

/// How long one attempt may take before another collector tries.
const LEASE: Duration = Duration::from_secs(300);

/// How often it is looked at what is due when nobody rings, and the longest wait after a failure.
const LOOK: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);

/// An email address, such as `ada@example.org`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// This text, if it is an email address.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = Foreign::from(text).to_string() == text && text.len() <= 254;
        let address = text.parse::<Address>().ok().filter(|_| plain)?;
        Some(Self(address.to_string()))
    }

    /// As it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An invitation on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Whom it goes to.
    pub to: String,
    /// The name of their account.
    pub name: String,
    /// What the link carries: kept nowhere but in the letter.
    pub token: Secret,
    /// Until when it can be used.
    pub until: Timestamp,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It is out of our hands, or lies in its file.
    Taken(String),
    /// To be tried again.
    Later(String),
    /// It never will be taken.
    Refused(String),
}

/// What carries letters.
pub trait Post: fmt::Debug + Send + Sync {
    /// The link that carries this token.
    fn link(&self, token: &Secret) -> String;

    /// The file that a letter to this account is written into, while no server sends it.
    fn place(&self, name: &str) -> Option<PathBuf>;

    /// Carries a letter.
    fn carry(&self, letter: Letter) -> BoxFuture<'_, Carried>;
}

/// Where there is no post: links are handed over as they are.
#[derive(Debug)]
pub(super) struct Nobody;

impl Post for Nobody {
    fn link(&self, token: &Secret) -> String {
        format!("/welcome?token={}", token.reveal())
    }

    fn place(&self, _: &str) -> Option<PathBuf> {
        None
    }

    fn carry(&self, _: Letter) -> BoxFuture<'_, Carried> {
        Box::pin(async { Carried::Refused("nobody carries letters".to_owned()) })
    }
}

impl People {
    /// Has letters carried until told to stop; what is on its way then is waited for.
    ///
    /// # Errors
    /// None.
    pub async fn send_letters(self, stop: Stop) -> anyhow::Result<()> {
        loop {
            if let Err(error) = self.send_due(clock::now()).await {
                tracing::error!(%error, "cannot look for letters; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.bell.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Has those letters carried that are due.
    pub(super) async fn send_due(&self, now: Timestamp) -> sqlx::Result<()> {
        for due in invitation::due(&self.store, now).await? {
            self.send(&due, now).await?;
        }
        Ok(())
    }

    /// The token is made here and not before, so that it is nowhere but in the letter: of what is kept
    /// nobody can sign in. Sent once more, it is another, and the one before is void.
    async fn send(&self, due: &Due, now: Timestamp) -> sqlx::Result<()> {
        let token = password::secret();
        let hash = password::session_hash(token.reveal());
        let mut tx = self.store.begin().await?;
        let taken = invitation::take(&mut tx, due, &hash, now + LEASE).await?;
        tx.commit().await?;
        if !taken {
            return Ok(());
        }
        let letter = Letter {
            to: due.email.clone(),
            name: due.name.clone(),
            token,
            until: due.until,
        };
        let (note, again) = match self.post.carry(letter).await {
            Carried::Taken(note) => (note, None),
            Carried::Refused(note) => (format!("refused: {note}"), None),
            Carried::Later(note) => (note, Some(now + patience(due.attempts))),
        };
        let name = &due.name;
        tracing::info!(person.name = name, note, again = again.is_some(), "invited");
        let mut tx = self.store.begin().await?;
        invitation::record(&mut tx, due, &note, again).await?;
        tx.commit().await
    }
}

/// How long to wait after so many attempts before this one.
fn patience(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 10)).unwrap_or(10);
    Duration::from_secs(5 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_is_an_address() {
        assert_eq!(
            Email::of(" ada@example.org ").unwrap().as_str(),
            "ada@example.org"
        );
        for wrong in [
            "",
            "ada",
            "ada@",
            "a@b\r\nBcc: c@d",
            "Ada <ada@example.org>",
            "a@b, c@d",
        ] {
            assert_eq!(Email::of(wrong), None, "{wrong:?}");
        }
    }
}
