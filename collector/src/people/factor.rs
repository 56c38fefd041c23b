//! Second factors: a code from a phone, or one of ten that were written down.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::door::Answer;
use super::limits::Asking;
use super::rows::event::{Event, Note};
use super::rows::factor::{self, Factor};
use super::rows::session::{self, Session};
use super::{People, password, totp};
use crate::store::Tx;

/// How many recovery codes there are.
const RECOVERY: usize = 10;

/// Whether everybody has to have a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecondFactor {
    /// Whoever has none has to set one up before anything else.
    #[default]
    Required,
    /// Who wants one.
    Optional,
}

/// What an account has.
#[derive(Debug)]
pub enum Having {
    /// One that counts, since then, with so many recovery codes left.
    One(Timestamp, i64),
    /// One to be confirmed still.
    Offer(Offer),
}

/// A second factor that nobody has confirmed yet.
#[derive(Debug)]
pub struct Offer {
    /// Its secret, as people type it.
    pub words: Secret,
    /// What its QR code says.
    pub uri: Secret,
}

/// What came of a code.
#[derive(Debug)]
pub enum Checked<T> {
    /// It is right.
    Right(T),
    /// It is wrong, or was used before.
    Wrong,
    /// Too many tries.
    Later(Duration),
}

impl People {
    /// What this account has; if it is nothing, a second factor is made for it.
    ///
    /// # Errors
    /// The database's, or the secret cannot be unsealed.
    pub async fn factor(&self, session: &Session, now: Timestamp) -> anyhow::Result<Having> {
        let account = session.account;
        let mut found = factor::factor(self.store.read(), account).await?;
        if found.is_none() {
            let sealed = self.sealing.seal(&what(account), &*totp::secret())?;
            let mut tx = self.store.begin().await?;
            factor::offer(&mut tx, account, sealed, now).await?;
            found = factor::factor(&mut *tx, account).await?;
            tx.commit().await?;
        }
        let Some(found) = found else {
            anyhow::bail!("a second factor is gone that was there just now");
        };
        if found.confirmed {
            return Ok(Having::One(found.made_at, found.recovery));
        }
        let secret = self.sealing.unseal(&what(account), &found.secret)?;
        Ok(Having::Offer(Offer {
            words: Secret::from(totp::words(&secret).to_string()),
            uri: Secret::from(totp::uri(&secret, &session.name).to_string()),
        }))
    }

