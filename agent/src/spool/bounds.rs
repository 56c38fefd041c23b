//! What may go: records that the collector has had for long, and when there is no room at all, the
//! oldest health first.

use redb::{ReadableTable, Table};
use serde::{Deserialize, Serialize};
use watchward_protocol::record::{Gap, Lane, Record, Report};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire;

use super::numbers::Head;
use super::{Config, value};

/// A size in mebibytes, as configuration has it: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Megabytes(pub(super) u32);

impl Megabytes {
    /// The same in bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl TryFrom<u32> for Megabytes {
    type Error = &'static str;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        if count == 0 {
            Err("expected a size in mebibytes, at least 1")
        } else {
            Ok(Self(count))
        }
    }
}

impl From<Megabytes> for u32 {
    fn from(size: Megabytes) -> Self {
        size.0
    }
}

/// How many records one transaction takes away at most.
const AT_ONCE: usize = 4096;

/// Takes away acknowledged records that are old, or more than may stay.
pub(super) fn retire(
    table: &mut Table<'_, u64, &'static [u8]>,
    head: &mut Head,
    config: &Config,
    now: Timestamp,
) -> Result<(), redb::Error> {
    let old = now - config.keep_acknowledged.duration();
    let limit = config.keep_acknowledged_limit.bytes();
    for _ in 0..AT_ONCE {
        let Some((seq, bytes)) = oldest(table)? else {
            break;
        };
        if seq > head.acknowledged || (value::kept_at(&bytes) >= old && head.bytes <= limit) {
            break;
        }
        table.remove(seq)?;
        head.bytes = head.bytes.saturating_sub(bytes.len() as u64);
    }
    Ok(())
}

/// Makes room where there is none.
pub(super) struct Shedding {
    pub(super) boot: [u8; 16],
}

impl Shedding {
    /// Frees at least `wanted` bytes in a lane, acknowledged records first, and says how many. What
    /// the collector does not have yet leaves a record in its place that says so.
    pub(super) fn from(
        &self,
        lane: Lane,
        table: &mut Table<'_, u64, &'static [u8]>,
        head: &mut Head,
        wanted: u64,
    ) -> Result<u64, redb::Error> {
        let mut freed = 0;
        let mut lost: Option<Lost> = None;
        for _ in 0..AT_ONCE {
            let Some((seq, bytes)) = oldest(table)? else {
                break;
            };
            if freed >= wanted || seq == head.last {
                break;
            }
            table.remove(seq)?;
            freed += bytes.len() as u64;
            if seq > head.acknowledged {
                lost.get_or_insert_with(|| Lost::from(seq, &bytes))
                    .add(seq, &bytes);
            }
        }
        head.bytes = head.bytes.saturating_sub(freed);
        if let Some(lost) = lost {
            let record = lost.record(lane, self.boot);
            let seq = record.seq;
            let bytes = value::bytes(record.kept_at, record);
            head.bytes += bytes.len() as u64;
            table.insert(seq, bytes.as_slice())?;
        }
        Ok(freed)
    }
}

fn oldest(table: &Table<'_, u64, &'static [u8]>) -> Result<Option<(u64, Vec<u8>)>, redb::Error> {
    Ok(table
        .first()?
        .map(|(seq, bytes)| (seq.value(), bytes.value().to_vec())))
}

/// A run of records that had to go.
struct Lost {
    first: u64,
    last: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Lost {
    fn from(seq: u64, bytes: &[u8]) -> Self {
        let at = value::kept_at(bytes);
        Self {
            first: seq,
            last: seq,
            from: at,
            to: at,
        }
    }

    fn add(&mut self, seq: u64, bytes: &[u8]) {
        self.last = seq;
        self.to = value::kept_at(bytes);
        // The record may itself stand for some that went before.
        let Ok(record) = wire::decode(value::record(bytes)) else {
            return;
        };
        self.first = self.first.min(seq - record.covers.min(seq - 1));
        if let Report::Gap(Gap {
            from: Some(from), ..
        }) = record.report
        {
            self.from = self.from.min(from);
        }
    }

    /// What stands in their place. It was kept when the last of them was: if the collector has that
    /// one and its word was lost, it must know it again.
    fn record(&self, lane: Lane, boot: [u8; 16]) -> Record {
        let covers = self.last - self.first;
        let gap = Gap {
            source: format!("spool of {}", lane.name()),
            from: Some(self.from),
            to: self.to,
            lost: Some(covers + 1),
            why: "there was no room to keep them until the collector came back".to_owned(),
        };
        Record {
            seq: self.last,
            covers,
            kept_at: self.to,
            boot,
            report: Report::Gap(gap),
        }
    }
}
