//! A public key as a person hands it in: the line of a `.pub` file or of `authorized_keys`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use watchward_protocol::proof::LONGEST_KEY;

use super::Revoked;

/// How every key as it is on the wire begins in Base64: with the length of its type's name.
const BEGIN: &str = "AAAA";

/// A public key, or a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::keys) struct Offered {
    /// Such as `ssh-ed25519`.
    pub(in crate::keys) kind: String,
    /// Such as `SHA256:...`; a certificate has none of its own.
    pub(in crate::keys) fingerprint: Option<String>,
    #[serde(skip)]
    pub(in crate::keys) wire: Vec<u8>,
}

impl Offered {
    /// One that was handed in before.
    pub(super) fn of(key: &Revoked) -> Self {
        Self {
            kind: key.kind.clone(),
            fingerprint: Some(key.fingerprint.clone()),
            wire: key.wire.clone(),
        }
    }

    /// Reads the first line that holds a key.
    ///
    /// # Errors
    /// None does, in words for a person.
    pub(in crate::keys) fn read(text: &str) -> Result<Self, &'static str> {
        if text.contains("PRIVATE KEY") {
            return Err(
                "this is a private key: give the public half, such as the file that ends in .pub; \
                 only that is needed",
            );
        }
        let none = "no public key is in it: a line such as `ssh-ed25519 AAAA...` is needed";
        let mut found = text.lines().flat_map(keys);
        let key = found.next().ok_or(none)?;
        match found.next() {
            Some(_) => Err("more than one key is in it: give one at a time"),
            None => Ok(key),
        }
    }
}

/// The keys of a line, whatever stands beside them: one, unless its options hold what looks like another.
fn keys(line: &str) -> Vec<Offered> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return Vec::new();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let keys = words.windows(2).filter_map(|pair| match pair {
        [kind, key] if key.starts_with(BEGIN) => key_of(kind, key),
        _ => None,
    });
    keys.collect()
}

fn key_of(kind: &str, key: &str) -> Option<Offered> {
    let wire = STANDARD.decode(key).ok()?;
    let (length, rest) = wire.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let inside = rest.get(..length)?;
    let fits = inside == kind.as_bytes() && wire.len() <= LONGEST_KEY;
    let plain = !kind.ends_with("-cert-v01@openssh.com");
    fits.then(|| Offered {
        kind: kind.to_owned(),
        fingerprint: plain.then(|| fingerprint(&wire)),
        wire: wire.clone(),
    })
}

/// The fingerprint of a key as it is on the wire.
pub(in crate::keys) fn fingerprint(wire: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(wire)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6aPrjGHqGkXqPu0OZ1dWy0QhPsOmWmDVbzH2kUQ2Hf";

    #[test]
    fn takes_a_key_from_wherever_it_is_copied() {
        let key = Offered::read(KEY).unwrap();
        assert_eq!(key.kind, "ssh-ed25519");
        let fingerprint = key.fingerprint.clone().unwrap();
        assert!(fingerprint.starts_with("SHA256:") && fingerprint.len() == 50);
        for text in [
            format!("{KEY} zoe@laptop\n"),
            format!("# zoe\n\nfrom=\"10.0.0.0/8\",command=\"/bin/a b\" {KEY} zoe\r\n"),
        ] {
            assert_eq!(Offered::read(&text), Ok(key.clone()), "{text}");
        }
    }

    #[test]
    fn says_what_else_it_is() {
        let why = |text: &str| Offered::read(text).unwrap_err();
        assert!(why("-----BEGIN OPENSSH PRIVATE KEY-----").contains("private key"));
        assert!(why("SHA256:abc").contains("no public key"));
        assert!(why(&KEY.replace("ssh-ed25519", "ssh-rsa")).contains("no public key"));
        for two in [
            format!("{KEY}\n{KEY}"),
            format!("environment=\"A=x {KEY} \" {KEY}"),
        ] {
            assert!(why(&two).contains("more than one"), "{two}");
        }
    }
}
