//! A public key as it travels: what sshd takes for one, and how everybody calls it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use watchward_protocol::keys::PublicKey;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::fields::{Fields, NoKey};

/// The smallest RSA key that sshd takes (`SSH_RSA_MINIMUM_MODULUS_SIZE`, OpenSSH 7.6).
const SMALLEST_RSA: u32 = 1024;

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rsa,
    Dsa,
    Ecdsa(Curve),
    Ed25519,
    SkEcdsa,
    SkEd25519,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// The plain names, each with what it stands for; the first of a kind is what sshd calls it. The
/// names of signatures are taken for the key that makes them.
const NAMES: [(&str, Algorithm); 11] = [
    ("ssh-ed25519", Algorithm::Ed25519),
    ("ssh-rsa", Algorithm::Rsa),
    ("rsa-sha2-256", Algorithm::Rsa),
    ("rsa-sha2-512", Algorithm::Rsa),
    ("ecdsa-sha2-nistp256", Algorithm::Ecdsa(Curve::P256)),
    ("ecdsa-sha2-nistp384", Algorithm::Ecdsa(Curve::P384)),
    ("ecdsa-sha2-nistp521", Algorithm::Ecdsa(Curve::P521)),
    ("sk-ssh-ed25519@openssh.com", Algorithm::SkEd25519),
    ("sk-ecdsa-sha2-nistp256@openssh.com", Algorithm::SkEcdsa),
    (
        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        Algorithm::SkEcdsa,
    ),
    ("ssh-dss", Algorithm::Dsa),
];

/// The names that sshd also takes inside of a key, in any case: those of its log lines. Those of
/// ECDSA name no curve, and so no key.
const SHORT: [(&str, Algorithm); 4] = [
    ("RSA", Algorithm::Rsa),
    ("DSA", Algorithm::Dsa),
    ("ED25519", Algorithm::Ed25519),
    ("ED25519-SK", Algorithm::SkEd25519),
];

/// The type of a key or certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    algorithm: Algorithm,
    certificate: bool,
}

impl Kind {
    /// The type with this name, as it stands before a key.
    pub(super) fn written(name: &[u8]) -> Option<Self> {
        let plain = |name: &[u8]| {
            let found = NAMES.iter().find(|(known, _)| known.as_bytes() == name);
            found.map(|(_, algorithm)| *algorithm)
        };
        if let Some(algorithm) = plain(name) {
            return Some(Self {
                algorithm,
                certificate: false,
            });
        }
        let name = name.strip_suffix(b"-cert-v01@openssh.com")?;
        let algorithm = plain(name).or(match name {
            b"sk-ssh-ed25519" => Some(Algorithm::SkEd25519),
            b"sk-ecdsa-sha2-nistp256" => Some(Algorithm::SkEcdsa),
            _ => None,
        })?;
        Some(Self {
            algorithm,
            certificate: true,
        })
    }

    /// The type with this name, as it stands in a key.
    fn inside(name: &[u8]) -> Option<Self> {
        Self::written(name).or_else(|| {
            let mut short = SHORT.iter();
            let found = short.find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
            found.map(|(_, algorithm)| Self {
                algorithm: *algorithm,
                certificate: false,
            })
        })
    }

    /// Whether keys of this type are certificates.
    pub(super) const fn is_certificate(self) -> bool {
        self.certificate
    }
}

/// What stands after a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) kind: Kind,
    /// The key; of a certificate, the key that it certifies.
    pub(super) key: PublicKey,
    pub(super) certificate: Option<Certificate>,
}

/// What a certificate says of the key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) id: Foreign,
    pub(super) principals: Vec<Foreign>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
}

/// Reads Base64 as sshd does, which takes blanks and ends of lines anywhere in it.
pub(super) fn decode(text: &[u8]) -> Result<Vec<u8>, NoKey> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let dense: Vec<u8> = text.iter().copied().filter(|byte| !blank(byte)).collect();
    STANDARD
        .decode(dense)
        .map_err(|_| NoKey::Because("what should be the key is not Base64"))
}

/// Understands a key as sshd does.
pub(super) fn read(blob: &[u8]) -> Result<Blob, NoKey> {
    let mut fields = Fields(blob);
    let kind =
        Kind::inside(fields.text()?).ok_or(NoKey::Because("the type in the key is unknown"))?;
    if kind.certificate {
        fields.string()?; // The nonce.
    }
    let (canonical, bits) = plain(kind.algorithm, &mut fields)?;
    let certificate = if kind.certificate {
        Some(certificate(&mut fields)?)
    } else {
        None
    };
    if !fields.0.is_empty() {
        return Err(NoKey::Because("something stands behind the key's end"));
    }
    // As sshd does, of the key as it would write it itself: another spelling is no other key.
    let digest = STANDARD_NO_PAD.encode(Sha256::digest(&canonical));
    let named = NAMES.iter().find(|(_, known)| *known == kind.algorithm);
    let key = PublicKey {
        kind: named.map_or("", |(name, _)| name).to_owned(),
        bits,
        fingerprint: format!("SHA256:{digest}"),
        wire: canonical,
    };
    Ok(Blob {
        kind,
        key,
        certificate,
    })
}

