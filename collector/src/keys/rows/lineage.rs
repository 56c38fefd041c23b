//! Which database this is, and which others there were that it takes the place of: hosts go on refusing
//! what those had revoked, until it is given up here.

use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use watchward_protocol::hosts::HostId;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::time::Timestamp;

use crate::store::{Store, Tx};

/// The database's own number, drawn when it is made; hosts are ordered anew, so that they hear it. What
/// was given up, and whose lists a host says that it holds, as numbers with a space between.
pub(super) const TABLES: &str =
    "ALTER TABLE keys_generation ADD COLUMN lineage BIGINT NOT NULL DEFAULT 0;
    UPDATE keys_generation SET generation = generation + 1 WHERE generation > 0;
    ALTER TABLE keys_holding ADD COLUMN lineages TEXT NOT NULL DEFAULT '';
    ALTER TABLE keys_holding ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;
    CREATE TABLE keys_given_up (
        lineage BIGINT PRIMARY KEY, at BIGINT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL)";

/// A copy is another database: hosts may hold by then what it does not know.
pub const OF_A_COPY: &str = "UPDATE keys_generation SET lineage = 0";

/// Gives the database its number, if it has none.
pub(in crate::keys) async fn begin(store: &Store) -> sqlx::Result<()> {
    let number: i64 = rand::random_range(1..i64::MAX);
    let sql = "UPDATE keys_generation SET lineage = $1 WHERE id = 1 AND lineage = 0";
    let mut tx = store.begin().await?;
    sqlx::query(sql).bind(number).execute(&mut *tx).await?;
    tx.commit().await
}

/// Of which databases this one knows all that was revoked, or gave it up: its own number first.
pub(in crate::keys) async fn known(
    database: impl Executor<'_, Database = Any>,
) -> sqlx::Result<Vec<u64>> {
    let rows = sqlx::query(
        "SELECT lineage, 1 AS own, 0 AS at FROM keys_generation WHERE id = 1 UNION ALL \
         SELECT lineage, 0 AS own, at FROM keys_given_up ORDER BY own DESC, at DESC, lineage LIMIT $1",
    )
    .bind(i64::try_from(Instruments::MOST_LINEAGES).unwrap_or(i64::MAX))
    .fetch_all(database)
    .await?;
    let one = |row: &AnyRow| Ok(row.try_get::<i64, _>("lineage")?.cast_unsigned());
    rows.iter().map(one).collect()
}

/// Keeps that what this database had revoked is given up.
pub(in crate::keys) async fn give_up(
    tx: &mut Tx,
    lineage: u64,
    (by, reason): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_given_up (lineage, at, author, reason) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (lineage) DO NOTHING",
    )
    .bind(lineage.cast_signed())
    .bind(now.as_micros())
    .bind(by.to_owned())
    .bind(reason.to_owned())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// A host that refuses what another database had revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Stranger {
    pub(in crate::keys) host: HostId,
    pub(in crate::keys) name: String,
    /// The databases.
    pub(in crate::keys) lineages: Vec<u64>,
    /// The generation that it holds, where that is another database's, too.
    pub(in crate::keys) generation: Option<u64>,
    /// How much it refuses so.
    pub(in crate::keys) count: i64,
}

/// All of them, by name.
pub(in crate::keys) async fn strangers(store: &Store) -> sqlx::Result<Vec<Stranger>> {
    let known = known(store.read()).await?;
    let rows = sqlx::query(
        "SELECT host, host_name, generation, revoked, lineages, kept FROM keys_holding \
         WHERE lineages <> '' ORDER BY host_name",
    )
    .fetch_all(store.read())
    .await?;
    let mut all = Vec::new();
    for row in &rows {
        let lineages = numbers(&row.try_get::<String, _>("lineages")?);
        let is_ours = lineages.first().is_none_or(|it| known.contains(it));
        let generation: Option<i64> = row.try_get("generation")?;
        let count = match is_ours {
            true => row.try_get("kept")?,
            false => row.try_get("revoked")?,
        };
        let lineages: Vec<_> = lineages
            .into_iter()
            .filter(|it| !known.contains(it))
            .collect();
        if !lineages.is_empty() && count > 0 {
            all.push(Stranger {
                host: super::host_id(row)?,
                name: row.try_get("host_name")?,
                lineages,
                generation: generation.map(i64::cast_unsigned).filter(|_| !is_ours),
                count,
            });
        }
    }
    Ok(all)
}

/// Whether what a host holds is this database's order, whose number is the first of those known.
pub(super) fn is_ours(lineages: &str, known: &[u64]) -> bool {
    let lineages = numbers(lineages);
    lineages.first().is_none_or(|it| known.first() == Some(it))
}

/// Makes this another database, where a host has heard more of it than it knows itself, as after an older
/// copy was put in its place without a word: then hosts keep what it does not know. Whether that is so.
pub(in crate::keys) async fn renew(store: &Store, now: Timestamp) -> sqlx::Result<bool> {
    let heard: Vec<(i64, String)> = sqlx::query_as(
        "SELECT generation, lineages FROM keys_holding \
         WHERE generation IS NOT NULL AND generation <= $1 AND lineages <> ''",
    )
    .bind(now.as_micros())
    .fetch_all(store.read())
    .await?;
    // Beware: what hosts said is read first, or one could have heard of what came in between.
    let generation = super::revoked::generation(store).await?;
    let own = known(store.read()).await?.into_iter().next().unwrap_or(0);
    let is_more = |(held, lineages): &(i64, String)| {
        held.cast_unsigned() > generation && numbers(lineages).first() == Some(&own)
    };
    if !heard.iter().any(is_more) {
        return Ok(false);
    }
    let mut tx = store.begin().await?;
    sqlx::query("UPDATE keys_generation SET lineage = $1 WHERE id = 1")
        .bind(rand::random_range(1..i64::MAX))
        .execute(&mut *tx)
        .await?;
    super::revoked::next(&mut tx, now).await?;
    tx.commit().await?;
    Ok(true)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(' ').filter_map(|it| it.parse().ok()).collect()
}

/// As they are kept.
pub(super) fn text(lineages: &[u64]) -> String {
    let all: Vec<_> = lineages.iter().map(u64::to_string).collect();
    all.join(" ")
}
