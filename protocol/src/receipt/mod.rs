//! What was done about a revoked key, signed: who, which key, why, when each host was told and held it,
//! every door that was asked, the sessions that ended, and what is still missing.
//!
//! A receipt is a text of JSON, in one form only: two spaces for each level, the fields in the order
//! of [`Receipt`], and the signature last. The signature (Ed25519, RFC 8032) is on all bytes before
//! the last [`TAIL`]: everything up to the comma before the line that holds it.

mod signature;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::peers::PeerKey;
use crate::proof::Said;
use crate::time::Timestamp;

pub(crate) use signature::genuine;
pub use signature::{Public, TAIL, Untrusted, signed, verify};

/// What a receipt begins with.
pub const FORMAT: &str = "watchward-receipt";
/// The form that this version of the program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// What was done about one key. Texts are safe for a terminal; times are those of the collector's
/// clock unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// When it was written.
    pub made_at: Moment,
    /// Which key.
    pub key: Key,
    /// Who revoked it, when and why.
    pub revoked: Act,
    /// What happened while it was replaced, the oldest first; nothing, if it was not replaced by
    /// itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Whether every host holds it, every door was asked and refuses it, and nothing is missing.
    pub is_proven: bool,
    /// All of it in numbers.
    pub counts: Counts,
    /// What is still missing, one sentence each.
    pub missing: Vec<String>,
    /// Host by host.
    pub hosts: Vec<Host>,
    /// By which key it is signed: as [`Public`] shows itself.
    pub signer: String,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Such as `SHA256:...`.
    pub fingerprint: String,
    /// Such as `ssh-ed25519`.
    pub kind: String,
    /// What stood after it, where it was found.
    pub comment: String,
    /// Whose it was by the policy then; empty: nobody's.
    pub person: String,
}

impl Key {
    /// What the type of a certificate ends with (PROTOCOL.certkeys of OpenSSH).
    pub const CERTIFICATE: &str = "-cert-v01@openssh.com";

    /// Whether what is revoked is a certificate: no door can be asked about it, as nobody but its owner
    /// has what it is for, and it opens only from some networks.
    pub fn is_certificate(&self) -> bool {
        self.kind.ends_with(Self::CERTIFICATE)
    }

    /// Whether it is a peer of WireGuard: it is taken away, and sshd knows nothing of it.
    pub fn is_peer(&self) -> bool {
        self.kind == PeerKey::KIND
    }
}

/// That somebody revoked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Moment,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// The generation of what hosts are ordered from which on it is revoked.
    pub generation: u64,
}

/// Something that happened while a key was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// When.
    pub at: Moment,
    /// What.
    pub what: String,
}

/// A receipt in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "what each counts is its name")]
pub struct Counts {
    pub hosts: usize,
    /// Hosts that have sshd refuse it.
    pub held: usize,
    /// Hosts that are silent, and have not held it.
    pub pending: usize,
    pub doors: usize,
    pub refused: usize,
    /// Of those that refuse it, so many took another key in the same breath.
    pub controlled: usize,
    pub accepted: usize,
    /// Doors of which it cannot be told.
    pub unknown: usize,
    pub sessions_ended: usize,
    /// Sessions that could not be ended.
    pub sessions_alive: usize,
    pub survivors: usize,
    /// Sessions of which nobody knows what opened them.
    #[serde(default, skip_serializing_if = "is_none")]
    pub sessions_unknown: usize,
}

/// What is nothing is left out, as older programs do not know it.
const fn is_none(count: &usize) -> bool {
    *count == 0
}

/// What one host did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// How it stands.
    pub stand: Stand,
    /// Why it does not hold it, in its own words.
    pub why: String,
    /// When it was first told.
    pub said_at: Option<Moment>,
    /// When it was first heard to hold it.
    pub held_at: Option<Moment>,
    /// Which generation it held then.
    pub generation: Option<u64>,
    /// SHA-256 of its file of revocations then, in hexadecimal.
    pub digest: Option<String>,
    /// The sessions that the key had open.
    pub sessions: Vec<Session>,
    /// What its sshd said last when it was asked about the key; none: it was not asked yet.
    pub proof: Option<Proof>,
    /// Of a peer of WireGuard, what became of it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// How many sessions are open there that began before it held the key, and of which nobody knows
    /// what opened them: these do not end.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unknown_sessions: usize,
}