/// The key itself as sshd would write it, and its size.
fn plain(algorithm: Algorithm, fields: &mut Fields<'_>) -> Result<(Vec<u8>, u32), NoKey> {
    let mut whole = Vec::new();
    let named = NAMES.iter().find(|(_, known)| *known == algorithm);
    put(&mut whole, named.map_or("", |(name, _)| name).as_bytes());
    let bits = match algorithm {
        Algorithm::Rsa => {
            put_number(&mut whole, fields.number()?);
            let modulus = fields.number()?;
            put_number(&mut whole, modulus);
            match size(modulus) {
                bits if bits < SMALLEST_RSA => return Err(NoKey::TooSmall(bits)),
                bits => bits,
            }
        }
        Algorithm::Dsa => {
            let prime = fields.number()?;
            put_number(&mut whole, prime);
            for _ in 0..3 {
                put_number(&mut whole, fields.number()?);
            }
            size(prime)
        }
        Algorithm::Ecdsa(curve) => point(curve, fields, &mut whole)?,
        Algorithm::Ed25519 => edwards(fields, &mut whole)?,
        Algorithm::SkEcdsa => {
            let bits = point(Curve::P256, fields, &mut whole)?;
            put(&mut whole, fields.text()?);
            bits
        }
        Algorithm::SkEd25519 => {
            let bits = edwards(fields, &mut whole)?;
            put(&mut whole, fields.text()?);
            bits
        }
    };
    Ok((whole, bits))
}

fn edwards(fields: &mut Fields<'_>, whole: &mut Vec<u8>) -> Result<u32, NoKey> {
    let key = fields.string()?;
    if key.len() != 32 {
        return Err(NoKey::Because("an Ed25519 key has 32 bytes"));
    }
    put(whole, key);
    Ok(256)
}

/// A curve's name and an uncompressed point. Beware: whether the point lies on the curve is not
/// computed; a key with one that does not opens nothing, and is listed all the same.
fn point(curve: Curve, fields: &mut Fields<'_>, whole: &mut Vec<u8>) -> Result<u32, NoKey> {
    let (name, bits, bytes) = match curve {
        Curve::P256 => ("nistp256", 256, 32),
        Curve::P384 => ("nistp384", 384, 48),
        Curve::P521 => ("nistp521", 521, 66),
    };
    if fields.text()? != name.as_bytes() {
        return Err(NoKey::Because("the key is on another curve than its type"));
    }
    let point = fields.string()?;
    if point.first() != Some(&4) || point.len() != 1 + 2 * bytes {
        return Err(NoKey::Because("the key is no point of its curve"));
    }
    put(whole, name.as_bytes());
    put(whole, point);
    Ok(bits)
}

/// What stands after the key in a certificate (OpenSSH's `PROTOCOL.certkeys`).
fn certificate(fields: &mut Fields<'_>) -> Result<Certificate, NoKey> {
    fields.long()?; // The serial number.
    fields.word()?; // Whether of a user or a host.
    let id = fields.string()?.into();
    let mut names = Fields(fields.string()?);
    let mut principals = Vec::new();
    while !names.0.is_empty() {
        principals.push(names.string()?.into());
    }
    let (after, before) = (fields.long()?, fields.long()?);
    for _ in 0..5 {
        fields.string()?; // Critical options, extensions, what is reserved, authority, signature.
    }
    let moment = |seconds: u64| {
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
        Some(Timestamp::from_micros(micros))
    };
    Ok(Certificate {
        id,
        principals,
        not_before: moment(after).filter(|_| after != 0),
        not_after: moment(before),
    })
}

/// The bits of a number without leading zeros.
fn size(number: &[u8]) -> u32 {
    let bytes = u32::try_from(number.len()).unwrap_or(u32::MAX / 8);
    let empty = number.first().map_or(0, |first| first.leading_zeros());
    bytes * 8 - empty
}

fn put(whole: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    whole.extend_from_slice(&length.to_be_bytes());
    whole.extend_from_slice(field);
}

/// A number whose first bit is set gets a zero before it, or it would be negative.
fn put_number(whole: &mut Vec<u8>, number: &[u8]) {
    let sign: &[u8] = match number.first() {
        Some(first) if first & 0x80 != 0 => &[0],
        _ => &[],
    };
    put(whole, &[sign, number].concat());
}
