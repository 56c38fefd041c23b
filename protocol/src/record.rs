//! What travels from a host: reports, numbered in two lanes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::AccessEvent;
use crate::health::HealthReport;
use crate::hosts::Doctor;
use crate::keys::Keys;
use crate::peers::Peers;
use crate::restriction::Restriction;
use crate::time::Timestamp;
use crate::{identities, instruments};

/// One thing that a host tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// What a check found.
    Health(HealthReport),
    /// A line of an access log.
    Access(AccessEvent),
    /// Something that cannot be known any more.
    Gap(Gap),
    /// What the agent found on its host.
    Doctor(Doctor),
    /// What opens an account.
    Keys(Keys),
    /// Who is shut out, and what is open.
    Restriction(Restriction),
    /// What sshd was told about keys, and what came of that.
    Instruments(instruments::Told),
    /// Which keys programs of the host log in elsewhere with.
    Identities(identities::Holding),
    /// Who may come into its VPN.
    Peers(Peers),
}

impl Report {
    /// The lane it travels in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Health(_) => Lane::Health,
            Self::Access(_)
            | Self::Gap(_)
            | Self::Doctor(_)
            | Self::Keys(_)
            | Self::Restriction(_)
            | Self::Instruments(_)
            | Self::Identities(_)
            | Self::Peers(_) => Lane::Access,
        }
    }
}

/// Something that cannot be known any more: said, so that nothing is lost in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where: `journal`, `/var/log/auth.log`, `spool`.
    pub source: String,
    /// From when, where known.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Timestamp,
    /// How many records, where known.
    pub lost: Option<u64>,
    /// Why, in one sentence for a person.
    pub why: String,
}

/// A numbered sequence. Two, so that a backlog of health never delays an access event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Access events, gaps, keys, restrictions, revocations, identities, peers and what the agent says of itself.
    Access,
    /// Results of checks.
    Health,
}

impl Lane {
    /// Both lanes, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Access, Self::Health];

    /// Its name in logs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Health => "health",
        }
    }
}

/// Which life of a spool a number belongs to: random, made when the spool is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

/// What waits on a host until the collector has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many records.
    pub records: u64,
    /// How long ago the agent kept the oldest of them, by the host's clock.
    pub oldest: Duration,
}

/// A report with its place in its lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number, dense from 1 within lane and epoch.
    pub seq: u64,
    /// How many numbers right before `seq` this record stands for as well (a gap does).
    pub covers: u64,
    /// When the agent kept it, by the host's clock.
    pub kept_at: Timestamp,
    /// The host's boot, as `/proc/sys/kernel/random/boot_id` has it.
    pub boot: [u8; 16],
    /// What it tells.
    pub report: Report,
}

/// Something that each lane has one of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLane<T> {
    /// The access lane's.
    pub access: T,
    /// The health lane's.
    pub health: T,
}

impl<T> PerLane<T> {
    /// A lane's own.
    pub const fn of(&self, lane: Lane) -> &T {
        match lane {
            Lane::Access => &self.access,
            Lane::Health => &self.health,
        }
    }

    /// A lane's own, to change.
    pub const fn of_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Access => &mut self.access,
            Lane::Health => &mut self.health,
        }
    }
}
