//! What is shown of a line: a JSON object, or a short text.

use std::io::{self, Write};
use std::net::IpAddr;

use watchward_protocol::access::{Action, Outcome, Peer, Service};
use watchward_protocol::text::Foreign;

use super::{Found, Meaning};
use crate::access::said::Said;
use crate::access::sshd::{Name, Parsed};

pub(super) fn write_json(out: &mut Vec<u8>, line: u64, found: Option<&Found<'_>>) {
    let Some(Found { meaning, repeated }) = found else {
        out.extend_from_slice(b"{\"line\":");
        decimal(out, line);
        out.extend_from_slice(b",\"unparsed\":true}\n");
        return;
    };
    let about = About::of(meaning);
    out.extend_from_slice(b"{\"line\":");
    decimal(out, line);
    out.extend_from_slice(b",\"service\":\"");
    out.extend_from_slice(about.service.name().as_bytes());
    out.extend_from_slice(b"\",\"outcome\":\"");
    out.extend_from_slice(outcome(about.outcome).as_bytes());
    out.extend_from_slice(b"\",\"action\":\"");
    out.extend_from_slice(action(about.action).as_bytes());
    out.extend_from_slice(b"\",\"address\":");
    write_peer(out, about.peer);
    out.extend_from_slice(b",\"user\":");
    or_null(out, about.user.map(|user| &*user.bytes));
    out.extend_from_slice(b",\"method\":");
    or_null(out, about.method.map(str::as_bytes));
    out.extend_from_slice(b",\"form\":\"");
    out.extend_from_slice(about.form.as_bytes());
    out.push(b'"');
    match meaning {
        Meaning::Sshd(parsed) => {
            out.extend_from_slice(b",\"releases\":\"");
            out.extend_from_slice(parsed.releases.as_bytes());
            out.push(b'"');
            write_keys(out, parsed);
        }
        Meaning::Other(_, said) => write_aim(out, said),
    }
    if *repeated > 1 {
        out.extend_from_slice(b",\"repeated\":");
        decimal(out, u64::from(*repeated));
    }
    out.extend_from_slice(b"}\n");
}

/// What is shown of each line, whoever wrote it.
struct About<'a> {
    service: Service,
    outcome: Outcome,
    action: Action,
    form: &'static str,
    peer: Option<Peer>,
    user: Option<&'a Name<'a>>,
    method: Option<&'a str>,
}

impl<'a> About<'a> {
    fn of(meaning: &'a Meaning<'_>) -> Self {
        match meaning {
            Meaning::Sshd(parsed) => Self {
                service: Service::Sshd,
                outcome: parsed.outcome,
                action: parsed.action,
                form: parsed.form,
                peer: parsed.peer,
                user: parsed.user.as_ref(),
                method: parsed.method,
            },
            Meaning::Other(service, said) => Self {
                service: *service,
                outcome: said.outcome,
                action: said.action,
                form: said.form,
                peer: said.peer,
                user: said.user.as_ref(),
                method: said.method,
            },
        }
    }
}

fn or_null(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => quote(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Which account, which command, which addresses: as far as the line says it.
fn write_aim(out: &mut Vec<u8>, said: &Said<'_>) {
    let inside = |address: Option<IpAddr>| address.map(|address| address.to_string().into_bytes());
    for (name, value) in [
        ("target", said.target.as_deref().map(<[u8]>::to_vec)),
        ("command", said.command.as_deref().map(<[u8]>::to_vec)),
        (
            "common_name",
            said.common_name.as_deref().map(<[u8]>::to_vec),
        ),
        ("tunnel_v4", inside(said.tunnel.v4.map(IpAddr::from))),
        ("tunnel_v6", inside(said.tunnel.v6.map(IpAddr::from))),
    ] {
        if let Some(value) = value {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            quote(out, &value);
        }
    }
}

fn write_peer(out: &mut Vec<u8>, peer: Option<Peer>) {
    let Some(Peer { address, port }) = peer else {
        out.extend_from_slice(b"null,\"port\":null");
        return;
    };
    out.push(b'"');
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            decimal(out, u64::from(first));
            for octet in rest {
                out.push(b'.');
                decimal(out, u64::from(octet));
            }
        }
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
    out.extend_from_slice(b"\",\"port\":");
    match port {
        Some(port) => decimal(out, u64::from(port)),
        None => out.extend_from_slice(b"null"),
    }
}

/// A number in digits. The standard way to write one takes as long as to parse a line.
fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut divisor = 1;
    while number / divisor >= 10 {
        divisor *= 10;
    }
    while divisor > 0 {
        let digit = number / divisor % 10;
        out.push(u8::try_from(digit).map_or(b'?', |digit| b'0' + digit));
        divisor /= 10;
    }
}

fn write_keys(out: &mut Vec<u8>, parsed: &Parsed<'_>) {
    if let Some(key) = &parsed.key {
        out.extend_from_slice(b",\"key\":{\"type\":");
        quote(out, key.kind.as_bytes());
        out.extend_from_slice(b",\"fingerprint\":");
        quote(out, key.fingerprint.as_bytes());
        out.push(b'}');
    }
    if let Some(certificate) = &parsed.certificate {
        out.extend_from_slice(b",\"certificate\":{\"id\":");
        quote(out, &certificate.id);
        out.extend_from_slice(b",\"serial\":");
        decimal(out, certificate.serial);
        out.extend_from_slice(b",\"authority\":");
        quote(out, certificate.authority.as_bytes());
        out.push(b'}');
    }
}

/// A JSON string of plain ASCII, so that no terminal can be fooled by it. Bytes that are not UTF-8
/// are shown as `\xff`.
fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if text
        .iter()
        .all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(byte))
    {
        out.extend_from_slice(text);
        out.push(b'"');
        return;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
                ' '..='~' => out.push(character as u8),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                    }
                }
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}

pub(super) fn write_text(
    out: &mut Vec<u8>,
    line: u64,
    found: Option<&Found<'_>>,
) -> io::Result<()> {
    let Some(Found { meaning, repeated }) = found else {
        return writeln!(out, "{line:>7}  not understood");
    };
    let about = About::of(meaning);
    write!(
        out,
        "{line:>7}  {:<7}  {}",
        outcome(about.outcome),
        about.form
    )?;
    if let Some(method) = about.method {
        write!(out, " {method}")?;
    }
    if let Some(user) = about.user {
        write!(out, " user \"{}\"", Foreign::from(&*user.bytes))?;
    }
    if let Some(peer) = about.peer {
        write!(out, " from {}", peer.address)?;
    }
    if let Some(port) = about.peer.and_then(|peer| peer.port) {
        write!(out, " port {port}")?;
    }
    if *repeated > 1 {
        write!(out, ", {repeated} times")?;
    }
    match meaning {
        Meaning::Sshd(parsed) => writeln!(out, " (OpenSSH {})", parsed.releases),
        Meaning::Other(service, said) => {
            if let Some(target) = &said.target {
                write!(out, " as \"{}\"", Foreign::from(&**target))?;
            }
            writeln!(out, " ({})", service.name())
        }
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Authentication => "authentication",
        Action::Refusal => "refusal",
        Action::Connection => "connection",
        Action::SessionOpened => "session-opened",
        Action::SessionClosed => "session-closed",
        Action::Notice => "notice",
    }
}
