//! What hosts could not see.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::record::{Gap, Lane};
use watchward_protocol::time::Timestamp;

use crate::intake::Heard;
use crate::store::bulk::without_nul;
use crate::store::question::Question;
use crate::store::value::{code, stamp};
use crate::store::{Store, Tx};

/// Keeps a gap; `false` if it is there already.
pub(in crate::access) async fn insert(
    tx: &mut Tx,
    heard: &Heard<Gap>,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let gap = &heard.report;
    let lost = gap.lost.map(|lost| i64::try_from(lost).unwrap_or(i64::MAX));
    let done = sqlx::query(
        "INSERT INTO access_gap (host, host_name, lane, epoch, seq, received_at, source, from_at, \
         to_at, lost, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT DO NOTHING",
    )
    .bind(heard.host.id.as_bytes().to_vec())
    .bind(heard.host.name.as_str())
    .bind(code(&Lane::ALL, &heard.lane))
    .bind(heard.epoch.0.cast_signed())
    .bind(heard.seq.cast_signed())
    .bind(now.as_micros())
    .bind(without_nul(&gap.source).into_owned())
    .bind(gap.from.map(Timestamp::as_micros))
    .bind(gap.to.as_micros())
    .bind(lost)
    .bind(without_nul(&gap.why).into_owned())
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A gap as it is kept.
#[derive(Clone, Debug)]
pub(in crate::access) struct Kept {
    pub(in crate::access) id: i64,
    pub(in crate::access) host: String,
    pub(in crate::access) received_at: Timestamp,
    pub(in crate::access) gap: Gap,
}

/// The latest gaps, of one host or of all, in order.
pub(in crate::access) async fn list(
    store: &Store,
    host: Option<String>,
    limit: i64,
) -> sqlx::Result<Vec<Kept>> {
    let mut question = Question::default();
    question.add("host_name = ", host);
    let select = "SELECT id, host_name, received_at, source, from_at, to_at, lost, why \
        FROM access_gap";
    let rows = question
        .ask(store, (select, " ORDER BY id DESC"), limit)
        .await?;
    rows.iter().rev().map(kept).collect()
}

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    let lost: Option<i64> = row.try_get(6)?;
    Ok(Kept {
        id: row.try_get(0)?,
        host: row.try_get(1)?,
        received_at: stamp(row.try_get(2)?),
        gap: Gap {
            source: row.try_get(3)?,
            from: row.try_get::<Option<i64>, _>(4)?.map(stamp),
            to: stamp(row.try_get(5)?),
            lost: lost.map(i64::cast_unsigned),
            why: row.try_get(7)?,
        },
    })
}
