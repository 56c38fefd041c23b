//! What sshd's listener writes: it listens, a connection came, was dropped, took too long.

use watchward_protocol::access::{Action, Outcome, Peer};

use super::cursor::{between, first, number, origin_at_start, place, portless, word};
use super::message::{Level, Message};
use super::{Parsed, Role};

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    match message.body.first()? {
        b'S' => listening(message).or_else(|| crashed(message)),
        b'R' => signalled(message),
        b'C' => connection(message),
        b'T' => old_timeout(message).or_else(|| timeout(message)),
        b'd' => dropped(message),
        b's' => ended(message).or_else(|| penalty(message)),
        b'b' | b'i' | b'e' => throttling(message),
        b'P' | b'M' => limited(message),
        _ => None,
    }
}

fn listens(form: &'static str, releases: &'static str) -> Parsed<'static> {
    Parsed::new(
        form,
        releases,
        Action::Notice,
        Outcome::Unknown,
        Role::Listens,
    )
}

/// `Server listening on IP port N.`
fn listening<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    message
        .at(Level::Plain)?
        .strip_prefix(b"Server listening on ")?
        .strip_suffix(b".")?;
    Some(listens("listening", "6.6+"))
}

/// `Received signal 15; terminating.` and `Received SIGHUP; restarting.`
fn signalled<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"Received ")?;
    let signal = between(rest, b"signal ", b"; terminating.").and_then(number::<u8>);
    (signal.is_some() || rest == b"SIGHUP; restarting.").then(|| listens("signal", "6.6+"))
}

/// `Connection from IP port N on LIP port N[ rdomain "X"]`, written in the connection's process.
fn connection<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Connection from ")?;
    let (peer, rest) = origin_at_start(rest)?;
    let (_, rest) = origin_at_start(rest.strip_prefix(b" on ")?)?;
    let routed = between(rest, b" rdomain \"", b"\"").is_some();
    let (action, outcome) = (Action::Connection, Outcome::Unknown);
    let parsed = Parsed::new("connection", "6.6+", action, outcome, Role::Opens).peer(peer);
    (rest.is_empty() || routed).then_some(parsed)
}

/// `fatal: Timeout before authentication for IP[ port N]`, written in the connection's process.
fn old_timeout<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Fatal)?
        .strip_prefix(b"Timeout before authentication for ")?;
    let (action, outcome) = (Action::Connection, Outcome::Unknown);
    let parsed = Parsed::new("login-timeout", "7.3-9.7", action, outcome, Role::Ends);
    match origin_at_start(rest) {
        Some((peer, b"")) => Some(parsed.peer(peer)),
        Some(_) => None,
        None => {
            let peer = place(rest)?.map(portless);
            Some(
                Parsed {
                    releases: "6.6-7.2",
                    ..parsed
                }
                .peer(peer),
            )
        }
    }
}

/// `connection from IP to LIP` as the listener names a connection, and what follows it.
fn named(text: &[u8]) -> Option<(Option<Peer>, &[u8])> {
    let rest = text.strip_prefix(b"connection from ")?;
    let (from, rest) = word(rest);
    let (to, after) = word(rest.strip_prefix(b"to ")?);
    place(to.strip_suffix(b",").unwrap_or(to))?;
    Some((place(from)?.map(portless), after))
}

fn about<'a>(form: &'static str, peer: Option<Peer>, pid: &[u8]) -> Option<Parsed<'a>> {
    let (action, outcome) = (Action::Connection, Outcome::Unknown);
    let parsed = Parsed::new(form, "9.8+", action, outcome, Role::Listens);
    Some(
        Parsed {
            about: Some(number(pid)?),
            ..parsed
        }
        .peer(peer),
    )
}

