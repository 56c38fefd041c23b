//! Second factors: a code from a phone, or one of ten that were written down. Security keys are beside it.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::door::Answer;
use super::rows::account;
use super::rows::event::{Event, Note};
use super::rows::factor::{self, Factor};
use super::rows::security_key::{self, SecurityKey};
use super::rows::session::{self, Session};
use super::{People, password, totp};
use crate::sealing::Sealed;
use crate::store::Tx;

/// How many recovery codes there are.
const RECOVERY: usize = 10;

/// How long after somebody showed a second factor they may change their security keys, and take a
/// certificate from the page.
const FRESH: Duration = Duration::from_secs(600);

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
#[derive(Debug, Default)]
pub struct Having {
    /// Since when codes from a phone count.
    pub phone: Option<Timestamp>,
    /// Security keys.
    pub keys: Vec<SecurityKey>,
    /// How many recovery codes are left.
    pub recovery: i64,
    /// Codes from a phone that are to be confirmed still.
    pub offer: Option<Offer>,
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
    /// What this account has. Where codes from a phone are not among it, a secret for them is made
    /// for this session alone: somebody else who knows the password is offered another. Who is about
    /// to replace theirs has been offered the next; who has a security key is offered one just after
    /// it was used.
    ///
    /// # Errors
    /// The database's, or the secret cannot be unsealed.
    pub async fn factor(&self, session: &Session, now: Timestamp) -> anyhow::Result<Having> {
        let account = session.account;
        let found = factor::factor(self.store.read(), account).await?;
        let keys = security_key::of(self.store.read(), account).await?;
        let offer = match session.may_enrol(now) {
            true => self.offer(session, found.is_none()).await?,
            false => None,
        };
        Ok(Having {
            phone: found.map(|found| found.made_at),
            keys,
            recovery: factor::recovery(&self.store, account).await?,
            offer,
        })
    }

    /// Whether codes from a phone are among the second factors of who has given the password.
    ///
    /// # Errors
    /// The database's.
    pub async fn takes_codes(&self, half: &Session) -> sqlx::Result<bool> {
        let found = factor::factor(self.store.read(), half.account).await?;
        Ok(found.is_some())
    }

    /// What this session is offered; a new one is made only where that is `open`.
    async fn offer(&self, session: &Session, open: bool) -> anyhow::Result<Option<Offer>> {
        let what = what(session.account);
        let mut offered = session::offered(self.store.read(), &session.hash).await?;
        // Beware: an offer is not sealed anew with another master key, it is replaced.
        let opens = |sealed: &Sealed| self.sealing.unseal(&what, sealed).is_ok();
        if !offered.as_ref().is_some_and(opens) {
            if !open {
                return Ok(None);
            }
            let sealed = self.sealing.seal(&what, &*totp::secret())?;
            let mut tx = self.store.begin().await?;
            session::offer(&mut tx, &session.hash, (offered, sealed)).await?;
            offered = session::offered(&mut *tx, &session.hash).await?;
            tx.commit().await?;
        }
        let Some(offered) = offered else {
            anyhow::bail!("a session has ended that was there just now");
        };
        let secret = self.sealing.unseal(&what, &offered)?;
        Ok(Some(Offer {
            words: Secret::from(totp::words(&secret).to_string()),
            uri: Secret::from(totp::uri(&secret, &session.name).to_string()),
        }))
    }

