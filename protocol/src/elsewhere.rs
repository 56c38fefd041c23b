//! The question whether another host's sshd accepts keys, asked of a host that can reach it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::proof::Door;
use crate::text::Foreign;

/// What does another host's sshd say to these keys?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Where that sshd listens: the first that answers is asked. At most [`MOST_PLACES`].
    pub at: Vec<SocketAddr>,
    /// By which keys it must prove itself, as on the wire: whatever is said where none fits is
    /// unknown.
    pub host_keys: Vec<Vec<u8>>,
    /// What to ask; at most [`MOST_DOORS`].
    pub doors: Vec<ElsewhereDoor>,
    /// Really log in, and leave at once: in the connection that asks the first door of this account, if
    /// there is one.
    pub login: Option<Login>,
    /// How many tries that sshd bears in one connection; none: it is not known.
    pub tries: Option<u32>,
    /// From where each connection has to come, one after the other: the other host was told them,
    /// and knows its visitor by that. Without any left, none is made.
    pub from: Vec<SocketAddr>,
}

/// An account of the other host, and what to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElsewhereDoor {
    /// Which account.
    pub account: Foreign,
    /// Whether it takes these keys or certificates, as on the wire; at most
    /// [`MOST_KEYS`](crate::proof::MOST_KEYS).
    pub keys: Vec<Vec<u8>>,
    /// Keys that should open it, as on the wire; at most [`CONTROLS`](crate::proof::CONTROLS).
    pub controls: Vec<Vec<u8>>,
}

/// A login with a key of this host's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Of which identity.
    pub identity: String,
    /// Which of its keys.
    pub serial: u32,
    /// Into which account of the other host.
    pub account: Foreign,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Every door that was asked, with each of its keys. One that is not here was not asked in time.
    pub doors: Vec<Door>,
    /// Whether the login worked, or why not; none: it was not tried.
    pub opened: Option<Result<(), String>>,
    /// Why not everything could be asked, in one sentence.
    pub trouble: Option<String>,
}

impl Answer {
    /// Nothing could be asked.
    pub fn of_trouble(why: impl Into<String>) -> Self {
        Self {
            trouble: Some(why.into()),
            ..Self::default()
        }
    }
}

/// Connections that will come from another host of ours, and are nobody's tries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// From where, with the very port; at most [`MOST_CALLS`].
    pub from: Vec<SocketAddr>,
    /// For how long; at most [`LONGEST`].
    pub within: Duration,
    /// Which accounts will be asked about keys, and nothing else; none: any, as of an older collector.
    pub accounts: Vec<Foreign>,
}

/// How many places of one sshd are tried.
pub const MOST_PLACES: usize = 16;
/// How many doors are asked at once.
pub const MOST_DOORS: usize = 64;
/// How many accounts are told of at once: of all doors, and of a login.
pub const MOST_ASKED: usize = MOST_DOORS + 1;
/// How many connections are told of at once.
pub const MOST_CALLS: usize = 16;
/// How long they are expected at most: no port is anybody's for ever.
pub const LONGEST: Duration = Duration::from_secs(60);
