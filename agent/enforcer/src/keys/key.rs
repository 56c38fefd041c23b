//! A public key as SSH writes it on the wire (RFC 4253, section 6.6), in the one spelling that OpenSSH writes. Pure.
//!
//! OpenSSH takes other spellings too and means the same key by them: whoever compares digests has to
//! refuse those.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest, in bytes.
const LONGEST: usize = 16 << 10;

/// What follows the name of a kind.
enum Part {
    /// So many bytes.
    Bytes(usize),
    /// This text.
    Named(&'static str),
    /// Some text.
    Text,
    /// A whole number above zero (RFC 4251, section 5).
    Number,
}

/// As `KIND BASE64`, such as a line of a file has it; none: it is no key, or not spelled so.
pub(super) fn line(key: &[u8]) -> Option<String> {
    let (kind, mut rest) = string(key)?;
    let kind = std::str::from_utf8(kind).ok()?;
    for part in parts(kind)? {
        let (bytes, left) = string(rest)?;
        rest = left;
        let fits = match part {
            Part::Bytes(length) => bytes.len() == length,
            Part::Named(text) => bytes == text.as_bytes(),
            Part::Text => !bytes.is_empty(),
            Part::Number => match bytes {
                [] => false,
                [0, second, ..] => *second >= 0x80,
                [first, ..] => (1..0x80).contains(first),
            },
        };
        fits.then_some(())?;
    }
    let whole = rest.is_empty() && key.len() <= LONGEST;
    whole.then(|| format!("{kind} {}", STANDARD.encode(key)))
}

fn parts(kind: &str) -> Option<Vec<Part>> {
    use Part::{Bytes, Named, Number, Text};
    Some(match kind {
        "ssh-ed25519" => vec![Bytes(32)],
        "ssh-rsa" => vec![Number, Number],
        "ssh-dss" => vec![Number, Number, Number, Number],
        "ecdsa-sha2-nistp256" => vec![Named("nistp256"), Bytes(65)],
        "ecdsa-sha2-nistp384" => vec![Named("nistp384"), Bytes(97)],
        "ecdsa-sha2-nistp521" => vec![Named("nistp521"), Bytes(133)],
        "sk-ssh-ed25519@openssh.com" => vec![Bytes(32), Text],
        "sk-ecdsa-sha2-nistp256@openssh.com" => vec![Named("nistp256"), Bytes(65), Text],
        _ => return None,
    })
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::TRACER;

    fn rsa(exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
        let part = |it: &[u8]| [&u32::try_from(it.len()).unwrap().to_be_bytes(), it].concat();
        [part(b"ssh-rsa"), part(exponent), part(modulus)].concat()
    }

    #[test]
    fn a_key_has_one_spelling() {
        let tracer = line(&TRACER).unwrap();
        assert!(tracer.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"));
        assert!(line(&[&TRACER[..], b"\0"].concat()).is_none());
        assert!(line(&rsa(&[1, 0, 1], &[0, 0x80, 1])).is_some());
        for (exponent, modulus) in [
            (&[0, 1, 0, 1][..], &[0x7f, 1][..]),
            (&[1, 0, 1], &[0, 0x7f, 1]),
            (&[1, 0, 1], &[0x80, 1]),
            (&[], &[0x7f]),
            (&[0], &[0x7f]),
        ] {
            assert!(line(&rsa(exponent, modulus)).is_none());
        }
        let certificate = b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com\0\0\0\x01x";
        assert!(line(certificate).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = line(&bytes);
            let _ = line(&[b"\0\0\0\x07ssh-rsa", &bytes[..]].concat());
        }
    }
}
