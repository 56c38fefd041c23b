//! Who may reach a host from where: what is ordered of that, and what the host tells of it.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::span::Span;
use crate::text::Foreign;
use crate::time::Timestamp;

/// The whole of who may reach what of a host from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Which version of the policy it is of. It only grows: a host takes none that is older.
    pub generation: u64,
    /// Whether a host puts back by itself what a third hand took away.
    pub put_back: bool,
    /// Each of the gates. What no gate speaks of is open to everywhere.
    pub gates: Vec<Gate>,
}

/// Who may reach some ports of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The service that it is before, such as `ssh`.
    pub name: String,
    /// Whether it is shut to others, or only watched.
    pub mode: Mode,
    /// What it is before.
    pub ports: Vec<Ports>,
    /// From where it may be passed. These do not overlap.
    pub from: Vec<IpNet>,
    /// From where else, for a while.
    pub exceptions: Vec<Exception>,
}

/// A network from which a gate may be passed for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The network.
    pub from: IpNet,
    /// Until when.
    pub until: Timestamp,
}

/// What a gate does with those who come from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Counts what it would turn away, and lets it in.
    #[default]
    Watch,
    /// Turns it away.
    Enforce,
}

impl Mode {
    /// Its name in the policy and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Enforce => "enforce",
        }
    }
}

/// Ports next to each other: from the first through the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// Of which transport.
    pub transport: Transport,
    /// The first, at least 1.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Its name in the policy, in nftables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A part of the bans that should hold: the whole of one bucket, so that one ban more costs one
/// bucket and not all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bans {
    /// Which part: [`bucket`] of each of its networks.
    pub bucket: u8,
    /// The bans of that bucket.
    pub bans: Vec<Ban>,
    /// Bans that people lifted: a host's own of before then are over too.
    pub lifted: Vec<Lift>,
}

/// Somebody who is shut out of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ban {
    /// Which addresses.
    pub net: IpNet,
    /// Until when.
    pub until: Timestamp,
}

/// That somebody is shut out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutOut {
    /// Since when.
    pub since: Timestamp,
    /// Of how many hosts.
    pub hosts: u32,
}

/// A ban that a person ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lift {
    /// Of which addresses.
    pub net: IpNet,
    /// When: bans that a host decides after that are others.
    pub at: Timestamp,
}

/// The bucket that a ban of this network is in: FNV-1a of its address, folded to a byte.
pub fn bucket(net: &IpNet) -> u8 {
    let fold = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = match net {
        IpNet::V4(net) => net.network().octets().iter().fold(0x811c_9dc5, fold),
        IpNet::V6(net) => net.network().octets().iter().fold(0x811c_9dc5, fold),
    };
    hash.to_le_bytes().iter().fold(0, |byte, part| byte ^ part)
}

/// Which gates of other hosts a host tries, to see whether they are shut to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// How often.
    pub every: Span,
    /// Each of them.
    pub probes: Vec<Probe>,
}

/// A port of another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probe {
    /// Where that host is.
    pub address: IpAddr,
    /// By what.
    pub transport: Transport,
    /// Which port.
    pub port: u16,
    /// Whether a server of SSH should be there: then its greeting is read.
    pub ssh: bool,
}

/// What a host tells of its restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// What.
    pub news: News,
}

/// What there is to tell of restrictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The host shut somebody out.
    Banned(Banned),
    /// The whole of what it holds. It takes the place of what was told before.
    Holding(Holding),
    /// A third hand changed it.
    Drift(Drift),
    /// Everything that listens on the host. It takes the place of what was told before.
    Listening(Vec<Listener>),
    /// How a probe ended.
    Probed(Probed),
    /// The whole of what sshd's configuration says of who may come in. It takes the place of what was
    /// told before.
    Sshd(Sshd),
}

/// What sshd's configuration says of who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sshd {
    /// Each setting that there is, in sshd's order: one for each line.
    pub settings: Vec<Setting>,
    /// How many more there are that were left out because there are too many.
    pub omitted: u32,
}

/// One line of sshd's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// For whom alone, as it stands behind `Match`; none: for everybody else.
    pub block: Option<Foreign>,
    /// Its name as sshd_config(5) writes it, such as `PermitRootLogin`.
    pub name: String,
    /// What it is set to.
    pub value: Foreign,
}

