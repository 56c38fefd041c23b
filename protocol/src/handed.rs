//! A public key as a person hands it in: the line of a `.pub` file or of `authorized_keys`.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::proof::LONGEST_KEY;

/// How every key as it is on the wire begins in Base64: with the length of its type's name.
const BEGIN: &str = "AAAA";

/// A public key, or a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Such as `ssh-ed25519`.
    pub kind: String,
    /// As on the wire (RFC 4253, 6.6).
    pub wire: Vec<u8>,
}

impl Handed {
    /// Reads the one key that a text holds.
    ///
    /// # Errors
    /// It holds none, or more, in words for a person.
    pub fn read(text: &str) -> Result<Self, &'static str> {
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

    /// Whether it is a certificate: that is named by no fingerprint of its own.
    pub fn is_certificate(&self) -> bool {
        self.kind.ends_with("-cert-v01@openssh.com")
    }
}

/// The keys of a line, whatever stands beside them: one, unless its options hold what looks like another.
fn keys(line: &str) -> Vec<Handed> {
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

fn key_of(kind: &str, key: &str) -> Option<Handed> {
    let wire = STANDARD.decode(key).ok()?;
    let (length, rest) = wire.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let is_it = rest.get(..length)? == kind.as_bytes() && wire.len() <= LONGEST_KEY;
    is_it.then(|| Handed {
        kind: kind.to_owned(),
        wire: wire.clone(),
    })
}

/// The fingerprint of a key as it is on the wire, as ssh-keygen writes it.
pub fn fingerprint(wire: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, wire)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6aPrjGHqGkXqPu0OZ1dWy0QhPsOmWmDVbzH2kUQ2Hf";

    #[test]
    fn takes_a_key_from_wherever_it_is_copied() {
        let key = Handed::read(KEY).unwrap();
        assert_eq!(key.kind, "ssh-ed25519");
        // As `ssh-keygen -l` says.
        let name = "SHA256:/2TxWxCbrlSul+UMQWwwC7mY48QmhApXNvdrAHpDlM4";
        assert_eq!(fingerprint(&key.wire), name);
        for text in [
            format!("{KEY} zoe@laptop\n"),
            format!("# zoe\n\nfrom=\"10.0.0.0/8\",command=\"/bin/a b\" {KEY} zoe\r\n"),
        ] {
            assert_eq!(Handed::read(&text), Ok(key.clone()), "{text}");
        }
    }

    #[test]
    fn says_what_else_it_is() {
        let why = |text: &str| Handed::read(text).unwrap_err();
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
