//! Sessions: begun, at work, ended.

use watchward_protocol::access::{Action, Outcome};

use super::cursor::{last, number, origin_at_end, origin_at_start, place, portless, word};
use super::message::{Level, Message};
use super::{Parsed, Role};

/// No account has a longer name.
const NAME: usize = 256;

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    match message.body.first()? {
        b'S' => starting(message),
        b'C' => close(message).or_else(|| closing(message)),
        b'R' => read_error(message),
        b'U' => child(message),
        b'T' => transferred(message),
        _ => None,
    }
}

/// `Starting session: WHAT for U from IP port N[ id N]`
fn starting<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Starting session: ")?;
    let (action, outcome) = (Action::SessionOpened, Outcome::Success);
    let mut parsed = Parsed::new("session-opened", "6.6-7.1", action, outcome, Role::Beside);
    if message.cut {
        return Some(parsed);
    }
    let rest = match last(rest, b" id ") {
        Some((rest, id)) if number::<u32>(id).is_some() => {
            parsed.releases = "7.2+";
            rest
        }
        _ => rest,
    };
    let (before, peer) = origin_at_end(rest)?;
    let (_, name) = last(before.strip_suffix(b" from ")?, b" for ")?;
    parsed.role = Role::Tells;
    Some(parsed.user(message.name(name, NAME, true)).peer(peer))
}

/// `Close session: user U from IP port N id N`
fn close<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Close session: user ")?;
    let (rest, id) = last(rest, b" id ")?;
    number::<u32>(id)?;
    let (before, peer) = origin_at_end(rest)?;
    let user = message.name(before.strip_suffix(b" from ")?, NAME, true);
    // A connection may hold further sessions.
    let (action, outcome) = (Action::SessionClosed, Outcome::Unknown);
    let parsed = Parsed::new("session-closed", "7.2+", action, outcome, Role::Tells);
    Some(parsed.user(user).peer(peer))
}

/// `Closing connection to IP port N`
fn closing<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Closing connection to ")?;
    let (peer, after) = origin_at_start(rest)?;
    let (action, outcome) = (Action::SessionClosed, Outcome::Unknown);
    let parsed = Parsed::new("closing", "6.6+", action, outcome, Role::Closes);
    after.is_empty().then_some(parsed.peer(peer))
}

/// `Read error from remote host IP[ port N]: WHY`
fn read_error<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Read error from remote host ")?;
    let (action, outcome) = (Action::SessionClosed, Outcome::Unknown);
    let parsed = Parsed::new("read-error", "7.3+", action, outcome, Role::Closes);
    if let Some((peer, after)) = origin_at_start(rest) {
        return after.starts_with(b": ").then_some(parsed.peer(peer));
    }
    let (name, _) = word(rest);
    let peer = place(name.strip_suffix(b":")?)?.map(portless);
    Some(
        Parsed {
            releases: "6.6-7.2",
            ..parsed
        }
        .peer(peer),
    )
}

/// `User child is on pid P`
fn child<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let pid = message
        .at(Level::Plain)?
        .strip_prefix(b"User child is on pid ")?;
    number::<u32>(pid)?;
    Some(Parsed::notice("user-child", "6.6+"))
}

/// `Transferred: sent A, received B bytes`
fn transferred<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Transferred: sent ")?;
    rest.ends_with(b" bytes")
        .then(|| Parsed::notice("transferred", "6.6+"))
}
