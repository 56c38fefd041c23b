//! Security keys (FIDO2) as a second factor: a browser asks one, in the words of WebAuthn.
//!
//! A key answers only to the name of the page that it was made for, so that nobody can be led to show
//! it elsewhere. What a browser is asked is kept with the session, and answered once.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;
use webauthn_rs::prelude::{
    SecurityKey as Credential, SecurityKeyAuthentication, SecurityKeyRegistration, Uuid,
    WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::People;
use super::door::Answer;
use super::factor::{Checked, enter, recovery_codes};
use super::rows::event::{Event, Note};
use super::rows::security_key::{self, SecurityKey};
use super::rows::session::{self, Session};
use super::rows::{account, factor};
use crate::store::Tx;

/// How many characters a name may have.
const LONGEST_NAME: usize = 40;

/// What the answer of a browser may have, in bytes.
const LONGEST: usize = 16 << 10;

/// How long a browser waits for somebody to touch their key.
const PATIENCE: Duration = Duration::from_secs(120);

/// What keys are made for, where the page is at this address; none where browsers let no page ask
/// for keys: a name is needed, and TLS, but on the same machine.
pub(super) fn place(address: &str) -> Option<Webauthn> {
    let url = Url::parse(address).ok()?;
    let name = url.domain()?.to_owned();
    if url.scheme() != "https" && name != "localhost" {
        return None;
    }
    // A touch is enough: the password came before.
    let builder = WebauthnBuilder::new(&name, &url).ok()?;
    builder
        .rp_name("Watchward")
        .timeout(PATIENCE)
        .danger_set_user_presence_only_security_keys(true)
        .build()
        .ok()
}

/// What came of a wish to remove a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It counts no more.
    Done,
    /// A second factor was shown too long ago.
    Stale,
    /// There is no such key, or it is the last second factor that there is.
    Last,
}

impl People {
    /// Whether a browser can ask for security keys at the page's address.
    pub fn takes_security_keys(&self) -> bool {
        self.webauthn.is_some()
    }

