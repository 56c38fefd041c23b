//! Whether a client's certificate was taken, and why not.

use watchward_protocol::access::{Action, Outcome};

use crate::access::cursor::{every, first, last, number, word};
use crate::access::said::{Part, Said};

/// What the library says of a certificate that it does not take (`X509_verify_cert_error_string`).
const REASONS: [(&[u8], &str); 15] = [
    (b"certificate has expired", "certificate-expired"),
    (b"certificate is not yet valid", "certificate-not-yet-valid"),
    (b"certificate revoked", "certificate-revoked"),
    (b"unable to get local issuer certificate", UNKNOWN),
    (b"unable to get issuer certificate", UNKNOWN),
    (b"unable to verify the first certificate", UNKNOWN),
    (b"self-signed certificate", UNKNOWN),
    (b"self signed certificate", UNKNOWN),
    (b"certificate not trusted", UNKNOWN),
    (b"certificate signature failure", UNKNOWN),
    (b"unsupported certificate purpose", PURPOSE),
    (b"unsuitable certificate purpose", PURPOSE),
    (b"CRL has expired", "revocation-list-expired"),
    (b"CRL is not yet valid", "revocation-list-expired"),
    (b"unable to get certificate CRL", "revocation-list-missing"),
];

const UNKNOWN: &str = "unknown-authority";
const PURPOSE: &str = "certificate-purpose";

pub(super) fn parse(text: &[u8]) -> Option<Said<'_>> {
    if let Some(rest) = text.strip_prefix(b"VERIFY ") {
        return verify(rest);
    }
    // Up to 2.4, with a folder of revoked certificates.
    let rest = text.strip_prefix(b"CRL CHECK FAILED: ")?;
    let (subject, _) = last(rest, b" (serial ")?;
    rest.ends_with(b" is REVOKED")
        .then(|| refused("certificate-revoked", subject))
}

fn verify(rest: &[u8]) -> Option<Said<'_>> {
    if let Some(rest) = rest.strip_prefix(b"OK: depth=") {
        return accepted(rest);
    }
    if let Some(rest) = rest.strip_prefix(b"ERROR: ") {
        return Some(error(rest));
    }
    if let Some(rest) = rest.strip_prefix(b"CRL: depth=") {
        let subject = first(rest, b", ").map_or(rest, |(_, subject)| subject);
        let revoked = subject.strip_suffix(b" is revoked");
        let revoked = revoked.map(|subject| refused("certificate-revoked", subject));
        return Some(revoked.unwrap_or_else(|| refused("revocation-list-missing", b"")));
    }
    let (what, rest) = first(rest, b" ERROR").filter(|(what, _)| what.is_ascii())?;
    let subject = first(rest, b", ").map_or(&b""[..], |(_, subject)| subject);
    match what {
        b"KU" | b"EKU" | b"nsCertType" => Some(refused(PURPOSE, b"")),
        b"X509NAME" => Some(refused("certificate-name", b"")),
        b"SCRIPT" | b"PLUGIN" => Some(refused("refused-by-script", subject)),
        _ => None,
    }
}

/// `0, SUBJECT`: the authority knows whoever this is.
fn accepted(rest: &[u8]) -> Option<Said<'_>> {
    let (depth, subject) = first(rest, b", ")?;
    let _: u8 = number(depth)?;
    let (action, outcome) = (Action::Notice, Outcome::Unknown);
    let said = Said::new("certificate-accepted", action, outcome, Part::Tells);
    if depth != b"0" {
        return Some(Said::notice(super::NOTICE));
    }
    let mut said = said.method("certificate");
    said.common_name = common_name(subject).map(Into::into);
    said.subject = Some(subject);
    Some(said)
}

/// `depth=0, error=REASON: SUBJECT[, serial=N]`
fn error(rest: &[u8]) -> Said<'_> {
    let told = || {
        let (depth, rest) = first(rest.strip_prefix(b"depth=")?, b", ")?;
        let _: u8 = number(depth)?;
        first(rest.strip_prefix(b"error=")?, b": ")
    };
    let Some((reason, subject)) = told() else {
        return refused("certificate-refused", b"");
    };
    let form = REASONS.iter().find(|(start, _)| reason.starts_with(start));
    refused(
        form.map_or("certificate-refused", |(_, form)| form),
        subject,
    )
}

/// Whoever shows a certificate of an authority that nobody trusts can write any name into it.
fn refused<'a>(form: &'static str, subject: &'a [u8]) -> Said<'a> {
    let (subject, serial) = match last(subject, b", serial=") {
        Some((subject, serial)) => (subject, number(word(serial).0)),
        None => (subject, None),
    };
    let mut said = Said::failed(form).method("certificate");
    if let Some(name) = common_name(subject) {
        said = said.user(name, false);
        said.common_name = Some(name.into());
        said.serial = serial;
    }
    said
}

/// The common name of `C=.., CN=NAME, ..` or `/C=../CN=NAME/..`, if there can be only one.
fn common_name(subject: &[u8]) -> Option<&[u8]> {
    let mut names = every(subject, b"CN=").filter(|(before, _)| {
        before.is_empty() || before.ends_with(b", ") || before.ends_with(b"/")
    });
    let (before, name) = names.next().filter(|_| names.next().is_none())?;
    let end = if before.ends_with(b"/") {
        first(name, b"/")
    } else {
        first(name, b", ")
    };
    Some(end.map_or(name, |(name, _)| name)).filter(|name| !name.is_empty())
}
