//! A public key that sshd is shown.

use serde::Serialize;
use watchward_protocol::handed::Handed;

use super::Revoked;

pub(in crate::keys) use watchward_protocol::handed::fingerprint;

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

    /// Reads the one key that a text holds.
    ///
    /// # Errors
    /// It holds none, or more, in words for a person.
    pub(in crate::keys) fn read(text: &str) -> Result<Self, &'static str> {
        let key = Handed::read(text)?;
        let is_plain = !key.is_certificate();
        Ok(Self {
            fingerprint: is_plain.then(|| fingerprint(&key.wire)),
            kind: key.kind,
            wire: key.wire,
        })
    }
}
