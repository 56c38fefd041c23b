//! Keys that sshd is asked about in one connection, and shown no signature by.
//! Beware: it ends one in which it has refused as many as it bears, without saying that it refuses the
//! last (`MaxAuthTries`).

use russh::SendError;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use tokio::time::timeout;
use watchward_protocol::proof::Said;

use super::door::{PATIENCE, Sshd};

/// What is asked about.
#[derive(Debug)]
pub(super) enum Key {
    Plain(PublicKey),
    Certificate(Box<Certificate>),
}

impl Key {
    /// Reads one as it is on the wire.
    ///
    /// # Errors
    /// It is no key that this program can ask about.
    pub(super) fn read(wire: &[u8]) -> Result<Self, String> {
        let certificate = |_| {
            Certificate::from_bytes(wire)
                .map(Box::new)
                .map(Self::Certificate)
        };
        let plain = PublicKey::from_bytes(wire).map(Self::Plain);
        let key = plain.or_else(certificate);
        key.map_err(|error| format!("this key cannot be asked about: {error}"))
    }

    /// How many tries a refusal of it costs.
    fn tries(&self) -> u32 {
        u32::try_from(self.hashes().len()).unwrap_or(u32::MAX)
    }

    /// How a signature by it may be called: a server may take one of them and not another.
    fn hashes(&self) -> &'static [Option<HashAlg>] {
        let algorithm = match self {
            Self::Plain(key) => key.algorithm(),
            Self::Certificate(certificate) => certificate.algorithm(),
        };
        if matches!(algorithm, Algorithm::Rsa { .. }) {
            &[Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
        } else {
            &[None]
        }
    }

    fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Plain(key) => Some(key.fingerprint(HashAlg::Sha256).to_string()),
            Self::Certificate(_) => None,
        }
    }
}

/// What is to be asked about; or why it cannot be.
pub(super) type Wanted = Result<Key, String>;

/// The first of these keys that the server would take, by its fingerprint. Beyond the first they are
/// asked about as long as it bears one more refusal after them.
pub(super) async fn control(
    line: &mut Handle<Sshd>,
    account: &str,
    (controls, room): (&[Vec<u8>], &mut u32),
) -> Option<String> {
    let keys = controls.iter().filter_map(|wire| Key::read(wire).ok());
    for (before, other) in keys.enumerate() {
        let left = room.saturating_sub(other.tries());
        if left == 0 && before > 0 {
            break;
        }
        if accepts(line, account, &other).await == Ok(Said::Accepted) {
            return other.fingerprint();
        }
        *room = left;
    }
    None
}

/// What the server says to one key after the other, as long as it bears another refusal; to the first in
/// any case. Of a later one with which it ends the connection, the next shows what it says.
pub(super) async fn each(
    line: &mut Handle<Sshd>,
    account: &str,
    (keys, mut room): (&[Wanted], u32),
) -> Vec<Result<Said, String>> {
    let mut said = Vec::new();
    for wanted in keys {
        let key = match wanted {
            Ok(key) => key,
            Err(why) => {
                said.push(Err(why.clone()));
                continue;
            }
        };
        let left = room.checked_sub(key.tries());
        if left.is_none() && !said.is_empty() {
            break;
        }
        let one = accepts(line, account, key).await;
        if one == Ok(Said::Refused) {
            room = left.unwrap_or_default();
        }
        let has_ended = one.is_err();
        if !has_ended || said.is_empty() {
            said.push(one);
        }
        if has_ended {
            break;
        }
    }
    said
}

/// Whether the server would take a signature by this key.
async fn accepts(line: &mut Handle<Sshd>, account: &str, key: &Key) -> Result<Said, String> {
    for hash in key.hashes() {
        let mut pen = NoPen { wanted: false };
        let asking = async {
            match key {
                Key::Plain(key) => {
                    line.authenticate_publickey_with(account, key.clone(), *hash, &mut pen)
                        .await
                }
                Key::Certificate(certificate) => {
                    let certificate = certificate.as_ref().clone();
                    line.authenticate_certificate_with(account, certificate, *hash, &mut pen)
                        .await
                }
            }
        };
        let said = timeout(PATIENCE, asking).await;
        let said = said.map_err(|_| "sshd does not answer in time".to_owned())?;
        match said {
            _ if pen.wanted => return Ok(Said::Accepted),
            // Who accepts without a signature accepts.
            Ok(AuthResult::Success) => return Ok(Said::Accepted),
            // It names what it would go on with. That nothing is named means that it has gone.
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) if !remaining_methods.is_empty() => {}
            Ok(AuthResult::Failure { .. }) | Err(Declined) => {
                return Err("sshd ended the connection".to_owned());
            }
        }
    }
    Ok(Said::Refused)
}

/// Whoever is asked for a signature notes it and gives none: nobody is let in by asking.
struct NoPen {
    wanted: bool,
}

/// No signature was given, or nobody was there to ask.
struct Declined;

impl From<SendError> for Declined {
    fn from(_: SendError) -> Self {
        Self
    }
}

impl russh::Signer for NoPen {
    type Error = Declined;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Declined> {
        self.wanted = true;
        Err(Declined)
    }
}
