//! How a connection comes up and goes down: its first packet, its addresses, its end.

use std::net::IpAddr;

use watchward_protocol::access::{Action, Outcome};

use super::Message;
use super::place::socket;
use crate::access::cursor::{address, between, first, last, number};
use crate::access::said::{Part, Said};

pub(super) fn parse<'a>(message: &Message<'a>) -> Option<Said<'a>> {
    let text = message.text;
    match text.first()? {
        b'T' => begins(text),
        b'M' => virtual_address(message).or_else(|| pool(text)),
        b'S' => sent(message).or_else(|| signal(text)),
        b'[' => initiated(message),
        _ => None,
    }
}

/// `TLS: Initial packet from [AF_INET]192.0.2.7:41234, sid=...` and `TLS: soft reset sec=...`
fn begins(text: &[u8]) -> Option<Said<'_>> {
    let connection = |form, part| Said::new(form, Action::Connection, Outcome::Unknown, part);
    if text.starts_with(b"TLS: soft reset ") {
        return Some(connection("renegotiation", Part::Renews));
    }
    let (place, _) = first(text.strip_prefix(b"TLS: Initial packet from ")?, b", sid=")?;
    socket(place).map(|_| connection("connection", Part::Begins))
}

/// `TCP connection established with [AF_INET]192.0.2.7:41234`, before the client has a prefix.
pub(super) fn by_tcp(line: &[u8]) -> Option<Said<'_>> {
    let place = line.strip_prefix(b"TCP connection established with ")?;
    let (action, outcome) = (Action::Connection, Outcome::Unknown);
    let mut said = Said::new(super::TCP, action, outcome, Part::Begins);
    said.peer = Some(socket(place)?);
    Some(said)
}

/// `[NAME] Peer Connection Initiated with [AF_INET]192.0.2.7:41234`. Beware: it comes before the
/// password is looked at.
fn initiated<'a>(message: &Message<'a>) -> Option<Said<'a>> {
    let (name, place) = last(message.text, b"] Peer Connection Initiated with ")?;
    let _ = socket(place)?;
    let mut said = Said::new(
        "keys-exchanged",
        Action::Connection,
        Outcome::Unknown,
        Part::Tells,
    );
    said.common_name = name.strip_prefix(b"[").map(Into::into);
    Some(said)
}

/// `MULTI: primary virtual IP[v6] for NAME/192.0.2.7:41234: 10.8.0.6`: the client is in.
fn virtual_address<'a>(message: &Message<'a>) -> Option<Said<'a>> {
    let rest = message.text.strip_prefix(b"MULTI: primary virtual IP")?;
    let rest = rest.strip_prefix(b"v6").unwrap_or(rest);
    let (whom, inside) = last(rest.strip_prefix(b" for ")?, b": ")?;
    // The line names its own prefix once more, and the name also where the prefix has none yet.
    let same = whom == message.prefix
        || message.name.is_none()
            && whom
                .strip_suffix(message.prefix)
                .is_some_and(|name| name.ends_with(b"/"));
    let mut said = connected(same)?;
    match address(inside)? {
        IpAddr::V4(address) => said.tunnel.v4 = Some(address),
        IpAddr::V6(address) => said.tunnel.v6 = Some(address),
    }
    Some(said)
}

/// `MULTI_sva: pool returned IPv4=10.8.0.6, IPv6=(Not enabled)`: what the client will get, if a
/// script has nothing against it.
fn pool(text: &[u8]) -> Option<Said<'_>> {
    let (four, six) = first(
        text.strip_prefix(b"MULTI_sva: pool returned IPv4=")?,
        b", IPv6=",
    )?;
    let mut said = Said::new("addresses", Action::Notice, Outcome::Unknown, Part::Tells);
    for text in [four, six] {
        match address(text) {
            Some(IpAddr::V4(address)) => said.tunnel.v4 = Some(address),
            Some(IpAddr::V6(address)) if !address.is_unspecified() => {
                said.tunnel.v6 = Some(address);
            }
            Some(IpAddr::V6(_)) | None => {}
        }
    }
    Some(said)
}

/// `SENT CONTROL [NAME]: 'TEXT' (status=1)`
fn sent<'a>(message: &Message<'a>) -> Option<Said<'a>> {
    let rest = message.text.strip_prefix(b"SENT CONTROL [")?;
    let (rest, status) = last(rest, b"' (status=")?;
    let _: i32 = number(status.strip_suffix(b")")?)?;
    if rest.ends_with(b"]: 'AUTH_FAILED") || last(rest, b"]: 'AUTH_FAILED,").is_some() {
        return Some(Said::failed("wrong-password").method("password"));
    }
    // Only the very name of the prefix: a name may look like the rest of this line.
    let name = message.name.unwrap_or(b"UNDEF");
    let text = rest.strip_prefix(name)?.strip_prefix(b"]: '")?;
    connected(text.starts_with(b"PUSH_REPLY,"))
}

fn connected(is: bool) -> Option<Said<'static>> {
    let (action, outcome) = (Action::Authentication, Outcome::Success);
    is.then(|| Said::new("connected", action, outcome, Part::Succeeds))
}

/// `SIGTERM[soft,remote-exit] received, client-instance exiting`
fn signal(text: &[u8]) -> Option<Said<'_>> {
    let (name, rest) = first(text, b"[")?;
    let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric());
    let (kind, rest) = first(rest, b"] received, client-instance ").filter(|_| plain)?;
    if !matches!(rest, b"exiting" | b"restarting") {
        return None;
    }
    let why = between(kind, b"soft,", b"").unwrap_or_default();
    let form = match why {
        b"remote-exit" => "client-exited",
        b"ping-restart" | b"ping-exit" | b"inactive" => "inactive",
        b"connection-reset" | b"link_error" | b"fatal-decryption-error" => "connection-lost",
        b"tls-error" => "handshake-failed",
        b"auth-control-exit" | b"session-timeout" | b"auth-failure" => "ended-by-server",
        b"hup" | b"server_exit" | b"server-exit" => "server-exited",
        // With `delayed-exit` it may be either side that wanted it.
        _ => "disconnected",
    };
    Some(Said::new(
        form,
        Action::Connection,
        Outcome::Unknown,
        Part::Ends,
    ))
}
