//! Keys and certificates: offered, found, refused, revoked.

use watchward_protocol::access::{Action, Outcome};

use super::credential::{authority_found, authority_via, public_key, quoted, whole_key};
use super::cursor::{address, between, every, first, last, number, origin_at_end, portless, word};
use super::message::{Level, Message};
use super::{Parsed, Role, SignedKey};

/// How many bytes of a user name sshd writes in these forms (`%.100s`).
const NAME: usize = 100;

/// Room for a name that sshd does not cut.
const UNBOUNDED: usize = 500;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    match message.body.first()? {
        b'A' => accepted_key(message)
            .or_else(|| accepted_certificate(message))
            .or_else(|| revoked(message))
            .or_else(|| not_permitted(message, message.body)),
        b'E' => unchecked(message),
        b'W' => revoked_host(message),
        b'R' => refusing_certificate(message).or_else(|| certificate_reason(message)),
        b'C' | b'I' => certificate_reason(message),
        b'p' => signature(message).or_else(|| located(message)),
        b'/' | b'c' => located(message),
        _ => None,
    }
}

fn offered(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::notice(form, releases)
}

fn refused(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Refusal,
        Outcome::Failure,
        Role::Beside,
    )
}

/// `Accepted key TYPE FP found at FILE:LINE`: the file holds it, nothing is proven yet.
fn accepted_key<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"Accepted key ")?;
    let (key, _) = first(rest, b" found at ")?;
    Some(offered("key-found", "7.7+").key(whole_key(key)))
}

/// `Accepted certificate ID "K" (serial S) signed by ...`
fn accepted_certificate<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Accepted certificate ID \"")?;
    let parsed = offered("certificate-found", "7.2+");
    if let Some(found) = quoted(message, rest, authority_found) {
        return Some(
            Parsed {
                releases: "7.7+",
                ..parsed
            }
            .certificate(Some(found)),
        );
    }
    if last(rest, b"\" signed by ").is_some() && last(rest, b"\" (serial ").is_none() {
        return Some(offered("certificate-found", "6.6+"));
    }
    Some(parsed.certificate(quoted(message, rest, authority_via)))
}

/// `Authentication key TYPE FP revoked by file F`
fn revoked<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Error)?
        .strip_prefix(b"Authentication key ")?;
    let (key, _) = first(rest, b" revoked by file ")?;
    let parsed = Parsed::new(
        "key-revoked",
        "7.0+",
        Action::Notice,
        Outcome::Failure,
        Role::Beside,
    );
    Some(parsed.key(whole_key(key)))
}

/// `Error checking authentication key TYPE FP in revoked keys file F: WHY`. sshd refuses all keys.
fn unchecked<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Error)?
        .strip_prefix(b"Error checking authentication key ")?;
    let (key, _) = first(rest, b" in revoked keys file ")?;
    let (action, outcome) = (Action::Notice, Outcome::Failure);
    let parsed = Parsed::new(
        "revoked-keys-unreadable",
        "7.0+",
        action,
        outcome,
        Role::Beside,
    );
    Some(parsed.key(whole_key(key)))
}

/// `WARNING: revoked key for U attempted authentication`, and how 6.6 said it
fn revoked_host<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Error)?.strip_prefix(b"WARNING: ")?;
    let (action, outcome) = (Action::Notice, Outcome::Failure);
    let parsed = Parsed::new("key-revoked", "6.6+", action, outcome, Role::Beside);
    if rest.starts_with(b"authentication attempt with a revoked ") {
        return Some(Parsed {
            releases: "6.6",
            ..parsed
        });
    }
    between(rest, b"revoked key for ", b" attempted authentication")?;
    Some(parsed)
}

