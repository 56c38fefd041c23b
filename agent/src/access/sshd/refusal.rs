//! Whom sshd refuses before or beside authentication: unknown, locked, listed, expired.

use watchward_protocol::access::{Action, Outcome};

use super::authentication::{account, account_from};
use super::cursor::{address, between, last, origin_at_end, origin_at_start, place, portless};
use super::message::{Level, Message};
use super::{Parsed, Role};

/// How many bytes of a user name sshd writes in these forms (`%.100s`).
const NAME: usize = 100;

/// As many as sshd gets from a client; longer ones are cut with the whole message.
const UNBOUNDED: usize = 500;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    match message.body.first()? {
        b'I' => invalid_user(message),
        b'U' => not_allowed(message)
            .or_else(|| password_expired(message))
            .or_else(|| name_too_long(message)),
        b'A' => account_expired(message).or_else(|| access_denied(message)),
        b'R' => root_refused(message),
        b'L' => stored_name(message),
        b'i' => old_invalid_user(message),
        b'a' => prohibited(message),
        _ => None,
    }
}

fn refusal(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Refusal,
        Outcome::Failure,
        Role::Tells,
    )
}

/// `Invalid user U from IP[ port N]`
fn invalid_user<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"Invalid user ")?;
    if message.cut {
        return Some(refusal("invalid-user", "6.6+"));
    }
    let (before, peer, releases) = if let Some((before, peer)) = origin_at_end(rest) {
        (before.strip_suffix(b" from ")?, peer, "7.3+")
    } else {
        let (before, name) = last(rest, b" from ")?;
        (before, place(name)?.map(portless), "6.6-7.2")
    };
    Some(
        refusal("invalid-user", releases)
            .user(message.name(before, NAME, false))
            .peer(peer),
    )
}

/// `input_userauth_request: invalid user U [preauth]`
fn old_invalid_user<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let name = message
        .at(Level::Plain)?
        .strip_prefix(b"input_userauth_request: invalid user ")?;
    let user = if message.relayed {
        message.name(name, UNBOUNDED, false)
    } else {
        None
    };
    Some(refusal("invalid-user-request", "6.6-7.4").user(user))
}

/// `User U[ from HOST] not allowed because REASON`. HOST is a name if sshd resolves names.
fn not_allowed<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"User ")?;
    let (before, reason) = last(rest, b" not allowed because ")?;
    let parsed = refusal("not-allowed", "6.6+");
    if message.cut {
        return Some(parsed);
    }
    let listed: [&[u8]; 5] = [
        b"listed in DenyUsers",
        b"not listed in AllowUsers",
        b"not in any group",
        b"a group is listed in DenyGroups",
        b"none of user's groups are listed in AllowGroups",
    ];
    if listed.contains(&reason) {
        let (name, host) = last(before, b" from ")?;
        let peer = address(host).map(portless);
        return Some(parsed.user(message.name(name, NAME, true)).peer(peer));
    }
    let shell = || reason.strip_prefix(b"shell ");
    let known = reason == b"account is locked"
        || shell().is_some_and(|rest| rest.ends_with(b" does not exist"))
        || shell().is_some_and(|rest| rest.ends_with(b" is not executable"))
        || reason.ends_with(b" exists");
    known.then(|| parsed.user(message.name(before, NAME, true)))
}

/// `User U password has expired (root forced)`
fn password_expired<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let text = message.at(Level::Plain)?;
    let name = between(text, b"User ", b" password has expired (root forced)")
        .or_else(|| between(text, b"User ", b" password has expired (password aged)"))?;
    Some(refusal("password-expired", "6.6+").user(message.name(name, NAME, true)))
}

/// `Account U has expired`
fn account_expired<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let name = between(message.at(Level::Plain)?, b"Account ", b" has expired")?;
    Some(refusal("account-expired", "6.6+").user(message.name(name, NAME, true)))
}

/// `Access denied for user U by PAM account configuration`
fn access_denied<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.body.strip_prefix(b"Access denied for user ")?;
    let mut parsed = refusal("access-denied", "6.6+");
    parsed.role = Role::Ends;
    if message.cut {
        return Some(parsed);
    }
    let end = b" by PAM account configuration";
    let (level, name) = match rest.strip_suffix(end) {
        Some(name) => (true, name),
        None => (message.level == Level::Fatal, rest.strip_suffix(b".")?),
    };
    // The account may be one that sshd does not know; only PAM was asked.
    level.then(|| parsed.user(message.name(name, UNBOUNDED, true)))
}

/// `ROOT LOGIN REFUSED FROM IP[ port N]` and `Root login accepted for forced command.`
fn root_refused<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let text = message.at(Level::Plain)?;
    if text == b"Root login accepted for forced command." {
        return Some(Parsed::notice("root-forced-command", "6.6+"));
    }
    let rest = text.strip_prefix(b"ROOT LOGIN REFUSED FROM ")?;
    let (peer, releases) = match origin_at_start(rest) {
        Some((peer, b"")) => (peer, "7.3+"),
        Some(_) => return None,
        None => (place(rest)?.map(portless), "6.6-7.2"),
    };
    Some(refusal("root-refused", releases).peer(peer))
}

/// `Login name A does not match stored username B`
fn stored_name<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"Login name ")?;
    last(rest, b" does not match stored username ")?;
    Some(refusal("login-name-mismatch", "6.6-7.9"))
}

/// `administratively prohibited connection for [invalid user ]U from IP port N`
fn prohibited<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let start = b"administratively prohibited connection for ";
    message.at(Level::Plain)?.strip_prefix(start)?;
    if message.cut {
        return Some(refusal("prohibited", "9.9+"));
    }
    let (user, peer) = account_from(message, start, b"")?;
    // Here the name is not cut, so it may be as long as a message.
    let (known, rest) = account(message.body.strip_prefix(start)?);
    let whole = || message.name(last(rest, b" from ")?.0, UNBOUNDED, known);
    Some(
        refusal("prohibited", "9.9+")
            .user(user.or_else(whole))
            .peer(peer),
    )
}

/// `Username too long from IP port N`
fn name_too_long<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Fatal)?
        .strip_prefix(b"Username too long from ")?;
    let (peer, after) = origin_at_start(rest)?;
    let mut parsed = refusal("username-too-long", "8.5+").peer(peer);
    parsed.role = Role::Ends;
    after.is_empty().then_some(parsed)
}
