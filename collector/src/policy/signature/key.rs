//! Public keys and signatures as SSH has them (RFC 4253, 5656, 8709, PROTOCOL.u2f), and whether the
//! one fits to the other. Pure.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use sha2::{Digest, Sha256};

use super::Untrusted;

/// Reads what SSH writes: numbers, and strings with their length before them.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A curve: its algorithm, and how many bytes a number on it has.
type Curve = (&'static EcdsaVerificationAlgorithm, usize);

const fn curve(name: &[u8]) -> Option<Curve> {
    match name {
        b"nistp256" => Some((&ECDSA_P256_SHA256_FIXED, 32)),
        b"nistp384" => Some((&ECDSA_P384_SHA384_FIXED, 48)),
        b"nistp521" => Some((&ECDSA_P521_SHA512_FIXED, 66)),
        _ => None,
    }
}

/// Looks whether whoever has this key has signed these bytes.
pub(super) fn verify(key: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), Untrusted> {
    let (mut key, mut signature) = (Reader::new(key), Reader::new(signature));
    let kind = key.string().ok_or(Untrusted::NotOne)?;
    let algorithm = signature.string().ok_or(Untrusted::NotOne)?;
    let bytes = signature.string().ok_or(Untrusted::NotOne)?;
    let fits = match (kind, algorithm) {
        (b"ssh-ed25519", b"ssh-ed25519") => {
            let point = key.string();
            point.is_some_and(|point| ed25519(point, signed, bytes))
        }
        (b"ssh-rsa", b"rsa-sha2-256" | b"rsa-sha2-512") => {
            rsa(&mut key, algorithm, (signed, bytes)).is_some()
        }
        (b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" | b"ecdsa-sha2-nistp521", _)
            if kind == algorithm =>
        {
            ecdsa(&mut key, signed, bytes).is_some()
        }
        (b"sk-ssh-ed25519@openssh.com", _) if kind == algorithm => {
            let point = key.string();
            let touched = touched(&mut key, &mut signature, signed);
            let both = point.zip(touched);
            both.is_some_and(|(point, signed)| ed25519(point, &signed, bytes))
        }
        (b"sk-ecdsa-sha2-nistp256@openssh.com", _) if kind == algorithm => {
            let mut inner = Reader::new(key.0);
            let _ = (key.string(), key.string());
            let touched = touched(&mut key, &mut signature, signed);
            touched.is_some_and(|signed| ecdsa(&mut inner, &signed, bytes).is_some())
        }
        _ => {
            let algorithm = String::from_utf8_lossy(algorithm).into_owned();
            return Err(Untrusted::Algorithm(algorithm));
        }
    };
    fits.then_some(()).ok_or(Untrusted::Wrong)
}

fn ed25519(point: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&ED25519, point);
    key.verify(signed, signature).is_ok()
}

fn rsa(key: &mut Reader<'_>, algorithm: &[u8], (signed, bytes): (&[u8], &[u8])) -> Option<()> {
    let (exponent, modulus) = (key.string()?, key.string()?);
    let key = RsaPublicKeyComponents {
        n: without_zeros(modulus),
        e: without_zeros(exponent),
    };
    let parameters = match algorithm {
        b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
        _ => &RSA_PKCS1_2048_8192_SHA512,
    };
    key.verify(parameters, signed, bytes).ok()
}

fn ecdsa(key: &mut Reader<'_>, signed: &[u8], bytes: &[u8]) -> Option<()> {
    let (algorithm, length) = curve(key.string()?)?;
    let point = key.string()?;
    let mut numbers = Reader::new(bytes);
    let mut fixed = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let number = without_zeros(numbers.string()?);
        fixed.resize(fixed.len() + length.checked_sub(number.len())?, 0);
        fixed.extend_from_slice(number);
    }
    let key = UnparsedPublicKey::new(algorithm, point);
    key.verify(signed, &fixed).ok()
}

/// What a hardware key signs, if somebody touched it: the service that it is for, what it says of
/// itself, and the hash of the rest.
fn touched(key: &mut Reader<'_>, signature: &mut Reader<'_>, signed: &[u8]) -> Option<Vec<u8>> {
    const TOUCHED: u8 = 1;
    let application = key.string()?;
    let (flags, counter) = (signature.byte()?, signature.number()?);
    if flags & TOUCHED == 0 {
        return None;
    }
    let mut said = Sha256::digest(application).to_vec();
    said.push(flags);
    said.extend_from_slice(&counter.to_be_bytes());
    said.extend_from_slice(&Sha256::digest(signed));
    Some(said)
}

/// A number without the zeros before it.
fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0);
    first
        .and_then(|first| number.get(first..))
        .unwrap_or_default()
}