/// What became of a peer of WireGuard on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// When the host was last heard to say which peers stand.
    pub looked_at: Moment,
    /// On which interfaces it stood then.
    pub standing: Vec<String>,
    /// From which it was taken away.
    pub taken: Vec<Taken>,
}

/// That a peer was taken away from an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// From which.
    pub interface: String,
    /// When first, by the host's clock.
    pub first_at: Moment,
    /// When last: whatever is put back is taken away again.
    pub last_at: Moment,
    /// How often.
    pub times: usize,
}

impl Host {
    /// What is to be said of sessions of which nobody knows what opened them.
    pub fn doubt(&self) -> Option<String> {
        let doubt = match self.unknown_sessions {
            0 => return None,
            1 => "of 1 session it is not known what opened it: it was not ended".to_owned(),
            many => {
                format!("of {many} sessions it is not known what opened them: they were not ended")
            }
        };
        Some(doubt)
    }

    /// How it stands, in a few words.
    pub fn words(&self) -> &'static str {
        match self.stand == Stand::Mute && self.has_no_door() {
            true => "no sshd here, so no door",
            false => self.stand.words(),
        }
    }

    /// Whether it was asked, and there is no door at all: it has no sshd that could take the key.
    pub fn has_no_door(&self) -> bool {
        let proof = self.proof.as_ref();
        proof.is_some_and(|it| it.doors.is_empty() && it.omitted == 0 && it.trouble.is_empty())
    }
}

/// How a host stands with a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// Its sshd refuses the key.
    Held,
    /// It was told, and has not said yet what it makes of it.
    Waiting,
    /// It does not do it.
    Refused,
    /// It is silent: it hears of it first thing when it is back.
    Pending,
    /// It is heard, and nothing there could ever tell sshd.
    Mute,
}

impl Stand {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waiting => "not held yet",
            Self::Refused => "refused",
            Self::Pending => "pending: the host is silent",
            Self::Mute => {
                "cannot hold it: nothing there tells sshd what is revoked; install watchward-enforcer there"
            }
        }
    }
}

/// A session that was opened with the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub account: String,
    /// From where; empty where that is not known.
    pub address: String,
    /// Since when it was open, by the host's clock.
    pub opened_at: Moment,
    /// When it was ended, by the host's clock.
    pub ended_at: Moment,
    /// What became of it.
    pub how: How,
    /// Why it lives, where it does.
    pub why: String,
    /// What may live on, one sentence each.
    pub survivors: Vec<String>,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was ended.
    Ended,
    /// It was over already.
    Gone,
    /// It could not be ended.
    Alive,
}

impl How {
    /// In a word or two.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Gone => "over already",
            Self::Alive => "could not be ended",
        }
    }
}

/// What sshd on a host says to the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When it was asked.
    pub at: Moment,
    /// Every door.
    pub doors: Vec<Door>,
    /// How many more there were that are not listed.
    pub omitted: usize,
    /// Why not everything could be asked, if so.
    pub trouble: String,
    /// What was seen from another host, or why nothing was; empty: nobody looked. Its doors are among
    /// the others, with `from HOST` in their place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub elsewhere: String,
}

/// An account, behind a place where sshd listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Which account.
    pub account: String,
    /// Where it was asked.
    pub at: String,
    /// What it said.
    pub said: Said,
    /// What shows that a refusal means something: the key that the same sshd took then, by its
    /// fingerprint, or whose it was; empty: it took none.
    pub control: String,
    /// What has to be known besides; empty: nothing.
    pub note: String,
}

/// A moment as a receipt has it: RFC 3339 in UTC, to the second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub String);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at.to_string())
    }
}
