//! Signatures on a policy, as `ssh-keygen -Y sign -n watchward-policy` makes them: whether somebody
//! whom the collector's own file of signers names has made one. Pure.

mod key;
mod signers;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};
use watchward_protocol::time::Timestamp;

use key::{Reader, verify};
pub use signers::{NotSigners, Signers};

/// What a signature on a policy is for (`ssh-keygen -n`): one that was made for anything else says
/// nothing about a policy.
pub const NAMESPACE: &str = "watchward-policy";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// Before a signature and before what is signed (PROTOCOL.sshsig of OpenSSH).
const MAGIC: &[u8] = b"SSHSIG";
/// A signature by RSA of 16,384 bits has some 4 KiB.
const LONGEST: usize = 16 * 1024;

/// Why a signature counts for nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is no signature at all.
    #[error("this is no SSH signature; `ssh-keygen -Y sign -n {NAMESPACE}` makes one")]
    NotOne,
    /// It is for something else.
    #[error("the signature is for {0:?}, and one on a policy is for \"{NAMESPACE}\"")]
    Elsewhere(String),
    /// The key is of a kind, or the signature by an algorithm, that is not taken.
    #[error("a signature by {0:?} is not taken")]
    Algorithm(String),
    /// The key is nobody's that may sign.
    #[error("the signature is by a key that the file of signers does not have: {0}")]
    Stranger(String),
    /// The key is somebody's, and not now.
    #[error("the key of {0} may not sign policies now")]
    NotNow(String),
    /// It does not fit to the policy.
    #[error("the signature is not on this text")]
    Wrong,
}

/// A signature that was read, and not believed yet.
#[derive(Debug)]
struct Signature {
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

impl Signers {
    /// Who has signed this text.
    ///
    /// # Errors
    /// Why the signature counts for nothing.
    pub fn who(&self, text: &str, armored: &str, now: Timestamp) -> Result<String, Untrusted> {
        let read = read(armored).ok_or(Untrusted::NotOne)?;
        if read.namespace != NAMESPACE.as_bytes() {
            let other = String::from_utf8_lossy(&read.namespace);
            return Err(Untrusted::Elsewhere(other.into_owned()));
        }
        let name = self.find(&read.key, now)?;
        let signed = signed(text, &read)?;
        verify(&read.key, &signed, &read.signature)?;
        Ok(name.to_owned())
    }
}

fn read(armored: &str) -> Option<Signature> {
    if armored.len() > LONGEST {
        return None;
    }
    let armored = armored.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let plain: String = armored.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(plain).ok()?;
    let mut reader = Reader::new(bytes.strip_prefix(MAGIC)?);
    if reader.number()? != 1 {
        return None;
    }
    let mut next = || reader.string().map(<[u8]>::to_vec);
    let signature = Signature {
        key: next()?,
        namespace: next()?,
        reserved: next()?,
        hash: next()?,
        signature: next()?,
    };
    reader.is_at_end().then_some(signature)
}

/// The bytes that are signed: not the text, but what it is for and its hash.
fn signed(text: &str, read: &Signature) -> Result<Vec<u8>, Untrusted> {
    let digest = match read.hash.as_slice() {
        b"sha256" => Sha256::digest(text).to_vec(),
        b"sha512" => Sha512::digest(text).to_vec(),
        other => {
            let other = String::from_utf8_lossy(other).into_owned();
            return Err(Untrusted::Algorithm(other));
        }
    };
    let mut signed = MAGIC.to_vec();
    for part in [&read.namespace, &read.reserved, &read.hash, &digest] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        signed.extend_from_slice(&length.to_be_bytes());
        signed.extend_from_slice(part);
    }
    Ok(signed)
}
