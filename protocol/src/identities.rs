//! Keys that programs of a host log in elsewhere with: made on that host, which never gives away their
//! private halves.

use crate::host_keys::is_line;
use crate::proof::LONGEST_KEY;
use crate::time::Timestamp;

/// What there should be of them on a host: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    /// Each with another name; at most [`MOST`](Self::MOST).
    pub identities: Vec<Identity>,
    /// How programs that use them know hosts: the lines of a `known_hosts` beside them.
    pub known_hosts: Vec<String>,
}

impl Identities {
    /// How many a host can have.
    pub const MOST: usize = 64;
    /// How long all lines of `known_hosts` may be together, in bytes.
    pub const LONGEST_KNOWN: usize = 1 << 20;

    /// Whether lines can stand in that file: they trust authorities for hosts that they name, or take
    /// trust away.
    pub fn fits(known_hosts: &[String]) -> bool {
        let length: usize = known_hosts.iter().map(|it| it.len() + 1).sum();
        length <= Self::LONGEST_KNOWN && known_hosts.iter().all(|it| is_line(it))
    }

    /// Whether a host can hold them: not too many, each sound, and no name twice.
    pub fn sound(&self) -> bool {
        let mut names: Vec<_> = self.identities.iter().map(|it| &it.name).collect();
        names.sort_unstable();
        names.dedup();
        let are_few = names.len() == self.identities.len() && names.len() <= Self::MOST;
        are_few && self.identities.iter().all(Identity::sound) && Self::fits(&self.known_hosts)
    }
}

/// One of them: a name that programs use, and the keys behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Such as `backup`: `[a-z0-9][a-z0-9-]{0,31}`.
    pub name: String,
    /// Whose programs may read the private key on this host.
    pub account: String,
    /// Which keys should exist, from 1, at most [`MOST_SERIALS`](Self::MOST_SERIALS): one that is
    /// missing is made, one that is not named is destroyed.
    pub serials: Vec<u32>,
    /// Which of them programs use; 0: none yet. Never one that does not exist.
    pub using: u32,
}

impl Identity {
    /// How many keys of one identity exist at once: the old, the new, and one more for a rotation
    /// that begins before the last is over.
    pub const MOST_SERIALS: usize = 3;
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 32;

    /// Whether a host can hold it.
    pub fn sound(&self) -> bool {
        let mut serials = self.serials.clone();
        serials.sort_unstable();
        serials.dedup();
        let are_apart = serials.len() == self.serials.len() && !serials.contains(&0);
        let are_few = (1..=Self::MOST_SERIALS).contains(&serials.len());
        let is_there = self.using == 0 || serials.contains(&self.using);
        is_name(&self.name) && is_account(&self.account) && are_apart && are_few && is_there
    }
}

/// Whether an identity may be called so: it becomes the name of a folder.
pub fn is_name(name: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let mut bytes = name.bytes();
    bytes.next().is_some_and(plain)
        && bytes.all(|it| plain(it) || it == b'-')
        && name.len() <= Identity::LONGEST_NAME
}

/// Whether an account may be called so.
fn is_account(name: &str) -> bool {
    let first = |it: u8| it.is_ascii_lowercase() || it == b'_';
    let later = |it: u8| first(it) || it.is_ascii_digit() || matches!(it, b'.' | b'-');
    let mut bytes = name.bytes();
    bytes.next().is_some_and(first) && bytes.all(later) && name.len() <= 32
}

/// What a host has of one identity. Said after each change and after each connect; of one that was
/// taken away once more, without keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// Of which.
    pub name: String,
    /// The keys that exist, with their public halves; at most [`MOST`](Self::MOST).
    pub keys: Vec<Made>,
    /// Which of them programs use; 0: none.
    pub using: u32,
    /// Why not all is as it was ordered, in one sentence for a person.
    pub trouble: Option<String>,
}

impl Holding {
    /// How many keys are told: those that could not be destroyed are there, too.
    pub const MOST: usize = 8;
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which.
    pub serial: u32,
    /// Its public half, as SSH writes it on the wire (RFC 4253, section 6.6).
    pub key: Vec<u8>,
}

impl Made {
    /// Whether it can be one.
    pub fn sound(&self) -> bool {
        self.serial > 0 && !self.key.is_empty() && self.key.len() <= LONGEST_KEY
    }
}