/// The host shut somebody out, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    /// Whom.
    pub net: IpNet,
    /// Until when.
    pub until: Timestamp,
    /// After how many tries.
    pub tries: u32,
    /// With how many accounts.
    pub accounts: u32,
    /// Over what time.
    pub within: Duration,
    /// The how manieth time, as far as the host remembers; 1 is the first.
    pub times: u32,
    /// Some of the lines of the log, the last ones.
    pub lines: Vec<Foreign>,
}

/// What a host holds of what was ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// The version of its enforcer; none: there is none, and nothing new is held.
    pub enforcer: Option<String>,
    /// The host's own addresses, but for those that only it or its link can reach.
    pub addresses: Vec<IpAddr>,
    /// How far it is with the gates.
    pub phase: Phase,
    /// Of which generation they are.
    pub generation: u64,
    /// Why it is so, where that has to be said, in one sentence for a person.
    pub why: String,
    /// Why the host does nothing new that is ordered, whatever it is: its guard file cannot be used,
    /// or its kernel; empty where all is well.
    pub trouble: String,
    /// The gates that hold.
    pub gates: Vec<GateHeld>,
    /// How many bans hold.
    pub bans: u32,
    /// What was ordered and will not be done.
    pub vetoed: Vec<Vetoed>,
}

/// How far a host is with the gates that were ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has none.
    #[default]
    Open,
    /// They hold for a moment, until it is known that nobody is locked out.
    Trial,
    /// They hold.
    Held,
    /// They were not taken.
    Refused,
    /// They were taken back, because nobody confirmed them.
    Undone,
}

/// A gate that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateHeld {
    /// Its name.
    pub name: String,
    /// Whether it is shut to others.
    pub mode: Mode,
    /// How many packets it turned away, or would have.
    pub turned_away: u64,
    /// Some of whom that was.
    pub from: Vec<IpAddr>,
}

/// What was ordered and will not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vetoed {
    /// Whom it would have shut out.
    pub net: IpNet,
    /// Why not.
    pub why: Veto,
}

/// Why somebody is not shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Veto {
    /// It is the host itself.
    Own,
    /// It is the host's way out.
    Gateway,
    /// It tells the host where names are.
    Resolver,
    /// It is the collector.
    Collector,
    /// The host's guard file says never.
    Guard,
    /// Somebody came in by key from there a short while ago.
    Vouched,
    /// It is more than the guard file allows at once.
    Wide,
    /// There were too many in this minute.
    Budget,
    /// There are as many as there may be.
    Full,
    /// They are addresses of no single peer: of the host's link, or of many receivers.
    Reserved,
    /// The host's guard file cannot be used, or its kernel refused.
    Unable,
    /// A reason that only a newer program knows.
    Unknown,
}

/// A third hand changed what the host holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What it changed, in one sentence for a person.
    pub what: String,
    /// Whether it was put back.
    pub put_back: bool,
}

/// Something that waits for connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// By what.
    pub transport: Transport,
    /// On which address; unspecified: on all.
    pub address: IpAddr,
    /// On which port.
    pub port: u16,
    /// The program, where it is known.
    pub program: Option<String>,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// What was tried.
    pub probe: Probe,
    /// From which of the host's addresses, where that is known.
    pub from: Option<IpAddr>,
    /// How it ended.
    pub reached: Reached,
    /// How the server greeted.
    pub banner: Option<Foreign>,
    /// How long it took.
    pub took: Duration,
}

/// How far a probe came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reached {
    /// Somebody answered.
    Open,
    /// The host refused.
    Refused,
    /// Nobody answered.
    Silent,
    /// There is no way there.
    Unreachable,
}

/// How many gates a host can have.
pub const MOST_GATES: usize = 64;
/// How many ranges of ports a gate can be before.
pub const MOST_PORTS: usize = 64;
/// How many networks all gates of a host can be passed from together.
pub const MOST_NETWORKS: usize = 16_384;
/// From how many more for a while.
pub const MOST_EXCEPTIONS: usize = 256;
/// How many bans, and how many lifted ones, a bucket can have.
pub const MOST_BANS: usize = 8_192;
/// How many settings of sshd are told.
pub const MOST_SETTINGS: usize = 256;
/// How much of a setting's value, and of the block that it is in, is told: bytes.
pub const LONGEST_SETTING: usize = 512;
/// How many gates of others a host can be ordered to try.
pub const MOST_PROBES: usize = 1_024;
