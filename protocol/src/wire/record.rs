//! Records and gaps.

use std::time::Duration;

use prost::Message;

use super::{Malformed, text, v1};
use crate::record::{Backlog, Gap, Lane, Record, Report};
use crate::time::Timestamp;

/// A record's bytes, as a spool keeps them.
pub fn encode(record: Record) -> Vec<u8> {
    v1::Record::from(record).encode_to_vec()
}

/// The record in these bytes.
///
/// # Errors
/// They are no record.
pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    v1::Record::decode(bytes)
        .map_err(|_| Malformed("record"))?
        .try_into()
}

impl From<Record> for v1::Record {
    fn from(record: Record) -> Self {
        use v1::record::Report as Wire;
        Self {
            seq: record.seq,
            covers: record.covers,
            kept_at: record.kept_at.as_micros(),
            boot: record.boot.to_vec(),
            report: Some(match record.report {
                Report::Health(health) => Wire::Health(health.into()),
                Report::Access(access) => Wire::Access(access.into()),
                Report::Gap(gap) => Wire::Gap(gap.into()),
                Report::Doctor(doctor) => Wire::Doctor(doctor.into()),
                Report::Keys(keys) => Wire::Keys(keys.into()),
                Report::Restriction(told) => Wire::Restriction(told.into()),
                Report::Instruments(told) => Wire::Instruments(told.into()),
                Report::Identities(held) => Wire::Identity(held.into()),
                Report::Peers(told) => Wire::Peers(told.into()),
            }),
        }
    }
}

impl TryFrom<v1::Record> for Record {
    type Error = Malformed;

    fn try_from(wire: v1::Record) -> Result<Self, Malformed> {
        use v1::record::Report as Wire;
        Ok(Self {
            seq: wire.seq,
            covers: wire.covers,
            kept_at: Timestamp::from_micros(wire.kept_at),
            boot: wire.boot.try_into().map_err(|_| Malformed("boot id"))?,
            report: match wire.report.ok_or(Malformed("report"))? {
                Wire::Health(health) => Report::Health(health.try_into()?),
                Wire::Access(access) => Report::Access(access.try_into()?),
                Wire::Gap(gap) => Report::Gap(gap.into()),
                Wire::Doctor(doctor) => Report::Doctor(doctor.try_into()?),
                Wire::Keys(keys) => Report::Keys(keys.try_into()?),
                Wire::Restriction(told) => Report::Restriction(told.try_into()?),
                Wire::Instruments(told) => Report::Instruments(told.try_into()?),
                Wire::Identity(held) => Report::Identities(held.try_into()?),
                Wire::Peers(told) => Report::Peers(told.try_into()?),
            },
        })
    }
}

/// No host holds back more, or for longer: what is computed with these never overflows.
const MOST: u64 = 1 << 48;
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl From<Backlog> for v1::Beat {
    fn from(backlog: Backlog) -> Self {
        let oldest = u64::try_from(backlog.oldest.as_micros()).unwrap_or(u64::MAX);
        Self {
            behind: Some(backlog.records),
            oldest: Some(oldest),
        }
    }
}

/// What waits there, if the agent says so: an older one does not.
impl From<v1::Beat> for Option<Backlog> {
    fn from(wire: v1::Beat) -> Self {
        Some(Backlog {
            records: wire.behind?.min(MOST),
            oldest: Duration::from_micros(wire.oldest.unwrap_or(0)).min(LONGEST),
        })
    }
}

impl From<Gap> for v1::Gap {
    fn from(gap: Gap) -> Self {
        Self {
            source: gap.source,
            from: gap.from.map(Timestamp::as_micros),
            to: gap.to.as_micros(),
            lost: gap.lost,
            why: gap.why,
        }
    }
}

impl From<v1::Gap> for Gap {
    fn from(wire: v1::Gap) -> Self {
        Self {
            source: text(wire.source),
            from: wire.from.map(Timestamp::from_micros),
            to: Timestamp::from_micros(wire.to),
            lost: wire.lost,
            why: text(wire.why),
        }
    }
}

impl From<Lane> for v1::Lane {
    fn from(lane: Lane) -> Self {
        match lane {
            Lane::Access => Self::Access,
            Lane::Health => Self::Health,
        }
    }
}

impl TryFrom<v1::Lane> for Lane {
    type Error = Malformed;

    fn try_from(wire: v1::Lane) -> Result<Self, Malformed> {
        match wire {
            v1::Lane::Access => Ok(Self::Access),
            v1::Lane::Health => Ok(Self::Health),
            v1::Lane::Unspecified => Err(Malformed("lane")),
        }
    }
}
