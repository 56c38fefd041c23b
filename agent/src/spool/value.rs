//! How a record stands in the file: when it was kept, then the record as it travels.

use watchward_protocol::record::Record;
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
