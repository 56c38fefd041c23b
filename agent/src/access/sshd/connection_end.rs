//! How a connection ended: closed, reset, timed out, disconnected, or with nothing in common.

use watchward_protocol::access::{Action, Outcome};

use super::cursor::{between, every, first, last, number, origin_at_start, place, portless, word};
use super::identity::{Identity, Stage, identity, preamble};
use super::message::{Level, Message};
use super::{Parsed, Role};

/// Of the reason for which it disconnects, sshd writes at most so many bytes (`%.100s`).
const REASON: usize = 100;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let text = message.body;
    if let Some(rest) = text.strip_prefix(b"Connection ") {
        return closed(
            message,
            "connection-closed",
            rest.strip_prefix(b"closed by "),
        )
        .or_else(|| closed(message, "connection-reset", rest.strip_prefix(b"reset by ")))
        .or_else(|| timed_out(message, rest))
        .or_else(|| tagged(message));
    }
    if let Some(rest) = text.strip_prefix(b"Disconnect") {
        return closed(message, "disconnected", rest.strip_prefix(b"ed from "))
            .or_else(|| disconnecting(message, rest.strip_prefix(b"ing")?));
    }
    match text.first()? {
        b'R' => received_disconnect(message),
        b'U' => nothing_in_common(message),
        b'T' => alone(
            message,
            b"Timeout, client not responding from ",
            "client-timeout",
            "7.7+",
        )
        .or_else(|| old_client_timeout(message)),
        b't' => alone(
            message,
            b"terminating inactive connection from ",
            "inactive",
            "9.2+",
        ),
        _ => None,
    }
}

fn end<'a>(form: &'static str, identity: Identity<'a>) -> Parsed<'a> {
    let (action, outcome, role) = match identity.stage {
        Stage::Unnamed => (Action::Connection, Outcome::Unknown, Role::Ends),
        Stage::Authenticating => (Action::Connection, Outcome::Failure, Role::Ends),
        Stage::LoggedIn => (Action::SessionClosed, Outcome::Unknown, Role::Closes),
    };
    let parsed = Parsed::new(form, identity.releases, action, outcome, role);
    parsed.user(identity.user).peer(identity.peer)
}

/// A line that was cut: the form stands, the rest does not.
fn unnamed(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Connection,
        Outcome::Unknown,
        Role::Ends,
    )
}

/// Who it is, or only an address as until 7.1.
fn closed<'a>(
    message: &Message<'a>,
    form: &'static str,
    rest: Option<&'a [u8]>,
) -> Option<Parsed<'a>> {
    let rest = rest.filter(|_| message.level == Level::Plain)?;
    if message.cut {
        return Some(unnamed(form, "7.5+"));
    }
    if let Some(identity) = identity(message, rest) {
        return Some(end(form, identity));
    }
    let releases = if form == "connection-closed" {
        "6.6-7.1"
    } else {
        "7.0-7.1"
    };
    Some(unnamed(form, releases).peer(place(rest)?.map(portless)))
}

/// `Connection from <id> timed out`, until 7.1 `Connection to IP timed out`
fn timed_out<'a>(message: &Message<'a>, rest: &'a [u8]) -> Option<Parsed<'a>> {
    message.at(Level::Plain)?;
    if let Some(rest) = rest.strip_prefix(b"from ") {
        let rest = rest.strip_suffix(b" timed out")?;
        return Some(end("connection-timed-out", identity(message, rest)?));
    }
    let (name, after) = word(rest.strip_prefix(b"to ")?);
    let known = after.starts_with(b"timed out");
    let parsed = unnamed("connection-timed-out", "6.6-7.1").peer(place(name)?.map(portless));
    known.then_some(parsed)
}

/// `[TAG: ]Connection from <id>: WHY`, as `fatal` until 7.2; the tag is where in sshd it happened.
pub(super) fn tagged<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    if message.cut {
        return None;
    }
    if message.level == Level::Error {
        let rest = between(
            message.body,
            b"Connection from ",
            b": refusing non-sftp session",
        )?;
        let parsed = end("sftp-only", identity(message, rest)?);
        let (action, outcome, role) = (Action::Refusal, Outcome::Failure, Role::Beside);
        return Some(Parsed {
            action,
            outcome,
            role,
            releases: "8.0+",
            ..parsed
        });
    }
    let rest = match message.body.strip_prefix(b"Connection ") {
        Some(rest) => rest,
        None => {
            let (tag, rest) = first(message.body, b": Connection ")?;
            is_tag(tag).then_some(rest)?
        }
    };
    // No text of sshd's libraries for what went wrong contains a colon and a space.
    let (who, _) = last(rest, b": ")?;
    if message.level == Level::Fatal {
        let who = who
            .strip_prefix(b"to ")
            .or_else(|| who.strip_prefix(b"from "))?;
        let (peer, releases) = match origin_at_start(who) {
            Some((peer, b"")) => (peer, "7.2"),
            Some(_) => return None,
            None => (place(who)?.map(portless), "7.0-7.1"),
        };
        return Some(unnamed("connection-failed", releases).peer(peer));
    }
    let mut identity = identity(message, who.strip_prefix(b"from ")?)?;
    if message.body.starts_with(b"banner exchange") {
        identity.releases = "8.3+";
    } else if identity.stage == Stage::Unnamed {
        identity.releases = "7.3+";
    }
    Some(end("connection-failed", identity))
}