/// `Timeout before authentication for connection from IP to LIP, pid = P[ (early)]`
fn timeout<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message
        .at(Level::Plain)?
        .strip_prefix(b"Timeout before authentication for ")?;
    let (peer, rest) = named(rest)?;
    let (pid, state) = word(rest.strip_prefix(b"pid = ")?);
    let known = state.is_empty() || between(state, b"(", b")").is_some();
    about("login-timeout", peer, pid).filter(|_| known)
}

/// `Session process P unpriv child crash for connection from IP to LIP`
fn crashed<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (pid, rest) = word(
        message
            .at(Level::Plain)?
            .strip_prefix(b"Session process ")?,
    );
    let (peer, _) = named(rest.strip_prefix(b"unpriv child crash for ")?)?;
    about("session-crashed", peer, pid)
}

/// `session process P for connection from IP to LIP killed by signal S`
fn ended<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (pid, rest) = word(message.body.strip_prefix(b"session process ")?);
    let (peer, rest) = named(rest.strip_prefix(b"for ")?)?;
    let how = rest.starts_with(b"killed by signal ")
        || rest.starts_with(b"terminated abnormally, status=0x");
    about("session-crashed", peer, pid).filter(|_| how && message.level != Level::Fatal)
}

/// `drop connection #K from [IP]:N on [LIP]:N WHY`
fn dropped<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (_, rest) = word(
        message
            .at(Level::Plain)?
            .strip_prefix(b"drop connection #")?,
    );
    let (name, rest) = first(rest.strip_prefix(b"from [")?, b"]:")?;
    let (port, rest) = word(rest);
    let (_, why) = word(rest.strip_prefix(b"on [")?);
    let (form, releases) = match why {
        b"past MaxStartups" => ("max-startups", "7.4-9.7"),
        b"past Maxstartups" => ("max-startups", "9.8-9.9"),
        b"Maxstartups" => ("max-startups", "10.0+"),
        _ if why.starts_with(b"penalty: ") => ("penalised", "9.8+"),
        b"too many penalised addresses" => ("penalised", "9.8+"),
        _ => return None,
    };
    let port = number(port)?;
    let peer = place(name)?.map(|address| Peer {
        address,
        port: Some(port),
    });
    let (action, outcome) = (Action::Refusal, Outcome::Failure);
    Some(Parsed::new(form, releases, action, outcome, Role::Listens).peer(peer))
}

/// `srclimit_penalise: ipv4: new NET/LEN active penalty of S seconds for WHY`
fn penalty<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let rest = message.at(Level::Plain)?.strip_prefix(b"srclimit_")?;
    let (_, rest) = first(rest, b": ")?;
    let full = first(rest, b" penalty table full, cannot penalise ").is_some();
    let releases = match first(rest, b" penalty of ") {
        Some((_, after)) if word(after).0.contains(&b'.') => "10.3+",
        Some(_) => "9.8-10.2",
        None => "9.8+",
    };
    (full || releases != "9.8+").then(|| listens("penalty", releases))
}

/// The beginning, course and end of a time in which connections are dropped unseen.
fn throttling<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let end = b" connections dropped";
    let during = |text| {
        text == b"beginning MaxStartups throttling"
            || between(text, b"in MaxStartups throttling for ", end).is_some()
    };
    let after = |text| between(text, b"exited MaxStartups throttling after ", end).is_some();
    let known =
        message.at(Level::Error).is_some_and(during) || message.at(Level::Plain).is_some_and(after);
    known.then(|| listens("throttling", "8.4-9.9"))
}

/// `WHY logging rate-limited: additional K connections dropped`
fn limited<'a>(message: &Message<'a>) -> Option<Parsed<'a>> {
    let (why, rest) = word(message.at(Level::Plain)?);
    let count = between(
        rest,
        b"logging rate-limited: additional ",
        b" connections dropped",
    )?;
    number::<u64>(count)?;
    let known = why == b"PerSourcePenalties" || why.eq_ignore_ascii_case(b"MaxStartups");
    known.then(|| listens("rate-limited", "10.0+"))
}
