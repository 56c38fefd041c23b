//! One message of OpenSSH's sshd: bytes in, what it says out. Pure.
//!
//! Every form is matched as a whole line from its first byte, in the direction in which a stranger's
//! text cannot mislead: what stands after such text is read from the right, what stands before it
//! from the left. Where such text stands on both sides of an address, the address is taken only if
//! there is no second way to read the line. A line that no form matches is `None`, never a guess.

mod authentication;
mod connection_end;
mod credential;
use super::cursor;
mod exchange;
mod identity;
mod keys;
mod listener;
mod message;
mod notice;
mod pam;
mod refusal;
mod session;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use watchward_protocol::access::{Action, Outcome, Peer};

use self::message::Message;
pub use self::message::repeated;

/// What one line says. Absent fields are not in the line, or cannot be told for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// The name of the grammar that matched, such as `failed`.
    pub form: &'static str,
    /// The OpenSSH releases that write it, such as `7.5+` or `6.6-7.4`.
    pub releases: &'static str,
    /// What happened.
    pub action: Action,
    /// Whether somebody got in.
    pub outcome: Outcome,
    /// What the line means for the count of attempts.
    pub role: Role,
    /// Who it says it was.
    pub user: Option<Name<'a>>,
    /// Where it came from.
    pub peer: Option<Peer>,
    /// The method, such as `keyboard-interactive/pam`.
    pub method: Option<&'a str>,
    /// The key that was used or offered.
    pub key: Option<PublicKey<'a>>,
    /// The certificate that was used or offered.
    pub certificate: Option<SignedKey<'a>>,
    /// The process of the connection, where the listener writes about another process.
    pub about: Option<u32>,
}

/// What a line means for the connection that its process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The connection has just come.
    Opens,
    /// A try with its result.
    Tries,
    /// Tells something about a try that is still going on.
    Tells,
    /// The connection ends, and if nothing was tried before in it, this was the try.
    Ends,
    /// A session ends that somebody had logged in to.
    Closes,
    /// Tells nothing about where the connection comes from, but may belong to one.
    Beside,
    /// Written by the listener, which serves no connection of its own.
    Listens,
}

/// A user name, with sshd's encoding undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The bytes as the stranger sent them.
    pub bytes: Cow<'a, [u8]>,
    /// Whether sshd says that there is such an account.
    pub known: bool,
}

/// A public key as sshd names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// Such as `ED25519`.
    pub kind: &'a str,
    /// Such as `SHA256:...`.
    pub fingerprint: &'a str,
}

/// A certificate as sshd names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedKey<'a> {
    /// The key id, with sshd's encoding undone.
    pub id: Cow<'a, [u8]>,
    /// The serial number.
    pub serial: u64,
    /// Fingerprint of the authority.
    pub authority: &'a str,
}

/// Reads one message of sshd, without its syslog header. `None`: no release is known to write it.
pub fn parse(message: &[u8]) -> Option<Parsed<'_>> {
    let message = Message::of(message);
    let parsed = form(&message)?;
    // `error("%.100s: %.100s", path, ...)`: a user who is in names the socket to connect to, and so
    // how this line starts.
    if message.body.ends_with(b": File name too long") {
        return Some(Parsed {
            user: None,
            peer: None,
            ..parsed
        });
    }
    Some(parsed)
}

fn form<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let form = match message.body.first()? {
        b'A' | b'F' | b'P' | b'm' => authentication::parse(message),
        b'C' | b'D' | b'R' | b'U' | b'T' | b't' => connection_end::parse(message),
        _ => None,
    };
    form.or_else(|| refusal::parse(message))
        .or_else(|| pam::parse(message))
        .or_else(|| session::parse(message))
        .or_else(|| listener::parse(message))
        .or_else(|| exchange::parse(message))
        .or_else(|| keys::parse(message))
        .or_else(|| connection_end::tagged(message))
        .or_else(|| notice::parse(message))
}

impl<'a> Parsed<'a> {
    /// A line of which only its form is known so far.
    fn new(
        form: &'static str,
        releases: &'static str,
        action: Action,
        outcome: Outcome,
        role: Role,
    ) -> Self {
        Self {
            form,
            releases,
            action,
            outcome,
            role,
            user: None,
            peer: None,
            method: None,
            key: None,
            certificate: None,
            about: None,
        }
    }

    /// A line that tells nothing of who, where and whether.
    fn notice(form: &'static str, releases: &'static str) -> Self {
        Self::new(
            form,
            releases,
            Action::Notice,
            Outcome::Unknown,
            Role::Beside,
        )
    }

    fn user(mut self, user: Option<Name<'a>>) -> Self {
        self.user = user;
        self
    }

    fn peer(mut self, peer: Option<Peer>) -> Self {
        self.peer = peer;
        self
    }

    fn key(mut self, key: Option<PublicKey<'a>>) -> Self {
        self.key = key;
        self
    }

    fn certificate(mut self, certificate: Option<SignedKey<'a>>) -> Self {
        self.certificate = certificate;
        self
    }
}
