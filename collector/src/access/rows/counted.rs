//! What counts: failures and logins, asked about by their source.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::access::Service;
use watchward_protocol::text::Foreign;
use watchward_protocol::time::Timestamp;

use super::event::{SERVICES, counts_code, source};
use crate::access::address::Source;
use crate::access::judge::Counts;
use crate::store::Tx;
use crate::store::bulk::Bulk;
use crate::store::value::{stamp, variant};

/// Which of these sources have at least `failures` failures around a moment: at most `window`
/// before it, or twice that after it. Asked in bulk, and never counts further than it must.
pub(in crate::access) async fn suspects(
    tx: &mut Tx,
    anchors: &[(Source, Timestamp)],
    failures: usize,
    window: Duration,
) -> sqlx::Result<Vec<(Source, Timestamp)>> {
    let after = format!(
        ") SELECT source, anchor FROM asked WHERE (SELECT e.counts FROM access_event e \
         WHERE e.source = asked.source AND e.counts = 1 \
         AND e.judged_at >= asked.low AND e.judged_at <= asked.high \
         ORDER BY e.judged_at LIMIT 1 OFFSET {}) IS NOT NULL",
        failures.saturating_sub(1)
    );
    let rows = Bulk {
        before: "WITH asked (source, anchor, low, high) AS (VALUES ",
        columns: 4,
        after: &after,
    }
    .fetch(tx, anchors, |(source, anchor), values| {
        values
            .bytes(&source.as_bytes()[..])
            .number(anchor.as_micros())
            .number((*anchor - window).as_micros())
            .number((*anchor + window + window).as_micros());
    })
    .await?;
    rows.iter()
        .map(|row| Ok((source(row.try_get(0)?)?, stamp(row.try_get(1)?))))
        .collect()
}

/// When a source failed around a moment, in order: the last `failures` up to it, and twice as many
/// after it.
pub(in crate::access) async fn failures(
    tx: &mut Tx,
    (source, anchor): (Source, Timestamp),
    failures: usize,
    window: Duration,
) -> sqlx::Result<Vec<Timestamp>> {
    let failures = i64::try_from(failures).unwrap_or(i64::MAX / 2);
    let up_to: Vec<i64> = sqlx::query_scalar(
        "SELECT judged_at FROM access_event WHERE source = $1 AND counts = 1 \
         AND judged_at >= $2 AND judged_at <= $3 ORDER BY judged_at DESC LIMIT $4",
    )
    .bind(source.as_bytes().to_vec())
    .bind((anchor - window).as_micros())
    .bind(anchor.as_micros())
    .bind(failures)
    .fetch_all(&mut **tx)
    .await?;
    let after: Vec<i64> = sqlx::query_scalar(
        "SELECT judged_at FROM access_event WHERE source = $1 AND counts = 1 \
         AND judged_at > $2 AND judged_at <= $3 ORDER BY judged_at LIMIT $4",
    )
    .bind(source.as_bytes().to_vec())
    .bind(anchor.as_micros())
    .bind((anchor + window + window).as_micros())
    .bind(2 * failures)
    .fetch_all(&mut **tx)
    .await?;
    Ok(up_to.into_iter().rev().chain(after).map(stamp).collect())
}

/// How many failures a source has since a moment, and when the last one was.
pub(in crate::access) async fn count(
    tx: &mut Tx,
    source: Source,
    since: Timestamp,
) -> sqlx::Result<(i64, Timestamp)> {
    let (count, last): (i64, Option<i64>) = sqlx::query_as(
        "SELECT COUNT(*), MAX(judged_at) FROM access_event \
         WHERE source = $1 AND counts = 1 AND judged_at >= $2",
    )
    .bind(source.as_bytes().to_vec())
    .bind(since.as_micros())
    .fetch_one(&mut **tx)
    .await?;
    Ok((count, last.map_or(since, stamp)))
}

/// An event as an alert tells of it.
#[derive(Clone, Debug)]
pub(in crate::access) struct Witness {
    /// The server that said it.
    pub(in crate::access) service: Service,
    /// The host that saw it.
    pub(in crate::access) host: String,
    /// Whose name was used, and whether the host has such an account.
    pub(in crate::access) user: Option<(Foreign, bool)>,
    /// How they tried.
    pub(in crate::access) method: Option<String>,
    /// The key that was used.
    pub(in crate::access) fingerprint: Option<String>,
}

/// The latest failures, or logins, from a source since a moment.
pub(in crate::access) async fn witnesses(
    tx: &mut Tx,
    source: Source,
    counts: Counts,
    since: Timestamp,
) -> sqlx::Result<Vec<Witness>> {
    let rows = sqlx::query(
        "SELECT host_name, user_name, user_known, method, key_fingerprint, service FROM access_event \
         WHERE source = $1 AND counts = $2 AND judged_at >= $3 ORDER BY judged_at DESC LIMIT 500",
    )
    .bind(source.as_bytes().to_vec())
    .bind(counts_code(counts))
    .bind(since.as_micros())
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(witness).collect()
}

fn witness(row: &AnyRow) -> sqlx::Result<Witness> {
    let name: Option<Vec<u8>> = row.try_get(1)?;
    let known = row.try_get::<Option<i64>, _>(2)? == Some(1);
    Ok(Witness {
        service: variant(&SERVICES, row.try_get(5)?)?,
        host: row.try_get(0)?,
        user: name.map(|name| (Foreign::from(name), known)),
        method: row.try_get(3)?,
        fingerprint: row.try_get(4)?,
    })
}
