//! What each form says, on real lines.

mod authentication;
mod connection_end;
mod others;
mod refusal;

use super::parse;

/// What is understood of a line, on one line.
fn said(line: &str) -> String {
    let Some(parsed) = parse(line.as_bytes()) else {
        return "nothing".to_owned();
    };
    let mut text = format!("{} {:?} {:?}", parsed.form, parsed.action, parsed.outcome);
    if let Some(method) = parsed.method {
        text += &format!(" {method}");
    }
    if let Some(user) = &parsed.user {
        let sign = if user.known { "" } else { "?" };
        text += &format!(
            " {}{sign}",
            String::from_utf8_lossy(&user.bytes).escape_debug()
        );
    }
    if let Some(peer) = parsed.peer {
        text += &format!(" at {}", peer.address);
    }
    if let Some(port) = parsed.peer.and_then(|peer| peer.port) {
        text += &format!(" {port}");
    }
    if let Some(key) = parsed.key {
        text += &format!(" key {} {}", key.kind, key.fingerprint);
    }
    if let Some(certificate) = parsed.certificate {
        let id = String::from_utf8_lossy(&certificate.id).into_owned();
        text += &format!(
            " certificate {id} {} {}",
            certificate.serial, certificate.authority
        );
    }
    format!("{text} ({})", parsed.releases)
}

/// Asserts what each line says.
fn each(table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(said(line), *expected, "{line}");
    }
}
