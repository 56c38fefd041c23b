//! What sshd on a host is told about keys: which of them it has to refuse, which open accounts beside what their own files say, and what came of that.

mod managed;

use std::net::IpAddr;

pub use managed::{Managed, Opens};

use crate::peers::PeerKey;
use crate::text::Foreign;
use crate::time::Timestamp;

/// What should hold on a host of what sshd is told about keys: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    /// Newer takes the place of older; a host never goes back to an older one.
    pub generation: u64,
    /// Everything that is revoked: at most [`MOST_REVOKED`](Self::MOST_REVOKED), and together at most
    /// [`LARGEST`](Self::LARGEST).
    pub revoked: Vec<Revoked>,
    /// Every line that opens an account beside what its own files say: at most
    /// [`MOST_MANAGED`](Self::MOST_MANAGED), and together at most
    /// [`LARGEST_MANAGED`](Self::LARGEST_MANAGED). One that cannot be held is left out, and what is
    /// revoked holds all the same.
    pub managed: Vec<Managed>,
    /// Peers of WireGuard that are revoked, at most [`MOST_PEERS`](Self::MOST_PEERS): they are taken
    /// away, whatever becomes of the rest.
    pub peers: Vec<PeerKey>,
    /// The databases of which nothing is missing here that they ever had revoked, but for what was
    /// reinstated: a number that each was given when it was made, the order's own first, and at most
    /// [`MOST_LINEAGES`](Self::MOST_LINEAGES). None: an older collector, which does not say.
    pub lineages: Vec<u64>,
    /// How much of what is revoked no collector ordered, and a host keeps all the same: see the agent's
    /// `uplink/lineage.rs`. It does not travel.
    pub kept: u32,
}

impl Instruments {
    /// How many lines may open accounts of a host.
    pub const MOST_MANAGED: usize = 2_000;
    /// How many bytes all of them may have, as [`Managed::size`] counts them.
    pub const LARGEST_MANAGED: usize = 1 << 20;
    /// How much can be revoked on a host.
    pub const MOST_REVOKED: usize = 20_000;
    /// How many bytes all of it may have, as [`Revoked::size`] counts them: what has more room as a
    /// key is said by its fingerprint.
    pub const LARGEST: usize = 2 << 20;
    /// How many peers of WireGuard can be.
    pub const MOST_PEERS: usize = 5_000;
    /// How many databases an order, or what a host holds, may be of.
    pub const MOST_LINEAGES: usize = 64;
    /// How many authorities may have certificates revoked by serial or by id.
    pub const MOST_AUTHORITIES: usize = 16;
}

/// One thing that sshd has to refuse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revoked {
    /// A key, its certificates, and whatever it signed: the public key as SSH writes it on the wire
    /// (RFC 4253, section 6.6), and no certificate.
    Key(Vec<u8>),
    /// The same, by the SHA-256 of those bytes.
    Fingerprint([u8; 32]),
    /// Certificates of this authority with one of these serials.
    Serials {
        /// The authority's public key, as on the wire.
        authority: Vec<u8>,
        /// The first, from 1: sshd cannot refuse by the serial 0, which it takes for none.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Certificates of this authority with this id.
    Id {
        /// The authority's public key, as on the wire.
        authority: Vec<u8>,
        /// The id: printable ASCII without `#`, and no space at either end. ssh-keygen would read
        /// another as something else.
        id: String,
    },
}

impl Revoked {
    /// The longest id of a certificate, in bytes.
    pub const LONGEST_ID: usize = 256;

    /// How many bytes it counts for.
    pub fn size(&self) -> usize {
        match self {
            Self::Key(key) => key.len(),
            Self::Fingerprint(digest) => digest.len(),
            Self::Serials { authority, .. } => authority.len() + 16,
            Self::Id { authority, id } => authority.len() + id.len(),
        }
    }

    /// Whose certificates it is about, where it is about an authority's.
    pub fn authority(&self) -> Option<&[u8]> {
        match self {
            Self::Key(_) | Self::Fingerprint(_) => None,
            Self::Serials { authority, .. } | Self::Id { authority, .. } => Some(authority),
        }
    }

    /// Whether ssh-keygen can be told so.
    pub fn sound(&self) -> bool {
        let key = |key: &[u8]| !key.is_empty() && key.len() <= crate::proof::LONGEST_KEY;
        match self {
            Self::Key(blob) => key(blob),
            Self::Fingerprint(_) => true,
            Self::Serials {
                authority,
                first,
                last,
            } => key(authority) && *first > 0 && first <= last,
            Self::Id { authority, id } => {
                let plain = id.bytes().all(|it| matches!(it, b' '..=b'~') && it != b'#');
                let short = !id.is_empty() && id.len() <= Self::LONGEST_ID;
                key(authority) && short && plain && id.trim() == id
            }
        }
    }
}

/// What a host tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What it holds.
    Holding(Holding),
    /// A session was ended.
    Ended(Ended),
}

/// What a host holds of it now. Said after each change, after each connect, and when a third hand
/// changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Since when, by the host's clock.
    pub at: Timestamp,
    /// Which is in force; none: nothing was ever held.
    pub generation: Option<u64>,
    /// How many are in force.
    pub revoked: u32,
    /// SHA-256 of the file of revocations in force.
    pub digest: Option<[u8; 32]>,
    /// Why what is revoked does not hold as it was ordered, in one sentence for a person.
    pub trouble: Option<String>,
    /// How many lines are in force that open accounts beside what their own files say.
    pub managed: u32,
    /// Why those do not hold as they were ordered, in one sentence; what is revoked does not wait for
    /// them.
    pub unmanaged: Option<String>,
    /// Why sshd does not show what it was ordered to show of itself, in one sentence.
    pub unshown: Option<String>,
    /// Of which databases it has what it is to refuse: that of the last order first, and then those
    /// before it of which it keeps something.
    pub lineages: Vec<u64>,
    /// How much it keeps so, beside what was ordered last.
    pub kept: u32,
    /// Since when each session of sshd is open of which nobody knows what opened it, by the host's
    /// clock: of at most [`MOST_UNKNOWN`](Self::MOST_UNKNOWN) the oldest. These do not end.
    pub unknown_sessions: Vec<Timestamp>,
}

impl Holding {
    /// What a trouble begins with where nothing is installed that could tell sshd anything.
    pub const NOBODY: &str = "nobody here can tell sshd";
    /// Of how many sessions it is told that nobody knows what opened them.
    pub const MOST_UNKNOWN: usize = 256;
}

/// A session that was opened with a key which is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// Whose.
    pub account: Foreign,
    /// From where.
    pub address: Option<IpAddr>,
    /// The key that opened it, as sshd logs it: `SHA256:...`; of a certificate, its key.
    pub fingerprint: String,
    /// Since when it was open.
    pub opened_at: Timestamp,
    /// The number of sshd's process that watched over it.
    pub leader: u32,
    /// What became of it.
    pub how: Way,
    /// What may live on, one sentence each; at most [`MOST_SURVIVORS`](Self::MOST_SURVIVORS).
    pub survivors: Vec<String>,
}

impl Ended {
    /// How much is said of what may live on.
    pub const MOST_SURVIVORS: usize = 32;
}

/// What became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was ended.
    Ended,
    /// It was over already.
    Gone,
    /// It lives; why, in one sentence.
    Refused(String),
}
