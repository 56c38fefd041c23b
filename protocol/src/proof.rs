//! The question whether public keys would still be accepted anywhere on a host, and its answer.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::text::Foreign;

/// Would any account of this host still accept these keys? Only their public halves are needed for that:
/// a server says whether it would take a key before anything is signed (RFC 4252, section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The keys or certificates, as SSH writes them on the wire (RFC 4253, section 6.6); at most
    /// [`MOST_KEYS`].
    pub keys: Vec<Vec<u8>>,
    /// Of which accounts; none: of all.
    pub accounts: Vec<Foreign>,
}

/// What a host found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Every door that was asked.
    pub doors: Vec<Door>,
    /// Accounts that there was no time to ask.
    pub left: Vec<Foreign>,
    /// Why not everything could be asked, in one sentence.
    pub trouble: Option<String>,
    /// Why there is no door at all, in one sentence: the host has no sshd.
    pub closed: Option<String>,
    /// How many tries its sshd bears in one connection; none: it is not known.
    pub tries: Option<u32>,
}

impl Answer {
    /// Nothing could be asked.
    pub fn of_trouble(why: impl Into<String>) -> Self {
        Self {
            trouble: Some(why.into()),
            ..Self::default()
        }
    }

    /// What was found of one of the keys.
    pub fn of_key(&self, key: u32) -> Self {
        let its = self.doors.iter().filter(|door| door.key == key);
        Self {
            doors: its.cloned().collect(),
            left: self.left.clone(),
            trouble: self.trouble.clone(),
            closed: self.closed.clone(),
            tries: self.tries,
        }
    }
}

/// An account, behind a place where sshd listens, and one of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Which of the keys that were asked about, counted from 0.
    pub key: u32,
    /// Which account.
    pub account: Foreign,
    /// Where it was asked.
    pub at: SocketAddr,
    /// What it said to the key.
    pub said: Said,
    /// What shows that a refusal means something: a key that the same sshd accepted then.
    pub control: Control,
    /// What has to be known besides, in one sentence; empty: nothing.
    pub note: String,
}

impl Door {
    /// The note of a door where sshd sent away whoever asked, before it said a word of SSH
    /// (`MaxStartups`, and `PerSourcePenalties` from OpenSSH 9.8 on): strangers can bring that about.
    pub const FULL: &str = "sshd had no room for one more connection";
}

/// What a door says to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// Whoever has its private half gets in.
    Accepted,
    /// It opens nothing here.
    Refused,
    /// It cannot be told.
    Unknown,
}

/// A key that was accepted in the same breath, so that a dead sshd does not pass for one that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// One of the account's own, by its fingerprint, in the same connection.
    Own(String),
    /// The account has none that could be asked; this other account has, at the same place.
    Other(Foreign),
    /// None was accepted.
    None,
}

/// Where a host can be asked: what its reader of keys tells its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Where sshd listens, as its configuration says.
    pub listens: Vec<SocketAddr>,
    /// By which keys sshd proves itself, as on the wire; at most [`HOST_KEYS`].
    pub host_keys: Vec<Vec<u8>>,
    /// The accounts.
    pub accounts: Vec<Way>,
    /// Why there may be more, in one sentence.
    pub trouble: Option<String>,
    /// Why there is none, in one sentence.
    pub closed: Option<String>,
    /// How many tries sshd bears in one connection (`MaxAuthTries`); none: it is not known.
    pub tries: Option<u32>,
}

/// How an account can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Its name.
    pub account: Foreign,
    /// Other keys that should open it, as on the wire; at most [`CONTROLS`].
    pub controls: Vec<Vec<u8>>,
    /// Where those keys in question that do still stand for this account.
    pub stands: Vec<Stands>,
}

impl Way {
    /// Where one of the keys still stands.
    pub fn stands(&self, key: u32) -> Option<&Stands> {
        self.stands.iter().find(|it| it.key == key)
    }
}

/// Where a key still stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// Which of the keys in question, counted from 0.
    pub key: u32,
    /// In one sentence, with its conditions.
    pub text: String,
    /// Whether it counts only for some connections, or only by what it signs: then that it is refused
    /// once says little.
    pub conditional: bool,
}

/// How many keys are asked about at once: so many refusals OpenSSH bears in one connection, unless its
/// configuration says otherwise (`MaxAuthTries 6`).
pub const MOST_KEYS: usize = 5;
/// The tries that OpenSSH bears by itself.
pub const TRIES: u32 = 6;
/// How many keys of an account are tried as a control.
pub const CONTROLS: usize = 3;
/// How many keys of sshd's own are told.
pub const HOST_KEYS: usize = 16;
/// How many accounts a host answers for at most.
pub const MOST_ACCOUNTS: usize = 2000;
/// How many doors are in one answer.
pub const MOST_DOORS: usize = 4 * MOST_ACCOUNTS;
/// The longest key that is asked about, in bytes: an RSA key of 16,384 bits in a certificate fits.
pub const LONGEST_KEY: usize = 16 << 10;
