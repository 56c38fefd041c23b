//! What the agent may ask of the enforcer: a closed set, each of it bounded.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::frame::{fields, kinds};
use crate::gates::Gates;

/// How many bans one request or answer may have.
pub const MOST_BANS: usize = 512;

/// One request. Each has one answer, but for [`Request::Ruleset`] and [`Request::Peers`], whose answers come in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is held? Answered with `Holding`.
    Hello,
    /// Shut these out. A ban that stands already has the new time from now on. Answered with
    /// `Verdicts`, one for each; it is in the kernel when the answer comes.
    Ban(Vec<Ban>),
    /// Let these in again: exactly these bans, not what lies within. Answered with `Done`.
    Unban(Vec<IpNet>),
    /// Which bans stand? Answered with `Held`: the first so many behind this one, in a fixed order.
    Held {
        /// The last of those that came before.
        after: Option<IpNet>,
    },
    /// Somebody came in with a key from here: nothing shuts this address out for so long. Answered
    /// with `Done` or `Refused`.
    Vouch {
        /// From where.
        address: IpAddr,
        /// For how long, in seconds; not longer than the guard lets it.
        seconds: u32,
    },
    /// Have these gates hold, and those that held before again by itself after so many seconds,
    /// unless they are confirmed. Answered with `Done` or `Refused`.
    Try {
        /// All of them.
        gates: Gates,
        /// For how long.
        seconds: u32,
    },
    /// The gates on trial hold from now on. Answered with `Done`, or `Refused` where there is no such
    /// trial any more.
    Confirm {
        /// Which.
        generation: u64,
    },
    /// Have those gates hold again that held before the trial. Answered with `Done`.
    Back,
    /// Everything that the kernel filters, of all tables. Answered with `Text`, in parts, which
    /// together are lines, each a whole text of JSON as `nft -j` has it: one for each table of
    /// others; one for ours, whose sets are empty there; and one for each set of ours but the bans
    /// (`never4`, `vouched4`, `turned4`, and of IPv6). A gate's chain is named `old_0`, or
    /// `new_0` on trial, and so on in the order of the gates; its last rule counts whom it turned
    /// away, or would have, and `turned4` has some of them: an address and the port it went to.
    Ruleset,
    /// Whom has each of the gates that hold turned away, or would have? Answered with `Turned`.
    Turned,
    /// Which peers of WireGuard stand? Answered with `Text`, in parts, which together are lines: a
    /// peer's interface, its key, where it was heard last, what it may send from, when it last proved
    /// who it is (in seconds since 1970), how many bytes came from it and went there, and how often it
    /// is called, as wg(8) writes them. Or with `Refused`.
    Peers,
    /// Take these peers of WireGuard away, wherever they stand. Answered with `Expelled` or `Refused`.
    Expel(Vec<PeerKey>),
}

/// The public key of a peer of WireGuard.
pub type PeerKey = [u8; 32];

/// A network that is shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who. Networks of `/32` (IPv4), `/64` and `/56` cost nothing however many they are; others are
    /// for people, and few.
    pub net: IpNet,
    /// For how many seconds from now; not longer than the guard lets it.
    pub seconds: u32,
    /// Whether this host decided it by itself: some room is for such bans alone, however many the
    /// other hosts have. Of bans that stand this is not known any more.
    pub own: bool,
}

kinds!(Request {
    1 => Hello,
    2 => Ban(bans),
    3 => Unban(nets),
    4 => Held { after },
    5 => Vouch { address, seconds },
    6 => Try { gates, seconds },
    7 => Confirm { generation },
    8 => Back,
    9 => Ruleset,
    10 => Turned,
    11 => Peers,
    12 => Expel(keys),
});
fields!(Ban { net, seconds, own } most MOST_BANS;);
