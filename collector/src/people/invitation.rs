//! Invitations: how somebody gets an account of which nobody else ever knows the password.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use watchward_daemon::secret::Secret;
use watchward_protocol::time::Timestamp;

use super::limits::Asking;
use super::password::{self, Weakness};
use super::post::Email;
use super::role::Roles;
use super::rows::event::{Author, Event, Note};
use super::rows::{account, factor, invitation, session};
use super::{Done, People, Unfit, is_name};
use crate::store::Tx;

/// How long a link can be used.
pub(super) const LINK_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Somebody who is to have an account.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The name to sign in with.
    pub name: String,
    /// Where the link is sent; without it the link is handed over to whoever invites.
    pub email: Option<Email>,
    /// What they are here for.
    pub roles: Roles,
}

/// How the link reaches whoever is invited.
#[derive(Debug)]
pub enum Invited {
    /// By an email to this address.
    ByEmail(String),
    /// By this file, because no server sends emails.
    InFile(PathBuf),
    /// By whoever invites, because there is no address.
    ByHand(Secret),
}

/// What came of using a link.
#[derive(Debug)]
pub enum Welcome {
    /// Done: the secret of a new session.
    In(Secret),
    /// The link is over: too old, used, or another took its place.
    Over,
    /// The password will not do.
    Weak(Weakness),
    /// Too many tries.
    Later(Duration),
}

impl People {
    /// Makes an account, and invites whom it is for.
    ///
    /// # Errors
    /// The database's.
    pub async fn invite(&self, new: &Newcomer, by: &Author, now: Timestamp) -> Done<Invited> {
        if !is_name(&new.name) {
            return Ok(Err(Unfit::Name));
        }
        if new.roles.is_empty() {
            return Ok(Err(Unfit::NoRole));
        }
        let nobodys = self.hashing.hash(&password::secret()).await?;
        let mut tx = self.store.begin().await?;
        // Nobody knows this password, and it is over.
        let added = account::add(&mut tx, (&new.name, &new.roles), &nobodys, (now, now)).await?;
        let Some(account) = added else {
            return Ok(Err(Unfit::Taken));
        };
        account::set_email(&mut tx, account, new.email.as_ref()).await?;
        let note = Note::of(Event::Invited)
            .about((account, new.name.as_str()))
            .by(by);
        let said = new.email.as_ref().map_or("", Email::as_str);
        let note = note.saying(format!("{} {said}", new.roles).trim_end());
        note.keep(&mut tx, now).await?;
        let email = new.email.as_ref().map(Email::as_str);
        let invited = self.send_link(tx, (account, &new.name), email, now).await?;
        Ok(Ok(invited))
    }

    /// Sends somebody a new link, or hands it over where there is no address. Until it is used they
    /// cannot sign in: password, second factor and sessions of before are void.
    ///
    /// # Errors
    /// The database's.
    pub async fn reset(&self, name: &str, by: &Author, now: Timestamp) -> Done<Invited> {
        self.renew(name, true, by, now).await
    }

    /// The same, by a letter alone: whoever asks for it never sees the link.
    ///
    /// # Errors
    /// The database's.
    pub async fn reset_by_letter(&self, name: &str, by: &Author, now: Timestamp) -> Done<Invited> {
        self.renew(name, false, by, now).await
    }

    async fn renew(&self, name: &str, by_hand: bool, by: &Author, now: Timestamp) -> Done<Invited> {
        let nobodys = self.hashing.hash(&password::secret()).await?;
        let mut tx = self.store.begin().await?;
        let Some(login) = account::login(&mut *tx, name).await? else {
            return Ok(Err(Unfit::Missing));
        };
        let email = account::email(&mut tx, login.account).await?;
        if email.is_none() && !by_hand {
            return Ok(Err(Unfit::NoEmail));
        }
        account::set_password(&mut tx, login.account, &nobodys, (now, Some(now))).await?;
        session::end_all(&mut tx, login.account).await?;
        factor::forget_all(&mut tx, login.account).await?;
        let note = Note::of(Event::Reset).about((login.account, name)).by(by);
        note.keep(&mut tx, now).await?;
        let whose = (login.account, name);
        let invited = self.send_link(tx, whose, email.as_deref(), now).await?;
        self.limits().forget_name(name);
        self.limits().right_code(login.account);
        Ok(Ok(invited))
    }

    async fn send_link(
        &self,
        mut tx: Tx,
        (account, name): (i64, &str),
        email: Option<&str>,
        now: Timestamp,
    ) -> sqlx::Result<Invited> {
        let times = (now, now + LINK_LIFE);
        let Some(email) = email else {
            let token = password::secret();
            let hash = password::session_hash(token.reveal());
            invitation::invite(&mut tx, account, Some(&hash), times).await?;
            tx.commit().await?;
            return Ok(Invited::ByHand(Secret::from(self.post.link(&token))));
        };
        invitation::invite(&mut tx, account, None, times).await?;
        tx.commit().await?;
        self.bell.notify_one();
        Ok(match self.post.place(name) {
            Some(file) => Invited::InFile(file),
            None => Invited::ByEmail(email.to_owned()),
        })
    }

    /// Whose link this is, if it can still be used. A wrong one counts as a try.
    ///
    /// # Errors
    /// The database's; inside, how long to wait after too many tries.
    pub async fn invited(
        &self,
        token: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> sqlx::Result<Result<Option<String>, Duration>> {
        let asking = Asking::link(address);
        if let Err(wait) = self.limits().ask(&asking, now) {
            return Ok(Err(wait));
        }
        let hash = password::session_hash(token);
        let found = invitation::invited(self.store.read(), &hash, now).await?;
        if found.is_some() {
            self.limits().succeed(&asking, now);
        }
        Ok(Ok(found.map(|(_, name)| name)))
    }

    /// Whoever has the link chooses their password: the link is used up, and they are in.
    ///
    /// # Errors
    /// The database's.
    pub async fn accept(
        &self,
        (token, new): (&str, &Secret),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> anyhow::Result<Welcome> {
        let name = match self.invited(token, address, now).await? {
            Err(wait) => return Ok(Welcome::Later(wait)),
            Ok(None) => return Ok(Welcome::Over),
            Ok(Some(name)) => name,
        };
        if let Some(weakness) = password::weakness(&name, new) {
            return Ok(Welcome::Weak(weakness));
        }
        let hash = self.hashing.hash(new).await?;
        let link = password::session_hash(token);
        let mut tx = self.store.begin().await?;
        let found = invitation::invited(&mut *tx, &link, now).await?;
        let Some((account, name)) = found else {
            return Ok(Welcome::Over);
        };
        if !invitation::accept(&mut tx, &link, now).await? {
            return Ok(Welcome::Over);
        }
        account::set_password(&mut tx, account, &hash, (now, None)).await?;
        session::end_all(&mut tx, account).await?;
        let secret = password::secret();
        let session_hash = password::session_hash(secret.reveal());
        session::begin(&mut tx, &session_hash, account, now).await?;
        let note = Note::of(Event::Accepted).about((account, name.as_str()));
        note.from(address).keep(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Welcome::In(secret))
    }
}
