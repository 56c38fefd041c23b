//! What names a key on the command line: its fingerprint, the file with its public half, or what it is of a
//! peer of WireGuard.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context, Error, bail, ensure};
use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use watchward_protocol::handed::{self, Handed};
use watchward_protocol::peers::PeerKey;

/// More than any public key has, in bytes.
const LARGEST: u64 = 1 << 20;
/// How a fingerprint begins.
const FINGERPRINT: &str = "SHA256:";

/// What somebody typed to name a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A peer of WireGuard, by its public key.
    Peer(String),
    /// A fingerprint, or what begins as one.
    Fingerprint(String),
    /// What stands in a file.
    Key(String),
    /// Something else, such as a person.
    Other(String),
}

impl Named {
    /// Reads the file, if it is one.
    pub(crate) fn of(text: &str) -> anyhow::Result<Self> {
        let own = text.to_owned();
        if text.parse::<PeerKey>().is_ok() {
            return Ok(Self::Peer(own));
        }
        if text.starts_with(FINGERPRINT) {
            return Ok(Self::Fingerprint(own));
        }
        if text == "-" || text.ends_with(".pub") || text.contains('/') {
            return Ok(Self::Key(read(Path::new(text))?));
        }
        Ok(Self::Other(own))
    }
}

/// The fingerprint of the key that is meant; of a peer of WireGuard, its public key.
pub(crate) fn fingerprint(text: &str) -> anyhow::Result<String> {
    match Named::of(text)? {
        Named::Peer(key) => Ok(key),
        Named::Fingerprint(name) if is_whole(&name) => Ok(name),
        Named::Key(text) => fingerprint_in(&text),
        Named::Fingerprint(name) | Named::Other(name) => bail!(
            "{name} names no key: give its fingerprint as `ssh-keygen -l` says it, SHA256:..., or the file \
             with its public half, such as id_ed25519.pub"
        ),
    }
}

/// Whether nothing of a fingerprint is missing: a part of one would be found nowhere.
fn is_whole(name: &str) -> bool {
    let digest = name.strip_prefix(FINGERPRINT).unwrap_or_default();
    let digest = STANDARD_NO_PAD.decode(digest);
    digest.is_ok_and(|digest| digest.len() == SHA256_OUTPUT_LEN)
}

/// A public key of a file.
pub(crate) fn read(key: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if key == Path::new("-") {
        io::stdin().take(LARGEST).read_to_string(&mut text)?;
        return Ok(text);
    }
    let place = key.display();
    if !key.exists() && key.to_string_lossy().starts_with(FINGERPRINT) {
        bail!(
            "{place} is a fingerprint, and sshd can only be shown the public key itself: give the file with \
             it, such as id_ed25519.pub"
        );
    }
    let file = std::fs::File::open(key).with_context(|| format!("cannot open {place}"))?;
    let read = file.take(LARGEST).read_to_string(&mut text);
    read.with_context(|| format!("{place} is no public key"))?;
    Ok(text)
}

/// The fingerprint of the one key that a text holds, as a `.pub` file or `authorized_keys` has it.
fn fingerprint_in(text: &str) -> anyhow::Result<String> {
    let key = Handed::read(text).map_err(Error::msg)?;
    ensure!(
        !key.is_certificate(),
        "this is a certificate: give the key that it is for"
    );
    Ok(handed::fingerprint(&key.wire))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6aPrjGHqGkXqPu0OZ1dWy0QhPsOmWmDVbzH2kUQ2Hf";
    const NAME: &str = "SHA256:/2TxWxCbrlSul+UMQWwwC7mY48QmhApXNvdrAHpDlM4";

    #[test]
    fn a_key_is_named_by_its_fingerprint_and_by_its_file() {
        assert_eq!(fingerprint(NAME).unwrap(), NAME);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.pub");
        let file = file.to_str().unwrap();
        for text in [
            format!("{KEY} zoe@laptop\n"),
            format!("# zoe\n\nfrom=\"10.0.0.0/8\" {KEY} zoe\r\n"),
        ] {
            std::fs::write(file, text).unwrap();
            assert_eq!(fingerprint(file).unwrap(), NAME);
        }
        for (text, words) in [
            ("nothing", "no public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ] {
            std::fs::write(file, text).unwrap();
            let said = fingerprint(file).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_or_half_of_one_names_no_key() {
        let half = NAME.get(..30).unwrap();
        for text in ["abc", "SHA256:abc", half] {
            let said = fingerprint(text).unwrap_err().to_string();
            assert!(said.contains("names no key"), "{said}");
        }
        let said = read(Path::new(NAME)).unwrap_err().to_string();
        assert!(said.contains("the public key itself"), "{said}");
    }
}
