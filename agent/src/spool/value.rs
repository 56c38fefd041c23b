//! How a record stands in the file: when it was kept, then the record as it travels.

use watchward_protocol::record::{Gap, Lane, Record, Report};
use watchward_protocol::time::Timestamp;
use watchward_protocol::wire;

pub(super) fn bytes(now: Timestamp, record: Record) -> Vec<u8> {
    let mut bytes = now.as_micros().to_le_bytes().to_vec();
    bytes.extend(wire::encode(record));
    bytes
}

pub(super) fn kept_at(bytes: &[u8]) -> Timestamp {
    let first = bytes.first_chunk().copied().unwrap_or_default();
    Timestamp::from_micros(i64::from_le_bytes(first))
}

pub(super) fn record(bytes: &[u8]) -> &[u8] {
    bytes.get(8..).unwrap_or_default()
}

/// A record, or in the place of one that cannot be read another that says so: a single one must not
/// hold up all that come after it.
pub(super) fn read(lane: Lane, seq: u64, bytes: &[u8], boot: [u8; 16]) -> Record {
    wire::decode(record(bytes)).unwrap_or_else(|error| {
        tracing::warn!(lane = lane.name(), seq, %error, "a record in the spool cannot be read");
        let kept_at = kept_at(bytes);
        let gap = Gap {
            source: format!("spool of {}", lane.name()),
            from: Some(kept_at),
            to: kept_at,
            lost: Some(1),
            why: "a record kept here cannot be read".to_owned(),
        };
        Record {
            seq,
            covers: 0,
            kept_at,
            boot,
            report: Report::Gap(gap),
        }
    })
}
