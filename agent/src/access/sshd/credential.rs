//! The key or certificate that sshd names behind the result of a method.

use super::cursor::{ascii, every, first, last, number, word};
use super::message::Message;
use super::{PublicKey, SignedKey};

/// What stands behind `ssh2: `.
#[derive(Default)]
pub(super) struct Credential<'a> {
    pub(super) key: Option<PublicKey<'a>>,
    pub(super) certificate: Option<SignedKey<'a>>,
    /// Where this style narrows the releases that write the line.
    pub(super) releases: Option<&'static str>,
}

/// What a method writes behind its result. `None`: it does not write this.
pub(super) fn credential<'a>(
    message: &Message<'a>,
    method: &str,
    extra: &'a [u8],
) -> Option<Credential<'a>> {
    match method {
        "publickey" | "hostbased" => key_or_certificate(message, method, extra),
        "none" | "password" => None,
        _ if method.starts_with("keyboard-interactive") => None,
        // GSSAPI writes the name of the principal, which may be any text.
        _ => Some(Credential::default()),
    }
}

fn key_or_certificate<'a>(
    message: &Message<'a>,
    method: &str,
    extra: &'a [u8],
) -> Option<Credential<'a>> {
    let (kind, rest) = word(extra);
    if !kind.ends_with(b"-CERT") {
        let (fingerprint, info) = match first(rest, b", ") {
            Some((fingerprint, info)) => (fingerprint, Some(info)),
            None => (rest, None),
        };
        if info.is_some_and(|info| !additional(method, info)) {
            return None;
        }
        let hex = !fingerprint.contains(&b':') || fingerprint.get(2) == Some(&b':');
        let releases = Some(if hex { "6.6-6.7" } else { "6.8+" });
        return Some(Credential {
            key: public_key(kind, fingerprint)?,
            certificate: None,
            releases,
        });
    }
    let (key, rest, releases) = match rest.strip_prefix(b"ID ") {
        Some(rest) => (None, rest, "6.6-7.8"),
        None => {
            let (fingerprint, rest) = word(rest);
            (
                public_key(kind, fingerprint)?,
                rest.strip_prefix(b"ID ")?,
                "7.9+",
            )
        }
    };
    let mut readings =
        every(rest, b" (serial ").filter_map(|(id, rest)| signed(message, method, id, rest));
    let only = readings.next()?;
    let certificate = if readings.next().is_none() {
        only
    } else {
        None
    };
    Some(Credential {
        key,
        certificate,
        releases: Some(releases),
    })
}

/// `S) CA TYPE FP[, INFO]` after `ID (serial `. The certificate is `None` if it cannot be kept.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the grammar matched"
)]
fn signed<'a>(
    message: &Message<'a>,
    method: &str,
    id: &'a [u8],
    rest: &'a [u8],
) -> Option<Option<SignedKey<'a>>> {
    let (serial, rest) = first(rest, b") CA ")?;
    let serial = number(serial)?;
    let (kind, rest) = word(rest);
    let (fingerprint, info) = match first(rest, b", ") {
        Some((fingerprint, info)) => (fingerprint, Some(info)),
        None => (rest, None),
    };
    if info.is_some_and(|info| !additional(method, info)) {
        return None;
    }
    let authority = public_key(kind, fingerprint)?;
    let certificate = || {
        let authority = authority?.fingerprint;
        Some(SignedKey {
            id: message.plain(id)?,
            serial,
            authority,
        })
    };
    Some(certificate())
}

/// What may follow a key: the count of a security key, or what a host says of its client.
fn additional(method: &str, info: &[u8]) -> bool {
    let count = info
        .strip_prefix(b"signature count = ")
        .and_then(number::<u32>);
    let client = || info.strip_prefix(b"client user \"")?.strip_suffix(b"\"");
    count.is_some() || (method == "hostbased" && client().is_some())
}

/// `TYPE FP`. The key is `None` where sshd could not tell its fingerprint.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether the grammar matched"
)]
pub(super) fn public_key<'a>(
    kind: &'a [u8],
    fingerprint: &'a [u8],
) -> Option<Option<PublicKey<'a>>> {
    let letters = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(byte);
    if kind.is_empty() || !kind.iter().all(letters) {
        return None;
    }
    if fingerprint == b"(null)" {
        return Some(None);
    }
    let letters = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/:=".contains(byte);
    if fingerprint.is_empty() || !fingerprint.iter().all(letters) {
        return None;
    }
    Some(Some(PublicKey {
        kind: ascii(kind)?,
        fingerprint: ascii(fingerprint)?,
    }))
}

/// `TYPE FP` as the whole of a text.
pub(super) fn whole_key(text: &[u8]) -> Option<PublicKey<'_>> {
    let (kind, fingerprint) = word(text);
    public_key(kind, fingerprint)?
}

/// `ID "K" (serial S) signed by WHO`: the certificate, if there is one way to read it.
pub(super) fn quoted<'a>(
    message: &Message<'a>,
    text: &'a [u8],
    authority: impl Fn(&'a [u8]) -> Option<PublicKey<'a>>,
) -> Option<SignedKey<'a>> {
    if message.cut {
        return None;
    }
    let mut readings = every(text, b"\" (serial ").filter_map(|(id, rest)| {
        let (serial, rest) = first(rest, b") signed by ")?;
        let authority = authority(rest)?.fingerprint;
        Some(SignedKey {
            id: message.plain(id)?,
            serial: number(serial)?,
            authority,
        })
    });
    let only = readings.next()?;
    if readings.next().is_some() {
        None
    } else {
        Some(only)
    }
}

/// `TYPE CA FP via FILE`, of which only the first part is sshd's own.
pub(super) fn authority_via(text: &[u8]) -> Option<PublicKey<'_>> {
    let (kind, rest) = word(text);
    let (fingerprint, _) = last(rest.strip_prefix(b"CA ")?, b" via ")?;
    public_key(kind, fingerprint)?
}

/// `CA TYPE FP found at FILE:LINE`
pub(super) fn authority_found(text: &[u8]) -> Option<PublicKey<'_>> {
    let (key, _) = last(text.strip_prefix(b"CA ")?, b" found at ")?;
    whole_key(key)
}
