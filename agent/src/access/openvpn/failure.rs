//! Why a client was not let in, besides its certificate.

use watchward_protocol::access::{Action, Outcome};

use super::place::socket;
use crate::access::cursor::{between, first};
use crate::access::said::{Part, Said};

/// How a line starts that says that somebody was turned away.
const TRIES: [(&[u8], &str); 16] = [
    (
        b"TLS Auth Error: Auth Username/Password verification failed for peer",
        "wrong-password",
    ),
    (
        b"TLS Error: Auth Username/Password was not provided by peer",
        "no-password",
    ),
    (
        b"TLS Auth Error: peer provided a blank username",
        "no-password",
    ),
    (
        b"TLS Auth Error: username attempted to change from ",
        "name-changed",
    ),
    (b"TLS Auth Error: TLS object CN", "name-changed"),
    (b"TLS Auth Error: --client-config-dir ", "no-client-config"),
    (
        b"TLS Auth Error: --username-as-common-name ",
        "wrong-password",
    ),
    (
        b"TLS Error: Certificate verification failed",
        "certificate-refused",
    ),
    (
        b"TLS Error: --tls-verify/--peer-fingerprint certificate hash verification failed",
        "certificate-refused",
    ),
    (b"MULTI: connection rejected: ", "rejected"),
    (b"MULTI: client has been rejected due to ", "rejected"),
    (
        b"MULTI: deferred --client-connect script returned CC_RET_FAILED",
        "rejected",
    ),
    (b"WARNING: client-connect plugin call failed", "rejected"),
    (b"WARNING: client-connect-v2 plugin call failed", "rejected"),
    (
        b"PUSH: No common cipher between server and client",
        "no-common-cipher",
    ),
    (
        b"PUSH: No NCP or OCC cipher data received from peer",
        "no-common-cipher",
    ),
];

/// What one packet says. A packet of UDP can come in anybody's name, so none of these is a try that
/// counts against an address.
const PACKETS: [(&[u8], &str); 7] = [
    (
        b"TLS Error: cannot locate HMAC in incoming packet from ",
        "bad-hmac",
    ),
    (
        b"TLS Error: incoming packet authentication failed from ",
        "bad-hmac",
    ),
    (b"TLS Error: tls-crypt unwrapping failed from ", "bad-hmac"),
    (
        b"TLS Error: can not extract tls-crypt-v2 client key from ",
        "bad-hmac",
    ),
    (b"TLS Error: could not determine wrapping from ", "bad-hmac"),
    (
        b"TLS Error: Unroutable control packet received from ",
        "stray-packet",
    ),
    (
        b"TLS Error: session-id not found in packet from ",
        "stray-packet",
    ),
];

pub(super) fn parse(text: &[u8]) -> Option<Said<'_>> {
    if let Some((_, form)) = TRIES.iter().find(|(start, _)| text.starts_with(start)) {
        let password = matches!(*form, "wrong-password" | "no-password");
        let said = Said::failed(form);
        return Some(if password {
            said.method("password")
        } else {
            said
        });
    }
    if text.starts_with(b"TLS Error: TLS handshake failed") {
        let mut said = Said::failed("handshake-failed");
        said.part = Part::Breaks;
        return Some(said);
    }
    if let Some(rest) = text.strip_prefix(b"TLS Error: TLS key negotiation failed to occur within ")
    {
        // Whoever sent the first packet may have been somebody else.
        let seconds = first(rest, b" seconds")?;
        let said = Said::new(
            "no-handshake",
            Action::Connection,
            Outcome::Failure,
            Part::Lapses,
        );
        return seconds.0.iter().all(u8::is_ascii_digit).then_some(said);
    }
    password(text)
}

/// `TLS: Username/Password authentication succeeded for username 'U' [CN SET]`
fn password(text: &[u8]) -> Option<Said<'_>> {
    let rest = text.strip_prefix(b"TLS: Username/")?;
    let rest = rest
        .strip_prefix(b"Password authentication ")
        .or_else(|| rest.strip_prefix(b"auth-token authentication "))?;
    let (result, rest) = first(rest, b" for username '")?;
    let name = between(rest, b"", b"' [CN SET]")
        .or_else(|| between(rest, b"", b"' "))
        .or_else(|| between(rest, b"", b"'"))?;
    let told = Said::new(
        "password-accepted",
        Action::Notice,
        Outcome::Unknown,
        Part::Tells,
    );
    let said = match result {
        b"succeeded" => told.known_user(name),
        b"deferred" => Said::notice("password-deferred").user(name, false),
        b"failed" => Said::failed("wrong-password").user(name, false),
        _ => return None,
    };
    Some(said.method("password"))
}

/// A line about a packet, behind a prefix or without one: `... from [AF_INET]192.0.2.7:1194`.
pub(super) fn of_packet(text: &[u8]) -> Option<Said<'_>> {
    let found = PACKETS
        .iter()
        .find_map(|(start, form)| Some((text.strip_prefix(*start)?, *form)));
    let (rest, form) = found?;
    let outcome = match form {
        "bad-hmac" => Outcome::Failure,
        _ => Outcome::Unknown,
    };
    let mut said = Said::new(form, Action::Connection, outcome, Part::Beside);
    said.peer = socket(rest);
    Some(said)
}
