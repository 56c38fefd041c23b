//! One message of an OpenVPN server: bytes in, what it says out. Pure.
//!
//! A line of a client's connection starts with `[NAME/]ADDRESS[:PORT] `, where NAME is the common
//! name of the certificate or the name of the user, and may look like the rest of such a line. So
//! all ways to read a line are given, and whoever knows the connections chooses.
//!
//! What a server at `verb 3` writes, which is what OpenVPN's own examples have; at less it does not
//! say who got in.

mod certificate;
mod control;
mod failure;
pub mod own_log;
mod place;

#[cfg(test)]
mod tests;

use watchward_protocol::access::Peer;

use super::said::Said;
use place::prefixes;

/// The form of a line that tells nothing of who, where from and whether: one connection writes
/// twenty of them.
pub const NOTICE: &str = "notice";

/// The form of a line that says that a connection of TCP has come: whoever is there is there.
pub const TCP: &str = "tcp-connection";

/// The longest prefix that OpenVPN writes whole; a longer one may have been cut in its address.
const LONGEST_PREFIX: usize = 254;

/// One way to read a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The name of the client, if it is known so far.
    pub name: Option<&'a [u8]>,
    /// What the line says.
    pub said: Said<'a>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Of a client's connection, or about a stranger's packet: each way to read it.
    Client(Vec<Reading<'a>>),
    /// Starts like a line of a client's connection, but no release is known to write it.
    Unknown,
    /// Of the server itself, or of a client on this host: nobody gets in by it.
    Other,
}

/// A line behind its prefix.
#[derive(Clone, Copy)]
struct Message<'a> {
    name: Option<&'a [u8]>,
    /// The prefix as it stands.
    prefix: &'a [u8],
    peer: Option<Peer>,
    text: &'a [u8],
}

/// Reads one message of OpenVPN, without time and syslog header.
pub fn parse(line: &[u8]) -> Line<'_> {
    let (mut readings, mut unknown) = (Vec::new(), false);
    for prefix in prefixes(line) {
        let message = Message {
            name: prefix.name,
            prefix: prefix.whole,
            peer: prefix.peer,
            text: prefix.rest,
        };
        let Some(mut said) = of_client(&message) else {
            unknown = true;
            continue;
        };
        let cut = prefix.whole.len() >= LONGEST_PREFIX;
        said.peer = message.peer.filter(|_| !cut);
        if said.common_name.is_none() {
            said.common_name = prefix.name.map(Into::into);
        }
        readings.push(Reading {
            name: prefix.name,
            said,
        });
    }
    if let Some(said) = control::by_tcp(line).filter(|_| readings.is_empty() && !unknown) {
        readings.push(Reading { name: None, said });
    }
    if readings.is_empty()
        && let Some(said) = failure::of_packet(line)
    {
        readings.push(Reading { name: None, said });
    }
    match (readings.is_empty(), unknown) {
        (false, _) => Line::Client(readings),
        (true, true) => Line::Unknown,
        (true, false) => Line::Other,
    }
}

fn of_client<'a>(message: &Message<'a>) -> Option<Said<'a>> {
    certificate::parse(message.text)
        .or_else(|| failure::parse(message.text))
        .or_else(|| control::parse(message))
        .or_else(|| failure::of_packet(message.text))
        .or_else(|| {
            let known = NOTICES.iter().any(|start| message.text.starts_with(start));
            known.then(|| Said::notice(NOTICE))
        })
}

/// What else stands behind a client's prefix: how such a line starts. Nothing is taken from it.
/// From the log calls of OpenVPN 2.4 and 2.6.
const NOTICES: [&[u8]; 67] = [
    b"TLS: ",
    b"TLS Error: ",
    b"TLS ERROR: ",
    b"TLS_ERROR: ",
    b"TLS Auth Error",
    b"TLS Warning: ",
    b"TLS CRYPT V2 ",
    b"VERIFY ",
    b"Validating certificate ",
    b"Certificate ",
    b"++ Certificate ",
    b"CRL",
    b"OpenSSL: ",
    b"peer info: ",
    b"Control Channel",
    b"Data Channel",
    b"Outgoing ",
    b"Incoming ",
    b"Static ",
    b"tls-crypt",
    b"TLS-CRYPT",
    b"MULTI",
    b"PUSH",
    b"SENT CONTROL ",
    b"AUTH: ",
    b"AUTH_",
    b"AUTH-PAM: ",
    b"--auth-",
    b"CR response ",
    b"OPTIONS ",
    b"OPTIONS:",
    b"Options ",
    b"Option ",
    b"Timers: ",
    b"Local Options ",
    b"Expected Remote Options ",
    b"Protocol options: ",
    b"Re-using ",
    b"LZO ",
    b"Socket Buffers",
    b"TCP",
    b"UDP",
    b"PLUGIN",
    b"WARNING",
    b"Warning",
    b"NOTE",
    b"Note",
    b"ERROR: ",
    b"Error: ",
    b"Authenticate/Decrypt packet error",
    b"AEAD Decrypt error",
    b"Replay-window backtrack ",
    b"Key ",
    b"Delayed exit in ",
    b"Connection reset",
    b"Inactivity timeout",
    b"Session timeout",
    b"Using ",
    b"read ",
    b"write ",
    b"client_connect",
    b"Client ",
    b"CC-EEN ",
    b"Sent ",
    b"Received ",
    b"Bad ",
    b"dco_",
];
