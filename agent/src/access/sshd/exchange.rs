//! The very beginning of a connection: the exchange of names, and what scanners make of it.

use watchward_protocol::access::{Action, Outcome};

use super::cursor::{between, first, last, origin_at_end, origin_at_start, place, portless, word};
use super::message::{Level, Message};
use super::{Parsed, Role};

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    match message.body.first()? {
        b'D' => left_based(message, b"Did not receive identification string from ", b"")
            .map(|parsed| named(parsed, "no-identification", "7.3-7.9")),
        b'C' => left_based(message, b"Could not write ident string to ", b"")
            .map(|parsed| named(parsed, "no-identification", "7.3-7.9")),
        b'P' => left_based(message, b"Protocol major versions differ for ", b": ")
            .map(|parsed| named(parsed, "version-mismatch", "7.3-7.9"))
            .or_else(|| version_mismatch(message)),
        b'B' => bad_identification(message).or_else(|| corrupt(message)),
        b'p' => scanner(message, b"probed from "),
        b's' => scanner(message, b"scanned from "),
        b'k' => exchange(message),
        _ => None,
    }
}

fn came(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Connection,
        Outcome::Unknown,
        Role::Ends,
    )
}

fn named<'a>(parsed: Parsed<'a>, form: &'static str, releases: &'static str) -> Parsed<'a> {
    let old = parsed.peer.is_some_and(|peer| peer.port.is_none());
    Parsed {
        form,
        releases: if old { "6.6-7.2" } else { releases },
        ..parsed
    }
}

/// A literal start, `IP[ port N]`, and then the end or what may be a stranger's text.
fn left_based<'a>(message: &Message<'a>, start: &[u8], behind: &[u8]) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(start)?;
    let follows = |after: &[u8]| {
        if behind.is_empty() {
            after.is_empty()
        } else {
            after.starts_with(behind)
        }
    };
    if let Some((peer, after)) = origin_at_start(rest) {
        return follows(after).then(|| came("", "").peer(peer));
    }
    let (name, _) = word(rest);
    let name = if behind.is_empty() {
        rest
    } else {
        name.strip_suffix(b":")?
    };
    Some(came("", "").peer(place(name)?.map(portless)))
}

/// `Protocol major versions differ: 2 vs. N`
fn version_mismatch<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Error)?
        .strip_prefix(b"Protocol major versions differ: ")?;
    first(rest, b" vs. ").map(|_| came("version-mismatch", "8.0+"))
}

/// `Bad protocol version identification 'TEXT' from IP port N`
fn bad_identification<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let start = b"Bad remote protocol version identification: '";
    if message
        .at(Level::Error)
        .is_some_and(|text| between(text, start, b"'").is_some())
    {
        return Some(came("bad-identification", "8.0+"));
    }
    let start = b"Bad protocol version identification '";
    let rest = message.at(Level::Plain)?.strip_prefix(start)?;
    let parsed = came("bad-identification", "6.6-7.9");
    if message.cut {
        return Some(parsed);
    }
    let (before, peer) = origin_at_end(rest)?;
    before.strip_suffix(b"' from ").map(|_| parsed.peer(peer))
}

/// `Bad packet length N.`
fn corrupt<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    between(message.at(Level::Plain)?, b"Bad packet length ", b".")?;
    Some(Parsed::notice("corrupt", "6.6+"))
}

/// `probed from IP port N with VER.  Don't panic.`
fn scanner<'a>(message: &Message<'a>, start: &[u8]) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(start)?;
    if let Some((peer, after)) = origin_at_start(rest) {
        return after
            .starts_with(b" with ")
            .then(|| came("scanner", "7.3+").peer(peer));
    }
    let (name, after) = word(rest);
    let known = after.starts_with(b"with ");
    let peer = place(name)?.map(portless);
    known.then(|| came("scanner", "6.6-7.2").peer(peer))
}

/// `kex_exchange_identification: WHY`, of which only the first words are sshd's own.
fn exchange<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .body
        .strip_prefix(b"kex_exchange_identification: ")?;
    let known = [
        &b"Connection closed by remote host"[..],
        b"banner line too long",
        b"banner line contains invalid characters",
    ];
    let quoted = || between(rest, b"client sent invalid protocol identifier \"", b"\"").is_some();
    let reading = || rest.strip_prefix(b"read: ").is_some() || last(rest, b"write: ").is_some();
    let known = known.contains(&rest) || message.cut || quoted() || reading();
    (known && message.level != Level::Fatal).then(|| came("no-identification", "8.0+"))
}