/// `Refusing certificate ID "K" serial=S signed by TYPE CA FP[ via LOC]: REASON`
fn refusing_certificate<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Error)?
        .strip_prefix(b"Refusing certificate ID \"")?;
    let parsed = refused("certificate-refused", "10.1+");
    if message.cut {
        return Some(parsed);
    }
    let mut readings = every(rest, b"\" serial=").filter_map(|(id, rest)| {
        let (serial, rest) = word(rest);
        let (kind, rest) = word(rest.strip_prefix(b"signed by ")?);
        let (fingerprint, _) = word(rest.strip_prefix(b"CA ")?);
        let fingerprint = fingerprint.strip_suffix(b":").unwrap_or(fingerprint);
        let authority = public_key(kind, fingerprint)??.fingerprint;
        Some(SignedKey {
            id: message.plain(id)?,
            serial: number(serial)?,
            authority,
        })
    });
    let only = readings.next();
    let only = if readings.next().is_some() {
        None
    } else {
        only
    };
    Some(parsed.certificate(only))
}

/// `REASON` alone, until 10.0, and `REASON at LOC`
fn certificate_reason<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let text = message.at(Level::Error)?;
    let reasons: [&[u8]; 6] = [
        b"Certificate invalid: ",
        b"Certificate lacks principal list",
        b"Certificate does not contain an authorized principal",
        b"Certificate critical option \"",
        b"Invalid certificate options",
        b"Refused by certificate options",
    ];
    let known = reasons.iter().any(|reason| text.starts_with(reason));
    known.then(|| refused("certificate-refused", "6.6+"))
}

/// `LOC: Authentication tried for U with ...`, where LOC is a line of a file or the word for one.
fn located<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (place, _) = first(message.body, b": Authentication tried for ")?;
    let known = place.starts_with(b"/") || place == b"cert" || place == b"principals";
    let rest = message.body.get(place.len() + 2..)?;
    let parsed = not_permitted(message, rest).filter(|_| known)?;
    let old = first(message.body, b", required=").is_none() && parsed.form == "key-not-from-here";
    (!old).then_some(Parsed {
        releases: "7.7+",
        ..parsed
    })
}

/// The key is right, the address is not one that the key may come from.
fn not_permitted<'a>(message: &Message<'a>, text: &'a [u8]) -> Option<Parsed<'a>> {
    message.at(Level::Plain)?;
    let rest = text.strip_prefix(b"Authentication tried for ")?;
    let parsed = |form| refused(form, "6.6-7.6");
    if message.cut {
        return Some(parsed("key-not-from-here"));
    }
    if let Some((name, rest)) = first(rest, b" with valid certificate but not from a permitted ") {
        let host = between(rest, b"source address (", b").")
            .or_else(|| between(rest, b"host (ip=", b")."))?;
        let user = message.name(name, NAME, true);
        let peer = address(host).map(portless);
        return Some(parsed("certificate-not-from-here").user(user).peer(peer));
    }
    let start = b" with correct key but not from a permitted host (host=";
    let (name, rest) = first(rest, start)?;
    let rest = rest.strip_suffix(b").")?;
    // The owner of the key wrote what is required, so there may be a second `ip=` in it.
    let mut places = every(rest, b", ip=").map(|(_, rest)| match first(rest, b", required=") {
        Some((place, _)) => place,
        None => rest,
    });
    let only = places.next()?;
    let peer = if places.next().is_some() {
        None
    } else {
        address(only).map(portless)
    };
    Some(
        parsed("key-not-from-here")
            .user(message.name(name, NAME, true))
            .peer(peer),
    )
}

/// `public key TYPE FP signature for [invalid user ]U from IP port N rejected: WHY `
fn signature<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Error)?.strip_prefix(b"public key ")?;
    let parsed = refused("signature-rejected", "8.2+");
    if message.cut {
        return Some(parsed);
    }
    let (key, rest) = first(rest, b" signature for ")?;
    let (rest, why) = last(rest, b" rejected: user ")?;
    let why = why.strip_suffix(b" ").unwrap_or(why);
    let known = why == b"presence (authenticator touch) requirement not met"
        || why == b"verification requirement not met";
    let (known_user, rest) = super::authentication::account(rest);
    let (before, peer) = origin_at_end(rest)?;
    let user = message.name(before.strip_suffix(b" from ")?, UNBOUNDED, known_user);
    known.then(|| parsed.user(user).peer(peer).key(whole_key(key)))
}