    /// What a browser asks a key that is to be added, as JSON; none where none may be added by this
    /// session now: a second factor that there is has to have been shown a moment ago.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_new_key(
        &self,
        session: &Session,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        let Some(webauthn) = self.webauthn.as_deref() else {
            return Ok(None);
        };
        let keys = security_key::of(self.store.read(), session.account).await?;
        if keys.len() >= SecurityKey::MOST || session.proved && !session.is_fresh(now) {
            return Ok(None);
        }
        let known = credentials(&keys)?;
        let known = known.iter().map(|it| it.cred_id().clone()).collect();
        let id = u128::try_from(session.account)?;
        let (question, state) = webauthn.start_securitykey_registration(
            Uuid::from_u128(id),
            &session.name,
            &session.name,
            Some(known),
            None,
            None,
        )?;
        self.ask(session, &question, &state).await.map(Some)
    }

    /// Adds the key that answered. The first second factor of an account brings recovery codes with it,
    /// and ends every other session.
    ///
    /// # Errors
    /// The database's.
    pub async fn add_key(
        &self,
        session: &Session,
        (name, answer): (&str, &str),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Checked<Vec<Secret>>> {
        let (Some(webauthn), Some(answer)) = (self.webauthn.as_deref(), read(answer)) else {
            return Ok(Checked::Wrong);
        };
        let mut tx = self.store.begin().await?;
        account::lock(&mut tx, session.account).await?;
        let first = !factor::exists(&mut tx, session.account).await?;
        if !first && !session.is_fresh(now) {
            return Ok(Checked::Wrong);
        }
        let Some(state) = asked::<SecurityKeyRegistration>(&mut tx, session).await? else {
            return Ok(Checked::Wrong);
        };
        let credential = match webauthn.finish_securitykey_registration(&answer, &state) {
            Ok(credential) => serde_json::to_string(&credential)?,
            Err(why) => return Ok(refused(&why, Checked::Wrong)),
        };
        let name = called(name);
        security_key::add(&mut tx, session.account, (&name, credential), now).await?;
        let mut codes = Vec::new();
        if first {
            if !session::prove(&mut tx, &session.hash, Some(now)).await? {
                return Ok(Checked::Wrong);
            }
            session::end_others(&mut tx, session.account, &session.hash).await?;
            codes = recovery_codes(&mut tx, session.account).await?;
        }
        let note = Note::of(Event::Enrolled).about((session.account, session.name.as_str()));
        let note = note.from(address).saying(format!("security key {name}"));
        note.keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Checked::Right(codes))
    }

    /// Removes a key, unless it is the last second factor that there is; every other session ends.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove_key(
        &self,
        session: &Session,
        id: i64,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Removed> {
        if !session.is_fresh(now) {
            return Ok(Removed::Stale);
        }
        let mut tx = self.store.begin().await?;
        account::lock(&mut tx, session.account).await?;
        let Some(name) = security_key::remove(&mut tx, session.account, id).await? else {
            return Ok(Removed::Last);
        };
        if !factor::exists(&mut tx, session.account).await? {
            return Ok(Removed::Last);
        }
        // Whoever signed in with that key has to again.
        session::end_others(&mut tx, session.account, &session.hash).await?;
        let note = Note::of(Event::Unkeyed).about((session.account, session.name.as_str()));
        note.from(address).saying(name).keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Removed::Done)
    }

    /// What a browser asks the keys of somebody who has given the password a moment ago, as JSON;
    /// none where there are none.
    ///
    /// # Errors
    /// The database's.
    pub async fn ask_key(&self, half: &Session) -> anyhow::Result<Option<String>> {
        let keys = security_key::of(self.store.read(), half.account).await?;
        let (Some(webauthn), false) = (self.webauthn.as_deref(), keys.is_empty()) else {
            return Ok(None);
        };
        let (question, state) = webauthn.start_securitykey_authentication(&credentials(&keys)?)?;
        self.ask(half, &question, &state).await.map(Some)
    }

    /// Lets in who has given the password and whose key answered. A wrong answer counts as a wrong
    /// code does.
    ///
    /// # Errors
    /// The database's.
    pub async fn prove_by_key(
        &self,
        half: &Session,
        answer: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Answer> {
        if let Err(wait) = self.limits().ask_code(half.account, now) {
            return Ok(Answer::Later(wait));
        }
        let whose = (half.account, half.name.as_str());
        let mut tx = self.store.begin().await?;
        if !self.answers(&mut tx, half, answer, now).await? {
            let note = Note::of(Event::WrongCode).about(whose).from(address);
            note.keep(&mut tx, now).await?;
            tx.commit().await?;
            return Ok(Answer::Wrong);
        }
        if !session::take_half(&mut tx, &half.hash).await? {
            return Ok(Answer::Wrong);
        }
        self.limits().right_code(half.account);
        Ok(Answer::In(enter(tx, whose, address, now).await?))
    }

    /// Whether a key of theirs gave this answer to what was asked; it can be given once.
    async fn answers(
        &self,
        tx: &mut Tx,
        half: &Session,
        answer: &str,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let (Some(webauthn), Some(answer)) = (self.webauthn.as_deref(), read(answer)) else {
            return Ok(false);
        };
        let Some(state) = asked::<SecurityKeyAuthentication>(tx, half).await? else {
            return Ok(false);
        };
        let result = match webauthn.finish_securitykey_authentication(&answer, &state) {
            Ok(result) => result,
            Err(why) => return Ok(refused(&why, false)),
        };
        for key in security_key::of(&mut **tx, half.account).await? {
            let mut credential: Credential = serde_json::from_str(&key.credential)?;
            if credential.update_credential(&result).is_some() {
                let credential = serde_json::to_string(&credential)?;
                return Ok(security_key::used(tx, key.id, credential, now).await?);
            }
        }
        // It was removed meanwhile.
        Ok(false)
    }

    async fn ask(
        &self,
        session: &Session,
        question: &impl Serialize,
        state: &impl Serialize,
    ) -> anyhow::Result<String> {
        let state = serde_json::to_string(state)?;
        security_key::ask(&self.store, &session.hash, state).await?;
        Ok(serde_json::to_string(question)?)
    }
}

/// What this session's browser was asked, if it was that.
async fn asked<T: DeserializeOwned>(tx: &mut Tx, session: &Session) -> anyhow::Result<Option<T>> {
    let asked = security_key::take(tx, &session.hash).await?;
    Ok(asked.and_then(|asked| serde_json::from_str(&asked).ok()))
}

/// What a browser answered, if it is anything.
fn read<T: DeserializeOwned>(answer: &str) -> Option<T> {
    if answer.len() > LONGEST {
        return None;
    }
    serde_json::from_str(answer).ok()
}

fn refused<T>(why: &WebauthnError, answer: T) -> T {
    tracing::info!(error = %why, "the answer of a security key does not do");
    answer
}

fn credentials(keys: &[SecurityKey]) -> serde_json::Result<Vec<Credential>> {
    let keys = keys.iter();
    keys.map(|key| serde_json::from_str(&key.credential))
        .collect()
}

/// A name as it is shown, whatever was typed.
fn called(typed: &str) -> String {
    let plain = typed.chars().filter(|it| !it.is_control());
    let name: String = plain.take(LONGEST_NAME).collect();
    match name.trim() {
        "" => "security key".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_for_a_name_and_never_for_an_address_or_without_tls() {
        for address in [
            "https://watch.example.org",
            "https://watch.example.org:8443",
            "http://localhost:7080",
        ] {
            assert!(place(address).is_some(), "{address}");
        }
        for address in [
            "http://watch.example.org",
            "https://192.0.2.7",
            "http://127.0.0.1:7080",
            "nonsense",
        ] {
            assert!(place(address).is_none(), "{address}");
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert_eq!(called(" \u{7}"), "security key");
        assert_eq!(called(" blue\n one "), "blue one");
        assert_eq!(called(&"x".repeat(900)).len(), LONGEST_NAME);
    }
}
