//! How a method of authentication ended: accepted, failed, partly, not yet, or once too often.

use watchward_protocol::access::{Action, Outcome, Peer};

use super::credential::{Credential, credential};
use super::cursor::{ascii, between, every, origin_at_end, origin_at_start, word};
use super::message::{Level, Message};
use super::{Name, Parsed, Role};

/// How many bytes of a user name sshd writes in these forms (`%.100s`).
const NAME: usize = 100;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    result(message).or_else(|| exceeded(message))
}

/// `Failed METHOD for [invalid user ]U from IP port N ssh2[: EXTRA]`
fn result<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (verb, rest) = word(message.at(Level::Plain)?);
    let (form, outcome, role) = match verb {
        b"Accepted" => ("accepted", Outcome::Success, Role::Tries),
        b"Failed" => ("failed", Outcome::Failure, Role::Tries),
        b"Partial" => ("partial", Outcome::Unknown, Role::Tells),
        b"Postponed" => ("postponed", Outcome::Unknown, Role::Tells),
        _ => return None,
    };
    let (method, rest) = word(rest);
    let (method, rest) = (ascii(method)?, rest.strip_prefix(b"for ")?);
    let role = if method == "none" && role == Role::Tries {
        Role::Tells
    } else {
        role
    };
    let (known, rest) = account(rest);
    let mut parsed = Parsed::new(form, "6.6+", Action::Authentication, outcome, role);
    parsed.method = Some(method);
    if message.cut {
        return Some(parsed);
    }
    let mut readings = every(rest, b" from ").filter_map(|at| reading(message, method, at));
    let only = readings.next()?;
    if let Some(other) = readings.next() {
        // A stranger's text made two lines out of one: believe only what both say.
        let agreed = other.peer == only.peer && readings.all(|next| next.peer == only.peer);
        return Some(parsed.peer(only.peer.filter(|_| agreed)));
    }
    parsed.releases = only.releases;
    let Credential {
        key, certificate, ..
    } = only.credential;
    let user = message.name(only.user, NAME, known);
    Some(
        parsed
            .user(user)
            .peer(only.peer)
            .key(key)
            .certificate(certificate),
    )
}

/// One way to read the part of a line that a stranger may have written.
struct Reading<'a> {
    user: &'a [u8],
    peer: Option<Peer>,
    credential: Credential<'a>,
    releases: &'static str,
}

fn reading<'a>(
    message: &Message<'a>,
    method: &str,
    (user, rest): (&'a [u8], &'a [u8]),
) -> Option<Reading<'a>> {
    let (peer, rest) = origin_at_start(rest)?;
    let (releases, extra) = if let Some(extra) = rest.strip_prefix(b" ssh2") {
        ("6.6+", extra)
    } else {
        ("6.6-7.3", rest.strip_prefix(b" ssh1")?)
    };
    let credential = match extra.strip_prefix(b": ") {
        Some(extra) => credential(message, method, extra)?,
        None if extra.is_empty() => Credential::default(),
        None => return None,
    };
    if message.length(user) > NAME {
        return None;
    }
    let releases = credential.releases.unwrap_or(releases);
    Some(Reading {
        user,
        peer,
        credential,
        releases,
    })
}

/// `maximum authentication attempts exceeded for [invalid user ]U from IP port N ssh2`
fn exceeded<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let start = b"maximum authentication attempts exceeded for ";
    let rest = message.at(Level::Error)?.strip_prefix(start)?;
    let (action, outcome) = (Action::Authentication, Outcome::Failure);
    let mut parsed = Parsed::new("max-attempts", "7.0+", action, outcome, Role::Ends);
    if message.cut {
        return Some(parsed);
    }
    let (known, rest) = account(rest);
    let rest = if let Some(rest) = rest.strip_suffix(b" ssh2") {
        rest
    } else {
        parsed.releases = "7.0-7.3";
        rest.strip_suffix(b" ssh1")?
    };
    let (before, peer) = origin_at_end(rest)?;
    let user = message.name(before.strip_suffix(b" from ")?, NAME, known);
    Some(parsed.user(user).peer(peer))
}

/// Whether sshd knows the account, and the text after what says so.
pub(super) fn account(text: &[u8]) -> (bool, &[u8]) {
    match text.strip_prefix(b"invalid user ") {
        Some(name) => (false, name),
        None => (true, text),
    }
}

/// `[invalid user ]U from IP port N` between a literal start and end.
pub(super) fn account_from<'a>(
    message: &Message<'a>,
    start: &[u8],
    end: &[u8],
) -> Option<(Option<Name<'a>>, Option<Peer>)> {
    let (known, rest) = account(between(message.body, start, end)?);
    let (before, peer) = origin_at_end(rest)?;
    Some((
        message.name(before.strip_suffix(b" from ")?, NAME, known),
        peer,
    ))
}