/// Where in sshd it happened: a function, what it was doing, or both. A strict list, because a
/// stranger's text must not pass for one.
fn is_tag(tag: &[u8]) -> bool {
    const DOING: [&[u8]; 12] = [
        b"banner exchange",
        b"read",
        b"send DEBUG",
        b"start request",
        b"append key",
        b"send",
        b"send PAM banner",
        b"ssh_packet_write_poll",
        b"send open confirm",
        b"send open failure",
        b"send reply",
        b"exit reply",
    ];
    let function = |text: &[u8]| {
        let letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        !text.is_empty() && text.iter().all(letter)
    };
    let both =
        || first(tag, b": ").is_some_and(|(name, doing)| function(name) && DOING.contains(&doing));
    function(tag) || DOING.contains(&tag) || both()
}

/// `Disconnecting[ <id>]: REASON`, where the reason may repeat what the peer sent.
fn disconnecting<'a>(message: &Message<'a>, rest: &'a [u8]) -> Option<Parsed<'a>> {
    message.at(Level::Plain)?;
    if rest.starts_with(b": ") {
        return Some(unnamed("disconnecting", "6.6-7.4"));
    }
    let rest = rest.strip_prefix(b" ")?;
    choose(message, "disconnecting", rest, every(rest, b": "))
}

/// `Unable to negotiate with <id>: no matching ... found. Their offer: LIST`
fn nothing_in_common<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.body.strip_prefix(b"Unable to negotiate with ")?;
    let form = "negotiation-failed";
    let releases = match message.level {
        Level::Plain => "7.3+",
        Level::Fatal => "7.2",
        Level::Error => return None,
    };
    if let Some((peer, after)) = origin_at_start(rest) {
        let known = after.starts_with(b": no matching ");
        return known.then(|| unnamed(form, releases).peer(peer));
    }
    let (name, _) = first(rest, b": no matching ")?;
    if let Some(address) = place(name) {
        return Some(unnamed(form, "7.0-7.1").peer(address.map(portless)));
    }
    let ends = every(rest, b": no matching ").filter(|(_, why)| first(why, b" found. ").is_some());
    let mut parsed = choose(message, form, rest, ends)?;
    parsed.outcome = Outcome::Unknown;
    Some(parsed)
}

/// Who it is, where both who it is and what follows may be a stranger's text: only if there is one
/// way to read it.
fn choose<'a>(
    message: &Message<'a>,
    form: &'static str,
    rest: &'a [u8],
    ends: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<Parsed<'a>> {
    if let Some((peer, after)) = origin_at_start(rest) {
        return after
            .starts_with(b": ")
            .then(|| unnamed(form, "7.5+").peer(peer));
    }
    let (stage, _, _) = preamble(rest)?;
    let nobody = Identity {
        stage,
        user: None,
        peer: None,
        releases: "7.5+",
    };
    if message.cut {
        return Some(end(form, nobody));
    }
    let bounded = form == "disconnecting";
    let mut readings = ends
        .filter(|(_, reason)| !bounded || message.length(reason) <= REASON)
        .filter_map(|(who, _)| identity(message, who));
    let only = readings.next()?;
    Some(end(
        form,
        if readings.next().is_some() {
            nobody
        } else {
            only
        },
    ))
}

/// `Received disconnect from IP port N:CODE: MSG`, where the peer wrote the last part.
fn received_disconnect<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.body.strip_prefix(b"Received disconnect from ")?;
    if message.level == Level::Fatal {
        return None;
    }
    let mut parsed = unnamed("received-disconnect", "7.2+");
    parsed.role = Role::Tells;
    if let Some((peer, after)) = origin_at_start(rest) {
        let after = after.strip_prefix(b":")?;
        if after.starts_with(b" ") {
            parsed.releases = "7.2-7.5";
        } else {
            number::<u32>(first(after, b": ")?.0)?;
        }
        return Some(parsed.peer(peer));
    }
    parsed.releases = "6.6-7.1";
    let (name, _) = word(rest);
    Some(parsed.peer(place(name.strip_suffix(b":")?)?.map(portless)))
}

/// A line that ends with who it is.
fn alone<'a>(
    message: &Message<'a>,
    start: &[u8],
    form: &'static str,
    releases: &'static str,
) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(start)?;
    let mut parsed = end(form, identity(message, rest)?);
    parsed.releases = releases;
    Some(parsed)
}

/// `Timeout, client not responding.`
fn old_client_timeout<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let same = message.body == b"Timeout, client not responding.";
    let parsed = Parsed::new(
        "client-timeout",
        "6.6-7.6",
        Action::SessionClosed,
        Outcome::Unknown,
        Role::Closes,
    );
    same.then_some(parsed)
}
