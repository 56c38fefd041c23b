//! Where a report stands, by which a repeat is known to be one.

use std::collections::{HashMap, HashSet};

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};

use super::Heard;
use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::value::{code, fixed, variant};

/// Where a report stands: its host, lane, epoch and number.
pub type Position = (HostId, Lane, Epoch, u64);

impl<T> Heard<T> {
    /// Where it stands.
    pub fn position(&self) -> Position {
        (self.host.id, self.lane, self.epoch, self.seq)
    }
}

/// Which reports a table has already, of these and of those between them. The table has the columns
/// `host`, `lane`, `epoch` and `seq`.
pub(crate) async fn known(
    tx: &mut Tx,
    table: &'static str,
    positions: impl Iterator<Item = Position>,
) -> sqlx::Result<HashSet<Position>> {
    let mut spans: HashMap<(HostId, Lane, Epoch), (u64, u64)> = HashMap::new();
    for (host, lane, epoch, seq) in positions {
        let span = spans.entry((host, lane, epoch)).or_insert((seq, seq));
        *span = (span.0.min(seq), span.1.max(seq));
    }
    let spans: Vec<_> = spans.into_iter().collect();
    let after = format!(
        ") SELECT t.host, t.lane, t.epoch, t.seq FROM said CROSS JOIN {table} t \
         WHERE t.host = said.host AND t.lane = said.lane AND t.epoch = said.epoch \
         AND t.seq BETWEEN said.low AND said.high"
    );
    let rows = Bulk {
        before: "WITH said (host, lane, epoch, low, high) AS (VALUES ",
        columns: 5,
        after: &after,
    }
    .fetch(tx, &spans, |((host, lane, epoch), (low, high)), values| {
        values
            .bytes(&host.as_bytes()[..])
            .number(code(&Lane::ALL, lane))
            .number(epoch.0.cast_signed())
            .number(low.cast_signed())
            .number(high.cast_signed());
    })
    .await?;
    rows.iter().map(position).collect()
}

fn position(row: &AnyRow) -> sqlx::Result<Position> {
    Ok((
        HostId::from_bytes(fixed(row.try_get(0)?)?),
        variant(&Lane::ALL, row.try_get(1)?)?,
        Epoch(row.try_get::<i64, _>(2)?.cast_unsigned()),
        row.try_get::<i64, _>(3)?.cast_unsigned(),
    ))
}
