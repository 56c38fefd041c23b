//! What the collector orders a host: always the whole of what should hold, never a change to it.

use std::sync::Arc;

use crate::checks::Ordered;
use crate::host_keys::HostKeys;
use crate::identities::Identities;
use crate::instruments::Instruments;
use crate::restriction::{Bans, Gates, Probes};

/// The whole of what should hold on a host, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The checks that it runs beside those of its own configuration.
    Checks(Vec<Ordered>),
    /// Who may reach what of it from where.
    Gates(Arc<Gates>),
    /// Who is shut out of everything: one bucket of that.
    Bans(Arc<Bans>),
    /// Which gates of other hosts it tries.
    Probes(Arc<Probes>),
    /// What sshd is told about keys.
    Instruments(Arc<Instruments>),
    /// Keys that programs of this host log in elsewhere with.
    Identities(Arc<Identities>),
    /// What sshd shows of itself.
    HostKeys(Arc<HostKeys>),
}

/// What an order is about: the next about the same takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Checks.
    Checks,
    /// Gates.
    Gates,
    /// One bucket of bans.
    Bans(u8),
    /// Probes.
    Probes,
    /// What sshd is told about keys.
    Instruments,
    /// Keys that programs of this host log in elsewhere with.
    Identities,
    /// What sshd shows of itself.
    HostKeys,
}

impl Order {
    /// What it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Checks(_) => Subject::Checks,
            Self::Gates(_) => Subject::Gates,
            Self::Bans(bans) => Subject::Bans(bans.bucket),
            Self::Probes(_) => Subject::Probes,
            Self::Instruments(_) => Subject::Instruments,
            Self::Identities(_) => Subject::Identities,
            Self::HostKeys(_) => Subject::HostKeys,
        }
    }
}

/// How many checks a host can be ordered to run.
pub const MOST_CHECKS: usize = 256;

/// How many bytes the settings of an ordered check may have.
pub const LONGEST_SETTINGS: usize = 8 * 1024;
