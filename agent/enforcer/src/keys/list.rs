//! What is revoked: taken down in parts, checked, and written so that ssh-keygen understands it. Pure.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::key;
use super::request::{Certificate, Digest, LARGEST, MOST_AUTHORITIES, MOST_REVOKED, Revoked};
use crate::frame::Framed as _;

/// Everything that is to be revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    all: Vec<Revoked>,
    bytes: usize,
}

/// What ssh-keygen is given at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Specification {
    /// Whose certificates it is about: a line as in `authority.pub`.
    pub(super) authority: Option<String>,
    pub(super) text: String,
}

/// A key that nobody has, and that every list names: that a list works is seen by it.
pub const TRACER: [u8; 51] = nobodys(b'W');

impl List {
    /// Takes down some more.
    ///
    /// # Errors
    /// It is too much, or nothing that ssh-keygen understands.
    pub(super) fn add(&mut self, more: Vec<Revoked>) -> Result<(), String> {
        for one in &more {
            self.bytes += sound(one)?;
        }
        self.all.extend(more);
        let authorities = self.by_authority().len();
        if self.all.len() > MOST_REVOKED || self.bytes > LARGEST || authorities > MOST_AUTHORITIES {
            return Err(format!(
                "at most {MOST_REVOKED} can be revoked, of {MOST_AUTHORITIES} authorities, in {LARGEST} bytes"
            ));
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Leaves out what would revoke one of these keys, itself or by what it signed, and says which.
    pub(super) fn spare(&mut self, never: &[Digest]) -> Vec<Digest> {
        let named = |one: &Revoked| match one {
            Revoked::Key(digest) => *digest,
            Revoked::Serials { authority, .. } | Revoked::Id { authority, .. } => digest(authority),
        };
        let mut spared: Vec<Digest> = self.all.iter().map(named).collect();
        spared.retain(|it| never.contains(it));
        spared.sort_unstable();
        spared.dedup();
        spared.truncate(Digest::MOST);
        self.all.retain(|one| !never.contains(&named(one)));
        spared
    }

    /// Whether it revokes what opened a session.
    pub(super) fn revokes(&self, key: &Digest, certificate: Option<&Certificate>) -> bool {
        self.all.iter().any(|one| match one {
            Revoked::Key(digest) => {
                digest == key || certificate.is_some_and(|it| it.authority == *digest)
            }
            Revoked::Serials {
                authority,
                first,
                last,
            } => certificate.is_some_and(|it| {
                it.authority == digest(authority) && (*first..=*last).contains(&it.serial)
            }),
            Revoked::Id { authority, id } => certificate
                .is_some_and(|it| it.authority == digest(authority) && it.id == id.as_bytes()),
        })
    }

    /// As ssh-keygen takes it: first the keys, then the certificates of each authority.
    pub(super) fn specifications(&self) -> Vec<Specification> {
        let mut keys = format!("hash: {}\n", fingerprint(&digest(&TRACER)));
        for one in &self.all {
            if let Revoked::Key(digest) = one {
                keys += &format!("hash: {}\n", fingerprint(digest));
            }
        }
        let keys = Specification {
            authority: None,
            text: keys,
        };
        let of_authorities = self.by_authority().into_iter().map(|(authority, text)| {
            let authority = key::line(authority).map(|it| it + "\n");
            Specification { authority, text }
        });
        [keys].into_iter().chain(of_authorities).collect()
    }

    fn by_authority(&self) -> BTreeMap<&[u8], String> {
        let mut all: BTreeMap<&[u8], String> = BTreeMap::new();
        for one in &self.all {
            match one {
                Revoked::Key(_) => {}
                Revoked::Serials {
                    authority,
                    first,
                    last,
                } => {
                    let text = all.entry(authority).or_default();
                    *text += &match first == last {
                        true => format!("serial: {first}\n"),
                        false => format!("serial: {first}-{last}\n"),
                    };
                }
                Revoked::Id { authority, id } => {
                    *all.entry(authority).or_default() += &format!("id: {id}\n");
                }
            }
        }
        all
    }
}

/// How many bytes one has, if ssh-keygen would read it as it is meant: a `#` begins a comment there.
fn sound(one: &Revoked) -> Result<usize, String> {
    let of = |authority: &[u8]| match key::line(authority) {
        Some(_) => Ok(authority.len()),
        None => Err("an authority's key is none".to_owned()),
    };
    match one {
        Revoked::Key(digest) => Ok(digest.len()),
        Revoked::Serials {
            authority,
            first,
            last,
        } => match *first > 0 && first <= last {
            true => of(authority),
            false => Err(format!("{first}-{last} are no serials")),
        },
        Revoked::Id { authority, id } => {
            let plain = id.bytes().all(|it| matches!(it, b' '..=b'~') && it != b'#');
            match plain && !id.is_empty() && id.trim() == id {
                true => Ok(of(authority)? + id.len()),
                false => Err("the id of a certificate cannot be said to ssh-keygen".to_owned()),
            }
        }
    }
}

/// SHA-256 of something.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// As OpenSSH writes a digest.
pub(super) fn fingerprint(digest: &Digest) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
}

/// The digest that OpenSSH writes so.
pub(crate) fn read_fingerprint(text: &str) -> Option<Digest> {
    let encoded = text.strip_prefix("SHA256:")?;
    STANDARD_NO_PAD.decode(encoded).ok()?.try_into().ok()
}

/// Another that nobody has, new each time: no list can name it.
///
/// # Errors
/// The kernel gives nothing random.
pub(super) fn other() -> io::Result<[u8; 51]> {
    let mut key = TRACER;
    let (_, point) = key.split_at_mut(19);
    File::open("/dev/urandom")?.read_exact(point)?;
    Ok(key)
}

/// An Ed25519 key that was made of nothing.
const fn nobodys(byte: u8) -> [u8; 51] {
    let mut key = [byte; 51];
    let start = *b"\0\0\0\x0bssh-ed25519\0\0\0\x20";
    let mut at = 0;
    while at < start.len() {
        #[expect(clippy::indexing_slicing, reason = "19 is less than 51")]
        {
            key[at] = start[at];
        }
        at += 1;
    }
    key
}
