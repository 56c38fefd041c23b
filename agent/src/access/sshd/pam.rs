//! What PAM says: sshd about PAM, and PAM's modules in sshd's name.

use std::borrow::Cow;

use watchward_protocol::access::{Action, Outcome};

use super::cursor::{address, ascii, first, last, portless, word};
use super::message::{Level, Message};
use super::{Name, Parsed, Role};

/// How many bytes of a user name sshd writes in these forms (`%.100s`).
const NAME: usize = 100;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    if let Some(rest) = message.body.strip_prefix(b"PAM") {
        return failure(message, rest).or_else(|| retries(message, rest));
    }
    module(message)
}

/// `PAM: MSG for [illegal user ]U from HOST`. HOST is a name if sshd resolves names.
fn failure<'a>(message: &Message<'a>, rest: &'a [u8]) -> Option<Parsed<'a>> {
    message.at(Level::Error)?;
    let (before, host) = last(rest.strip_prefix(b": ")?, b" from ")?;
    let (_, name) = first(before, b" for ")?;
    // The one message of PAM with this word in it: `... number of retries for service`.
    let name = name.strip_prefix(b"service for ").unwrap_or(name);
    let parsed = told("pam-error", "6.6+", Outcome::Failure);
    if message.cut {
        return Some(parsed);
    }
    if host.is_empty() || host.contains(&b' ') {
        return None;
    }
    let (known, name) = match name.strip_prefix(b"illegal user ") {
        Some(name) => (false, name),
        None => (true, name),
    };
    Some(
        parsed
            .user(message.name(name, NAME, known))
            .peer(address(host).map(portless)),
    )
}

/// `PAM 2 more authentication failures; logname= ...` and `PAM service(sshd) ignoring max retries`
fn retries<'a>(message: &Message<'a>, rest: &'a [u8]) -> Option<Parsed<'a>> {
    if rest.starts_with(b" service(sshd) ignoring max retries; ") {
        return Some(Parsed::notice("pam-retries", "any"));
    }
    let (count, rest) = word(rest.strip_prefix(b" ")?);
    let rest = rest.strip_prefix(b"more authentication failure")?;
    if count.is_empty() || !count.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let rest = rest
        .strip_prefix(b"s")
        .unwrap_or(rest)
        .strip_prefix(b"; ")?;
    Some(circumstances(
        message,
        told("pam-retries", "any", Outcome::Failure),
        rest,
    ))
}

/// `pam_NAME(SERVICE:KIND): TEXT`. Modules do not encode what they write, so little is taken.
fn module<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"pam_")?;
    let (name, rest) = first(rest, b"(sshd:")?;
    let (kind, text) = first(rest, b"): ")?;
    let letters = |text: &[u8]| {
        text.iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if !letters(name) || !letters(kind) {
        return None;
    }
    let parsed = match (name, kind) {
        (b"unix", b"auth") => attempt(message, text),
        (b"unix", b"session") => session(text),
        _ => None,
    };
    Some(parsed.unwrap_or_else(|| Parsed::notice("pam-module", "any")))
}

/// `authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=H  user=U`
fn attempt<'a>(message: &Message<'a>, text: &'a [u8]) -> Option<Parsed<'a>> {
    let rest = text.strip_prefix(b"authentication failure; ")?;
    Some(circumstances(
        message,
        told("pam-failure", "any", Outcome::Failure),
        rest,
    ))
}

/// The host stands before the user, and before the host nothing that the stranger chose.
fn circumstances<'a>(message: &Message<'a>, parsed: Parsed<'a>, text: &'a [u8]) -> Parsed<'a> {
    let Some(rest) = text.strip_prefix(b"logname= uid=0 euid=0 tty=ssh ruser= rhost=") else {
        return parsed;
    };
    let (host, rest) = word(rest);
    let user = rest
        .strip_prefix(b" user=")
        .filter(|_| !message.cut && !message.relayed);
    // PAM does not say whether there is such an account, so the name may be anything typed.
    let user = user.map(|name| Name {
        bytes: Cow::Borrowed(name),
        known: false,
    });
    let whole = !message.cut || !rest.is_empty();
    parsed
        .user(user)
        .peer(address(host).map(portless).filter(|_| whole))
}

/// `session opened for user U(uid=0) by (uid=0)` and `session closed for user U`
fn session(text: &[u8]) -> Option<Parsed<'_>> {
    let known = |name| {
        Some(Name {
            bytes: Cow::Borrowed(name),
            known: true,
        })
    };
    if let Some(rest) = text.strip_prefix(b"session opened for user ") {
        let (name, _) = last(rest, b" by ")?;
        let name = match last(name, b"(uid=") {
            Some((name, _)) => name,
            None => name,
        };
        let (action, outcome) = (Action::SessionOpened, Outcome::Success);
        let parsed = Parsed::new("pam-session-opened", "any", action, outcome, Role::Beside);
        return ascii(name).map(|_| parsed.user(known(name)));
    }
    let name = text.strip_prefix(b"session closed for user ")?;
    let (action, outcome) = (Action::SessionClosed, Outcome::Unknown);
    let parsed = Parsed::new("pam-session-closed", "any", action, outcome, Role::Closes);
    ascii(name).map(|_| parsed.user(known(name)))
}

fn told(form: &'static str, releases: &'static str, outcome: Outcome) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Authentication,
        outcome,
        Role::Beside,
    )
}
