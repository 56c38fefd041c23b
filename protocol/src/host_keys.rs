//! What a host's sshd shows of itself to whoever logs in: certificates of its keys, and keys of ours; and
//! how clients know the authority that signs them.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// What there should be of that on a host: all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeys {
    /// Certificates of keys that the host has, each as SSH writes it on the wire; at most
    /// [`MOST_CERTIFICATES`](Self::MOST_CERTIFICATES).
    pub certificates: Vec<Vec<u8>>,
    /// Which keys of ours there should be, from 1 and rising, at most
    /// [`MOST_SERIALS`](Self::MOST_SERIALS): one that is missing is made on the host, one that is not
    /// named is destroyed.
    pub serials: Vec<u32>,
    /// Whether sshd shows the keys of the host's own configuration, too, and before those. Their files
    /// stay either way.
    pub own: bool,
}

impl Default for HostKeys {
    /// What a host shows of whom nothing is ordered.
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            serials: Vec::new(),
            own: true,
        }
    }
}

impl HostKeys {
    /// How many certificates a host can have.
    pub const MOST_CERTIFICATES: usize = 16;
    /// The longest, in bytes.
    pub const LONGEST_CERTIFICATE: usize = 8 << 10;
    /// How many keys of ours a host can have at once: the old and the new.
    pub const MOST_SERIALS: usize = 2;
    /// Where the files of it stand on a host. Only its root writes there.
    pub const FOLDER: &str = "/etc/ssh/watchward/";

    /// The file of a key of ours that anybody may read.
    pub fn public_file(serial: u32) -> String {
        format!("{}host/{serial}/key.pub", Self::FOLDER)
    }

    /// Whether a host can hold it, and has a key left to show.
    pub fn sound(&self) -> bool {
        let fits = |it: &Vec<u8>| (1..=Self::LONGEST_CERTIFICATE).contains(&it.len());
        let few = self.certificates.len() <= Self::MOST_CERTIFICATES
            && self.serials.len() <= Self::MOST_SERIALS;
        let rising = self.serials.is_sorted_by(|one, next| one < next);
        let is_shown = self.own || !self.serials.is_empty();
        few && rising
            && is_shown
            && !self.serials.contains(&0)
            && self.certificates.iter().all(fits)
    }
}

/// What says of an authority of hosts that the one before trusts it: whoever trusts that one can trust this
/// one unasked. All in Base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// The new one, as SSH writes it on the wire: as in a line of `known_hosts`.
    pub key: String,
    /// The one before.
    pub by: String,
    /// Its signature (Ed25519, RFC 8032) on what is said.
    pub signature: String,
}

/// Before the 32 bytes of an Ed25519 key on the wire (RFC 8709).
const ED25519_WIRE: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

impl Vouched {
    /// What is signed for a key as on the wire; it can be taken for no certificate.
    pub fn statement(key: &[u8]) -> Vec<u8> {
        let said = b"watchward: whoever trusts this authority of hosts can trust the next one: ";
        [&said[..], key].concat()
    }

    /// What is said of a key, with the signature of another, both as on the wire.
    pub fn new(key: &[u8], by: &[u8], signature: &[u8]) -> Self {
        let [key, by, signature] = [key, by, signature].map(|it| STANDARD.encode(it));
        Self { key, by, signature }
    }

    /// Whether the one before really said so.
    pub fn is_genuine(&self) -> bool {
        let decode = |text: &String| STANDARD.decode(text).ok();
        let (Some(key), Some(by)) = (decode(&self.key), decode(&self.by)) else {
            return false;
        };
        let signature = decode(&self.signature).unwrap_or_default();
        by.strip_prefix(ED25519_WIRE).is_some_and(|point| {
            let by = UnparsedPublicKey::new(&ED25519, point);
            by.verify(&Self::statement(&key), &signature).is_ok()
        })
    }
}

/// Before the names of hosts for which an authority is trusted, in a line of `known_hosts`.
pub const TRUSTED: &str = "@cert-authority ";
/// Before the names of hosts for which a key is refused.
pub const REVOKED: &str = "@revoked ";

/// Whether it is a line of `known_hosts` that trusts an authority for hosts that it names, and not for all
/// there are, or one that revokes.
pub fn is_line(line: &str) -> bool {
    if line.contains(|it: char| it.is_control()) {
        return false;
    }
    let Some(trusted) = line.strip_prefix(TRUSTED) else {
        return line.starts_with(REVOKED);
    };
    let names = trusted.split(' ').next().unwrap_or_default();
    let names_some = |it: &str| it.contains(|one: char| one.is_ascii_alphanumeric());
    names.split(',').all(names_some)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    #[test]
    fn only_the_one_before_can_vouch_for_the_next() {
        let pair = |seed| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let wire = |pair: &Ed25519KeyPair| [ED25519_WIRE, pair.public_key().as_ref()].concat();
        let [old, new, other] = [1, 2, 3].map(pair);
        let said = old.sign(&Vouched::statement(&wire(&new)));
        let vouched = Vouched::new(&wire(&new), &wire(&old), said.as_ref());
        assert!(vouched.is_genuine());
        let [of_other, by_other] = [
            Vouched::new(&wire(&other), &wire(&old), said.as_ref()),
            Vouched::new(&wire(&new), &wire(&other), said.as_ref()),
        ];
        assert!(!of_other.is_genuine() && !by_other.is_genuine());
        let unsigned = Vouched {
            signature: String::new(),
            ..vouched
        };
        assert!(!unsigned.is_genuine());
    }

    #[test]
    fn a_line_names_its_hosts_or_takes_something_away() {
        for (line, fits) in [
            ("@cert-authority web,*.test ssh-ed25519 AAAA", true),
            ("@revoked * ssh-ed25519 AAAA", true),
            ("@cert-authority * ssh-ed25519 AAAA", false),
            ("@cert-authority web,* ssh-ed25519 AAAA", false),
            ("web ssh-ed25519 AAAA", false),
            ("@revoked * ssh-ed25519 AAAA\nweb ssh-ed25519 AAAA", false),
            ("", false),
        ] {
            assert_eq!(is_line(line), fits, "{line:?}");
        }
    }
}
