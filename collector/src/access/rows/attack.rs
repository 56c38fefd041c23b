//! Sources that are at it now: one row each while their incident is open.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::event::source;
use crate::access::address::Source;
use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::value::stamp;

/// A burst of failures that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access) struct Attack {
    /// Where it comes from.
    pub(in crate::access) source: Source,
    /// When its first failure was.
    pub(in crate::access) since: Timestamp,
    /// When its last failure was.
    pub(in crate::access) last_at: Timestamp,
    /// How many failures there were.
    pub(in crate::access) failures: i64,
    /// How many there were when people were told.
    pub(in crate::access) told: i64,
    /// When it is over, if nothing more comes.
    pub(in crate::access) over_at: Timestamp,
}

/// Those of these sources that are at it.
pub(in crate::access) async fn open(
    tx: &mut Tx,
    sources: &[Source],
) -> sqlx::Result<HashMap<Source, Attack>> {
    let rows = Bulk {
        before: "WITH asked (source) AS (VALUES ",
        columns: 1,
        after: ") SELECT a.source, a.since, a.last_at, a.failures, a.told, a.over_at \
            FROM asked CROSS JOIN access_attack a WHERE a.source = asked.source",
    }
    .fetch(tx, sources, |source, values| {
        values.bytes(&source.as_bytes()[..]);
    })
    .await?;
    rows.iter()
        .map(|row| attack(row).map(|attack| (attack.source, attack)))
        .collect()
}

/// Keeps how attacks stand; each source once.
pub(in crate::access) async fn keep(tx: &mut Tx, attacks: &[Attack]) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO access_attack (source, since, last_at, failures, told, over_at) VALUES ",
        columns: 6,
        after: " ON CONFLICT (source) DO UPDATE SET since = excluded.since, \
            last_at = excluded.last_at, failures = excluded.failures, told = excluded.told, \
            over_at = excluded.over_at",
    }
    .execute(tx, attacks, |attack, values| {
        values
            .bytes(&attack.source.as_bytes()[..])
            .number(attack.since.as_micros())
            .number(attack.last_at.as_micros())
            .number(attack.failures)
            .number(attack.told)
            .number(attack.over_at.as_micros());
    })
    .await
}

/// Takes attacks that are over out, some hundred at a time.
pub(in crate::access) async fn take_over(tx: &mut Tx, now: Timestamp) -> sqlx::Result<Vec<Attack>> {
    let rows = sqlx::query(
        "DELETE FROM access_attack WHERE source IN \
         (SELECT source FROM access_attack WHERE over_at <= $1 ORDER BY over_at LIMIT 500) \
         RETURNING source, since, last_at, failures, told, over_at",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(attack).collect()
}

fn attack(row: &AnyRow) -> sqlx::Result<Attack> {
    Ok(Attack {
        source: source(row.try_get(0)?)?,
        since: stamp(row.try_get(1)?),
        last_at: stamp(row.try_get(2)?),
        failures: row.try_get(3)?,
        told: row.try_get(4)?,
        over_at: stamp(row.try_get(5)?),
    })
}

/// Into how many parts sources are divided for taking turns.
const SLOTS: u8 = 64;

/// Waits until no other collector counts what these sources did. From here on this one sees what
/// others have kept: a burst that came to two of them is seen by the later.
pub(in crate::access) async fn take_turn(tx: &mut Tx, sources: &[Source]) -> sqlx::Result<()> {
    let slot = |source: &Source| {
        let sum = source
            .as_bytes()
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
        i64::from(sum % SLOTS)
    };
    // In one order everywhere, so that two collectors never wait for each other.
    let slots: BTreeSet<i64> = sources.iter().map(slot).collect();
    let slots: Vec<_> = slots.into_iter().collect();
    Bulk {
        before: "INSERT INTO access_turn (slot, turns) VALUES ",
        columns: 2,
        after: " ON CONFLICT (slot) DO UPDATE SET turns = access_turn.turns + 1",
    }
    .execute(tx, &slots, |slot, values| {
        values.number(*slot).number(1);
    })
    .await
}