    /// Confirms a second factor by one of its codes: from now on it counts, and these are the
    /// recovery codes, which are kept only as hashes.
    ///
    /// # Errors
    /// The database's, or the secret cannot be unsealed.
    pub async fn enrol(
        &self,
        session: &Session,
        typed: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Checked<Vec<Secret>>> {
        if let Err(wait) = self.limits().ask_code(session.account, now) {
            return Ok(Checked::Later(wait));
        }
        let account = session.account;
        let mut tx = self.store.begin().await?;
        let found = factor::factor(&mut *tx, account).await?;
        let Some(found) = found.filter(|found| !found.confirmed) else {
            return Ok(Checked::Wrong);
        };
        if !self.fits(&mut tx, (account, &found), typed, now).await? {
            return Ok(Checked::Wrong);
        }
        let mut codes = Vec::new();
        for _ in 0..RECOVERY {
            let code = password::one_time();
            let hash = password::session_hash(code.reveal());
            factor::add_recovery(&mut tx, account, &hash).await?;
            codes.push(code);
        }
        let note = Note::of(Event::Enrolled).about((account, session.name.as_str()));
        note.from(address).keep(&mut tx, now).await?;
        tx.commit().await?;
        self.limits().right_code(account);
        Ok(Checked::Right(codes))
    }

    /// Gives a second factor up for another one, by a code of it.
    ///
    /// # Errors
    /// The database's, or the secret cannot be unsealed.
    pub async fn unenrol(
        &self,
        session: &Session,
        typed: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Checked<()>> {
        let whose = (session.account, session.name.as_str());
        match self.check(whose, typed, address, now).await? {
            Checked::Right(mut tx) => {
                factor::forget(&mut tx, session.account).await?;
                let note = Note::of(Event::Unenrolled).about(whose).from(address);
                note.keep(&mut tx, now).await?;
                tx.commit().await?;
                Ok(Checked::Right(()))
            }
            Checked::Wrong => Ok(Checked::Wrong),
            Checked::Later(wait) => Ok(Checked::Later(wait)),
        }
    }

    /// Lets in who has given the password and now gives a code. It takes as long as a password does.
    ///
    /// # Errors
    /// The database's, or the secret cannot be unsealed.
    pub async fn prove(
        &self,
        half: &Session,
        typed: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        let asking = Asking::new(&half.name, address, true);
        if let Err(wait) = self.limits().ask(&asking, now) {
            return Ok(Answer::Later(wait));
        }
        let slow = Secret::from(typed.to_owned());
        if self.hashing.verify(&slow, None).await?.is_none() {
            return Ok(Answer::Later(Duration::from_secs(5)));
        }
        let whose = (half.account, half.name.as_str());
        let mut tx = match self.check(whose, typed, address, now).await? {
            Checked::Right(tx) => tx,
            Checked::Wrong => return Ok(Answer::Wrong),
            Checked::Later(wait) => return Ok(Answer::Later(wait)),
        };
        if !session::take_half(&mut tx, &half.hash).await? {
            return Ok(Answer::Wrong);
        }
        let secret = password::secret();
        let hash = password::session_hash(secret.reveal());
        session::begin(&mut tx, &hash, half.account, now).await?;
        let note = Note::of(Event::SignedIn).about(whose).from(address);
        note.keep(&mut tx, now).await?;
        tx.commit().await?;
        self.limits().succeed(&asking);
        self.limits().forget_name(&half.name);
        Ok(Answer::In(secret))
    }

    /// Uses a code, or a recovery code: right, with the transaction that it is used in.
    async fn check(
        &self,
        whose: (i64, &str),
        typed: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Checked<Tx>> {
        let (account, _) = whose;
        if let Err(wait) = self.limits().ask_code(account, now) {
            return Ok(Checked::Later(wait));
        }
        let mut tx = self.store.begin().await?;
        let found = factor::factor(&mut *tx, account).await?;
        let right = match found.filter(|found| found.confirmed) {
            Some(found) => self.fits(&mut tx, (account, &found), typed, now).await?,
            None => false,
        };
        let written = password::session_hash(&typed.trim().to_lowercase());
        if !right {
            if !factor::use_recovery(&mut tx, account, &written).await? {
                let note = Note::of(Event::WrongCode).about(whose).from(address);
                note.keep(&mut tx, now).await?;
                tx.commit().await?;
                return Ok(Checked::Wrong);
            }
            let note = Note::of(Event::Recovered).about(whose).from(address);
            note.keep(&mut tx, now).await?;
        }
        self.limits().right_code(account);
        Ok(Checked::Right(tx))
    }

    /// Whether this is a code of the factor that nobody has used; it is used by that. A secret that
    /// cannot be unsealed has no code: then the codes that were written down are left.
    async fn fits(
        &self,
        tx: &mut Tx,
        (account, factor): (i64, &Factor),
        typed: &str,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let secret = match self.sealing.unseal(&what(account), &factor.secret) {
            Ok(secret) => secret,
            Err(shut) => {
                tracing::error!(account, error = %shut, "a second factor cannot be unsealed");
                return Ok(false);
            }
        };
        match totp::step(&secret, typed, factor.last_step, now) {
            Some(step) => Ok(factor::use_step(tx, account, step).await?),
            None => Ok(false),
        }
    }

    /// Seals with the newest master key what was sealed with another; says in the log what cannot be
    /// unsealed.
    ///
    /// # Errors
    /// The database's.
    pub async fn reseal(&self) -> anyhow::Result<()> {
        for (account, old) in factor::all(&self.store).await? {
            let what = what(account);
            if self.sealing.is_current(&old) {
                continue;
            }
            match self.sealing.unseal(&what, &old) {
                Ok(secret) => {
                    let new = self.sealing.seal(&what, &secret)?;
                    let mut tx = self.store.begin().await?;
                    factor::reseal(&mut tx, account, (old, new)).await?;
                    tx.commit().await?;
                }
                Err(shut) => tracing::error!(
                    what,
                    error = %shut,
                    "a second factor cannot be unsealed: its owner signs in with a recovery code, \
                     or after `watchward people reset`"
                ),
            }
        }
        Ok(())
    }
}

/// What a secret is sealed for.
fn what(account: i64) -> String {
    format!("people.factor {account}")
}
