//! Logins from outside that are an incident now, until nothing more has come for a while.

use std::collections::HashMap;

use watchward_protocol::time::Timestamp;

use crate::store::{Store, Tx};

/// When those end that time alone does not end; no deadline from here on is put off.
pub(in crate::restriction) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX / 2);

/// An incident that stands.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Standing {
    /// The alert's key.
    pub(in crate::restriction) key: String,
    /// When the first login was.
    pub(in crate::restriction) since: Timestamp,
    /// How many there were.
    pub(in crate::restriction) count: i64,
    /// When it is over, if nothing more comes.
    pub(in crate::restriction) over_at: Timestamp,
    /// What is said then; of one that time alone does not end, what was told of it.
    pub(in crate::restriction) ending: String,
}

/// The one with this key.
pub(in crate::restriction) async fn find(tx: &mut Tx, key: &str) -> sqlx::Result<Option<Standing>> {
    let found: Option<(i64, i64, i64, String)> = sqlx::query_as(
        "SELECT since, count, over_at, ending FROM restriction_standing WHERE key = $1",
    )
    .bind(key)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found.map(|(since, count, over_at, ending)| Standing {
        key: key.to_owned(),
        since: Timestamp::from_micros(since),
        count,
        over_at: Timestamp::from_micros(over_at),
        ending,
    }))
}

/// Those whose key begins with this word, by their keys.
pub(in crate::restriction) async fn beginning(
    store: &Store,
    word: &str,
) -> sqlx::Result<HashMap<String, Standing>> {
    // What follows a word is a space, and after the space comes `!`.
    let all: Vec<(String, i64, i64, i64, String)> = sqlx::query_as(
        "SELECT key, since, count, over_at, ending FROM restriction_standing \
         WHERE key >= $1 AND key < $2",
    )
    .bind(format!("{word} "))
    .bind(format!("{word}!"))
    .fetch_all(store.read())
    .await?;
    let standing = |(key, since, count, over_at, ending): (String, _, _, _, _)| Standing {
        key,
        since: Timestamp::from_micros(since),
        count,
        over_at: Timestamp::from_micros(over_at),
        ending,
    };
    let all = all.into_iter().map(standing);
    Ok(all.map(|one| (one.key.clone(), one)).collect())
}

/// Keeps how one stands.
pub(in crate::restriction) async fn keep(tx: &mut Tx, standing: &Standing) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO restriction_standing (key, since, count, over_at, ending) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO UPDATE SET count = excluded.count, \
         over_at = excluded.over_at, ending = excluded.ending",
    )
    .bind(standing.key.as_str())
    .bind(standing.since.as_micros())
    .bind(standing.count)
    .bind(standing.over_at.as_micros())
    .bind(standing.ending.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Has one end no more by itself.
pub(in crate::restriction) async fn remove(tx: &mut Tx, key: &str) -> sqlx::Result<()> {
    let removed = sqlx::query("DELETE FROM restriction_standing WHERE key = $1").bind(key);
    removed.execute(&mut **tx).await?;
    Ok(())
}

/// Takes those that are over out, some hundred at a time: their keys, and what is to be said.
pub(in crate::restriction) async fn take_over(
    tx: &mut Tx,
    now: Timestamp,
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "DELETE FROM restriction_standing WHERE key IN \
         (SELECT key FROM restriction_standing WHERE over_at <= $1 ORDER BY over_at LIMIT 500) \
         RETURNING key, ending",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **tx)
    .await
}
