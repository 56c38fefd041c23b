//! Gates: who may reach which ports of this host.

use ipnet::IpNet;

use crate::frame::{Framed, Malformed, fields, kinds};

/// How many gates there may be at once.
pub const MOST_GATES: usize = 64;

/// How many ranges of ports one gate may have.
pub const MOST_PORTS: usize = 64;

/// How many networks all gates of one host may have together.
pub const MOST_NETWORKS: usize = 16_384;

/// How many exceptions all gates of one host may have together.
pub const MOST_EXCEPTIONS: usize = 256;

/// How long a gate's name may be, in bytes.
pub const LONGEST_NAME: usize = 64;

/// All gates of a host: the whole, never a change to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Which it is of all that were ever ordered; a later one has a higher number. Zero is what holds
    /// before anything was ordered: no gates.
    pub generation: u64,
    /// Whether the enforcer puts back at once what a third hand changes, or only tells.
    pub put_back: bool,
    /// The gates. A packet must be let through by each that its port belongs to.
    pub gates: Vec<Gate>,
}

/// Some ports, and who may reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// For people: letters, digits, `.`, `_` and `-`. It is in nothing that the kernel is told.
    pub name: String,
    /// What is behind it. Not empty.
    pub ports: Vec<Ports>,
    /// Who may pass. Nobody may through a gate of no networks, but whom nothing shuts out.
    pub from: Vec<IpNet>,
    /// Who may pass for a while.
    pub exceptions: Vec<Exception>,
    /// Whether others are shut out.
    pub mode: Mode,
}

/// Ports that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of which protocol.
    pub protocol: Protocol,
    /// The first.
    pub first: u16,
    /// The last; the first again where it is one port.
    pub last: u16,
}

/// What has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As people and `nft` write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A network that may pass for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Which.
    pub net: IpNet,
    /// Until when, in seconds since 1970 by the host's clock.
    pub until: u64,
}

/// What becomes of whoever may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Counted, and let through.
    Watch,
    /// Counted, and shut out.
    Enforce,
}

impl Gates {
    /// Tells these gates from others, to see whether a host holds what was ordered (FNV-1a of the
    /// bytes of a frame). It protects from no one.
    pub fn digest(&self) -> u64 {
        let bytes = self.encode().unwrap_or_default();
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
            (digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        })
    }

    fn bounded(&self) -> Result<(), Malformed> {
        let sum = |of: fn(&Gate) -> usize| self.gates.iter().map(of).sum::<usize>();
        let within = sum(|gate| gate.from.len()) <= MOST_NETWORKS
            && sum(|gate| gate.exceptions.len()) <= MOST_EXCEPTIONS;
        within
            .then_some(())
            .ok_or(Malformed("the gates have too many networks together"))
    }
}

fields!(Gates { generation, put_back, gates } sound Gates::bounded;);

impl Gate {
    fn sound(&self) -> Result<(), Malformed> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=LONGEST_NAME).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(Malformed("a gate's name is not plain"));
        }
        match self.ports.is_empty() {
            true => Err(Malformed("a gate has no ports")),
            false => Ok(()),
        }
    }
}

fields!(Gate { name, ports, from, exceptions, mode } most MOST_GATES; sound Gate::sound;);

impl Ports {
    fn sound(&self) -> Result<(), Malformed> {
        match self.first == 0 || self.last < self.first {
            true => Err(Malformed("a range of ports has none")),
            false => Ok(()),
        }
    }
}

fields!(Ports { protocol, first, last } most MOST_PORTS; sound Ports::sound;);
fields!(Exception { net, until } most MOST_EXCEPTIONS;);
kinds!(Protocol { 6 => Tcp, 17 => Udp });
kinds!(Mode { 1 => Watch, 2 => Enforce });