    /// Confirms the second factor that this session was offered, by one of its codes: from now on it
    /// counts, in the place of the one before, every other session of the account has ended, and these
    /// are the recovery codes, which are kept only as hashes.
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
        if !session.may_enrol(now) {
            return Ok(Checked::Wrong);
        }
        let account = session.account;
        let mut tx = self.store.begin().await?;
        account::lock(&mut tx, account).await?;
        let Some(offered) = session::offered(&mut *tx, &session.hash).await? else {
            return Ok(Checked::Wrong);
        };
        let Some(step) = self.step((account, &offered), typed, 0, now) else {
            return Ok(Checked::Wrong);
        };
        if session.proved {
            // Only who has shown it is offered another.
            factor::forget(&mut tx, account).await?;
        }
        if !factor::confirm(&mut tx, account, offered, (step, now)).await?
            || !session::prove(&mut tx, &session.hash, Some(now)).await?
        {
            return Ok(Checked::Wrong);
        }
        session::end_others(&mut tx, account, &session.hash).await?;
        let codes = recovery_codes(&mut tx, account).await?;
        let note = Note::of(Event::Enrolled).about((account, session.name.as_str()));
        note.from(address).keep(&mut tx, now).await?;
        tx.commit().await?;
        self.limits().right_code(account);
        Ok(Checked::Right(codes))
    }

    /// Offers this session another second factor, by a code of the one that there is; every other
    /// session ends. Until the other is confirmed, the one that there is goes on counting.
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
        if let Err(wait) = self.limits().ask_code(session.account, now) {
            return Ok(Checked::Later(wait));
        }
        let whose = (session.account, session.name.as_str());
        match self.check(whose, typed, address, now).await? {
            Some(mut tx) => {
                let sealed = self
                    .sealing
                    .seal(&what(session.account), &*totp::secret())?;
                let before = session::offered(&mut *tx, &session.hash).await?;
                session::offer(&mut tx, &session.hash, (before, sealed)).await?;
                session::end_others(&mut tx, session.account, &session.hash).await?;
                session::show(&mut tx, &session.hash, now).await?;
                let note = Note::of(Event::Unenrolled).about(whose).from(address);
                note.keep(&mut tx, now).await?;
                tx.commit().await?;
                Ok(Checked::Right(()))
            }
            None => Ok(Checked::Wrong),
        }
    }

    /// Lets in who has given the password and now gives a code. It takes as long as a password does.
    /// Who has come that far is held up by tries of codes for this account, and by nobody else's.
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
        if let Err(wait) = self.limits().ask_code(half.account, now) {
            return Ok(Answer::Later(wait));
        }
        let slow = Secret::from(typed.to_owned());
        if self.hashing.verify(&slow, None).await?.is_none() {
            return Ok(Answer::Later(Duration::from_secs(5)));
        }
        let whose = (half.account, half.name.as_str());
        let Some(mut tx) = self.check(whose, typed, address, now).await? else {
            return Ok(Answer::Wrong);
        };
        if !session::take_half(&mut tx, &half.hash).await? {
            return Ok(Answer::Wrong);
        }
        Ok(Answer::In(enter(tx, whose, address, now).await?))
    }

    /// Uses a code, or a recovery code: the transaction that it is used in, if it is right.
    async fn check(
        &self,
        whose: (i64, &str),
        typed: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Option<Tx>> {
        let (account, _) = whose;
        let mut tx = self.store.begin().await?;
        let found = factor::factor(&mut *tx, account).await?;
        let right = match found {
            Some(found) => self.fits(&mut tx, (account, &found), typed, now).await?,
            None => false,
        };
        let written = password::session_hash(&typed.trim().to_lowercase());
        if !right {
            if !factor::use_recovery(&mut tx, account, &written).await? {
                let note = Note::of(Event::WrongCode).about(whose).from(address);
                note.keep(&mut tx, now).await?;
                tx.commit().await?;
                return Ok(None);
            }
            let note = Note::of(Event::Recovered).about(whose).from(address);
            note.keep(&mut tx, now).await?;
        }
        self.limits().right_code(account);
        Ok(Some(tx))
    }

    /// Whether this is a code of the factor that nobody has used; it is used by that.
    async fn fits(
        &self,
        tx: &mut Tx,
        (account, factor): (i64, &Factor),
        typed: &str,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        match self.step((account, &factor.secret), typed, factor.last_step, now) {
            Some(step) => Ok(factor::use_step(tx, account, step).await?),
            None => Ok(false),
        }
    }

    /// The step that this is the code of, after that one. A secret that cannot be unsealed has no
    /// code: then the codes that were written down are left.
    fn step(
        &self,
        (account, sealed): (i64, &Sealed),
        typed: &str,
        after: i64,
        now: Timestamp,
    ) -> Option<i64> {
        match self.sealing.unseal(&what(account), sealed) {
            Ok(secret) => totp::step(&secret, typed, after, now),
            Err(shut) => {
                tracing::error!(account, error = %shut, "a second factor cannot be unsealed");
                None
            }
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

/// Begins the session of somebody who has shown a second factor, and ends the transaction: its secret.
pub(super) async fn enter(
    mut tx: Tx,
    whose: (i64, &str),
    address: Option<IpAddr>,
    now: Timestamp,
) -> sqlx::Result<Secret> {
    let secret = password::secret();
    let hash = password::session_hash(secret.reveal());
    session::begin(&mut tx, &hash, whose.0, now).await?;
    session::prove(&mut tx, &hash, Some(now)).await?;
    let note = Note::of(Event::SignedIn).about(whose).from(address);
    note.keep(&mut tx, now).await?;
    tx.commit().await?;
    Ok(secret)
}

/// New recovery codes of an account, which are kept only as hashes.
pub(super) async fn recovery_codes(tx: &mut Tx, account: i64) -> sqlx::Result<Vec<Secret>> {
    let mut codes = Vec::new();
    for _ in 0..RECOVERY {
        let code = password::one_time();
        let hash = password::session_hash(code.reveal());
        factor::add_recovery(tx, account, &hash).await?;
        codes.push(code);
    }
    Ok(codes)
}

impl Session {
    /// Whether it may set up a second factor: the first, or another a moment after one was shown.
    fn may_enrol(&self, now: Timestamp) -> bool {
        !self.proved || self.is_fresh(now)
    }

    /// Whether it showed a second factor a moment ago, and not only once: a page that somebody left open
    /// did not.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let proved = self.proved_at.filter(|_| self.proved);
        proved.is_some_and(|at| now.since(at) <= FRESH)
    }
}

/// What a secret is sealed for.
fn what(account: i64) -> String {
    format!("people.factor {account}")
}
