//! What the enforcer answers, and what it says unasked.

use std::fmt;
use std::net::IpAddr;

use crate::frame::{LARGEST, fields, kinds};
use crate::gates::MOST_GATES;
use crate::request::{Ban, MOST_BANS, PeerKey};

/// How much of a long text comes in one part, in bytes.
pub const LARGEST_PART: usize = LARGEST / 4;

/// How many addresses are told of those that a gate turned away.
pub const MOST_TURNED: usize = 32;

/// An answer; a [`Change`] comes unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Done,
    /// It is not done; why, in a sentence.
    Refused(String),
    /// What is held.
    Holding(Holding),
    /// What became of each ban, in their order.
    Verdicts(Vec<Verdict>),
    /// The bans that stand, with what is left of their time.
    Held(Vec<Ban>),
    /// Some of a long text, and whether it is the last of it.
    Text(Vec<u8>, bool),
    /// Whom the gates that hold turned away, in their order.
    Turned(Vec<Turned>),
    /// Something changed that nobody here asked for.
    Changed(Change),
    /// What became of peers that should go: of those that stood.
    Expelled(Vec<Expelled>),
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Of which version the enforcer is.
    pub version: String,
    /// Which gates are confirmed.
    pub generation: u64,
    /// Tells whether they are those that were ordered: [`Gates::digest`](crate::Gates::digest).
    pub digest: u64,
    /// What holds in their place for now.
    pub trial: Option<Trial>,
    /// How many bans stand.
    pub bans: u32,
    /// Whether the table is in the kernel as it should be.
    pub whole: bool,
    /// Why nothing can be done, in a sentence; empty where all is well.
    pub trouble: String,
    /// How far this host's guard lets anybody go.
    pub limits: Limits,
}

/// Gates on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Which.
    pub generation: u64,
    /// [`Gates::digest`](crate::Gates::digest) of them.
    pub digest: u64,
    /// How many seconds are left to confirm them.
    pub seconds: u32,
}

/// Whom a gate turned away, or would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// The gate's name.
    pub name: String,
    /// How many packets, since it has been ordered so, or the table was made anew.
    pub packets: u64,
    /// Some of those they came from within the last day; who sent most comes first.
    pub from: Vec<IpAddr>,
}

/// A peer of WireGuard that should go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expelled {
    /// The interface that it stood on.
    pub interface: String,
    /// Which.
    pub key: PeerKey,
    /// Why it still stands; empty: it does not.
    pub kept: String,
}

/// The guard's limits that whoever asks has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long a ban may last, in seconds.
    pub longest_ban: u32,
    /// How long gates may be on trial, in seconds.
    pub longest_trial: u32,
}

/// What became of a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stands.
    Done,
    /// It does not.
    Vetoed(Veto),
}

/// Why a ban is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Veto {
    /// It holds an address of this host.
    Own,
    /// It holds a gateway.
    Gateway,
    /// It holds a name server.
    Dns,
    /// It holds the collector.
    Collector,
    /// It holds an address that the guard file lets nobody ban.
    Guard,
    /// It holds an address from where somebody came in with a key.
    Vouched,
    /// It holds addresses of no single peer: this link, this machine, many receivers.
    Reserved,
    /// Its prefix is shorter than the guard lets it be.
    TooWide,
    /// There were too many bans within a minute.
    OverBudget,
    /// As many bans stand as the guard lets there be.
    Full,
    /// The guard file cannot be used, or the kernel refused.
    Unable,
}

/// What changed unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A third hand changed what is ours in the kernel.
    Meddled {
        /// What was found, for people.
        what: String,
        /// Whether it was put back.
        put_back: bool,
    },
    /// Gates were not confirmed in time; those before hold again.
    RolledBack {
        /// Which were not.
        generation: u64,
    },
    /// The guard file cannot be used: nothing can be done. Empty, when it can again.
    Guard(String),
}

impl fmt::Display for Veto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "it holds an address of this host",
            Self::Gateway => "it holds a gateway",
            Self::Dns => "it holds a name server",
            Self::Collector => "it holds the collector",
            Self::Guard => "the host's guard file says never",
            Self::Vouched => "somebody came in with a key from there",
            Self::Reserved => "it holds addresses of no single peer",
            Self::TooWide => "it is wider than the host's guard file lets it be",
            Self::OverBudget => "there were too many within a minute",
            Self::Full => "there are as many as the host's guard file lets there be",
            Self::Unable => "the host's guard file, or its kernel, cannot be used",
        })
    }
}

kinds!(Answer {
    1 => Done,
    2 => Refused(why),
    3 => Holding(holding),
    4 => Verdicts(verdicts),
    5 => Held(bans),
    6 => Text(part, last),
    7 => Changed(change),
    8 => Turned(gates),
    9 => Expelled(peers),
});
fields!(Holding {
    version,
    generation,
    digest,
    trial,
    bans,
    whole,
    trouble,
    limits
});
fields!(Trial {
    generation,
    digest,
    seconds
});
fields!(Turned { name, packets, from } most MOST_GATES;);
fields!(Expelled { interface, key, kept } most 128;);
fields!(Limits {
    longest_ban,
    longest_trial
});
kinds!(Verdict { 1 => Done, 2 => Vetoed(veto) } most MOST_BANS;);
kinds!(Veto {
    1 => Own,
    2 => Gateway,
    3 => Dns,
    4 => Collector,
    5 => Guard,
    6 => Vouched,
    7 => Reserved,
    8 => TooWide,
    9 => OverBudget,
    10 => Full,
    11 => Unable,
});
kinds!(Change {
    1 => Meddled { what, put_back },
    2 => RolledBack { generation },
    3 => Guard(trouble),
});
