//! The signature on a receipt, and the public key that it is looked at with. Pure.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{FORMAT, Receipt, VERSION};

/// How many bytes at the end of a receipt hold the signature, and are not signed themselves.
pub const TAIL: usize = BEFORE.len() + ENCODED + AFTER.len();

const BEFORE: &str = ",\n  \"signature\": \"";
const AFTER: &str = "\"\n}\n";
/// 64 bytes in Base64.
const ENCODED: usize = 88;
/// Before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why a receipt counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untrusted {
    /// It is none, or not as one is written.
    #[error("this is nothing that was signed, or it was changed: it does not end with a signature")]
    NotOne,
    /// The signature does not fit to it.
    #[error("this was CHANGED after it was signed, or was never signed by {0}")]
    Changed(Public),
    /// It says itself that somebody else signed it.
    #[error("this says that {said} signed it, and the key given is {given}")]
    Stranger {
        /// What it says.
        said: String,
        /// Whose key was given.
        given: Public,
    },
    /// It is genuine, and of a newer form.
    #[error("this is of form {0}, and this program reads up to form {1}")]
    Newer(u32, u32),
}

/// A collector's public key: what receipts are looked at with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Public(pub [u8; 32]);

impl Public {
    /// The key of a file, as `watchward receipt --public-key` prints it: PEM, which other programs
    /// read as well.
    pub fn from_pem(text: &str) -> Option<Self> {
        let text = text.trim();
        let inside = text
            .strip_prefix("-----BEGIN PUBLIC KEY-----")?
            .strip_suffix("-----END PUBLIC KEY-----")?;
        let plain: String = inside.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(plain).ok()?;
        let key = bytes.strip_prefix(&SPKI)?;
        Some(Self(key.try_into().ok()?))
    }

    /// As a file has it.
    pub fn to_pem(self) -> String {
        let bytes = [&SPKI[..], &self.0].concat();
        let inside = STANDARD.encode(bytes);
        format!("-----BEGIN PUBLIC KEY-----\n{inside}\n-----END PUBLIC KEY-----\n")
    }
}

impl fmt::Display for Public {
    /// `SHA256:` and the hash of the key in Base64.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = STANDARD_NO_PAD.encode(digest(&SHA256, &self.0));
        write!(f, "SHA256:{hash}")
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text of what is to be signed, with its signature: Ed25519, by the key that it names.
///
/// # Errors
/// None that is known of.
pub fn signed(
    what: &impl Serialize,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(what)?;
    // Without the end of the object, after which the signature stands.
    let body = text.strip_suffix("\n}").unwrap_or(&text);
    Ok(with(body, &sign(body.as_bytes())))
}

/// A text and its signature.
fn with(body: &str, signature: &[u8; 64]) -> String {
    format!("{body}{BEFORE}{}{AFTER}", STANDARD.encode(signature))
}

/// Looks whether a receipt is as it was signed by whoever has the private half of this key.
///
/// # Errors
/// Why it counts for nothing.
pub fn verify(text: &[u8], key: &Public) -> Result<Receipt, Untrusted> {
    genuine(text, key, (FORMAT, VERSION))
}

/// The same of whatever is signed in this way, with the format and the newest form that are read.
///
/// # Errors
/// Why it counts for nothing.
pub(crate) fn genuine<T: DeserializeOwned>(
    text: &[u8],
    key: &Public,
    (wanted, newest): (&str, u32),
) -> Result<T, Untrusted> {
    let (body, signature) = parts(text).ok_or(Untrusted::NotOne)?;
    let public = UnparsedPublicKey::new(&ED25519, key.0);
    if public.verify(body, &signature).is_err() {
        let said = serde_json::from_slice::<Signer>(text).ok();
        let said = said.filter(|it| it.signer.len() < 100 && it.signer.is_ascii());
        return Err(match said {
            Some(Signer { signer }) if signer != key.to_string() => Untrusted::Stranger {
                said: crate::text::escaped(&signer),
                given: *key,
            },
            _ => Untrusted::Changed(*key),
        });
    }
    let form: Form = serde_json::from_slice(text).map_err(|_| Untrusted::NotOne)?;
    match form {
        Form { format, .. } if format != wanted => Err(Untrusted::NotOne),
        Form { version, .. } if version > newest => Err(Untrusted::Newer(version, newest)),
        Form { .. } => serde_json::from_slice(text).map_err(|_| Untrusted::NotOne),
    }
}

/// What is signed, and the signature.
fn parts(text: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (body, tail) = text.split_at_checked(text.len().checked_sub(TAIL)?)?;
    let tail = tail.strip_prefix(BEFORE.as_bytes())?;
    let encoded = tail.strip_suffix(AFTER.as_bytes())?;
    // Base64 is read in one way only: no other text stands for the same bytes.
    Some((body, STANDARD.decode(encoded).ok()?))
}

#[derive(Deserialize)]
struct Signer {
    signer: String,
}

#[derive(Deserialize)]
struct Form {
    format: String,
    version: u32,
}
