//! Keys that should open nothing any more, and what each host said to them last.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::cause::{self, Cause};
use super::{host_key, maybe_stamp};
use crate::keys::proof::{Proven, Revoked};
use crate::store::value::stamp;
use crate::store::{Store, Tx};

/// How long all reasons of a key may be together, in bytes.
const LONGEST_REASONS: usize = 4_000;

/// The number of the next change, which is held until the transaction ends. It is made of the moment:
/// after an older database was put back, the next change is newer than what hosts hold. Beware: it
/// never goes back, whatever the clock does.
pub(in crate::keys) async fn next(tx: &mut Tx, now: Timestamp) -> sqlx::Result<u64> {
    let generation: i64 = sqlx::query_scalar(
        "UPDATE keys_generation SET generation = \
         CASE WHEN generation >= $1 THEN generation + 1 ELSE $1 END WHERE id = 1 \
         RETURNING generation",
    )
    .bind(now.as_micros())
    .fetch_one(&mut **tx)
    .await?;
    Ok(generation.unsigned_abs())
}

/// The number of the last change; 0: nothing was ever revoked.
pub(in crate::keys) async fn generation(store: &Store) -> sqlx::Result<u64> {
    let sql = "SELECT generation FROM keys_generation WHERE id = 1";
    let generation: i64 = sqlx::query_scalar(sql).fetch_one(store.read()).await?;
    Ok(generation.unsigned_abs())
}

/// The same, with every key that is revoked: its fingerprint and what it is on the wire, what people
/// revoked first, what the policy did by itself last, and of each the newest first.
pub(in crate::keys) async fn ordered(store: &Store) -> sqlx::Result<(u64, Vec<(String, Vec<u8>)>)> {
    let rows = sqlx::query(
        "SELECT g.generation, r.fingerprint, r.wire FROM keys_generation g \
         LEFT JOIN keys_revoked r ON r.ended_at IS NULL WHERE g.id = 1 ORDER BY r.cause, r.id DESC",
    )
    .fetch_all(store.read())
    .await?;
    let (mut generation, mut keys) = (0_i64, Vec::new());
    for row in &rows {
        generation = row.try_get("generation")?;
        if let Some(fingerprint) = row.try_get("fingerprint")? {
            keys.push((fingerprint, row.try_get("wire")?));
        }
    }
    Ok((generation.unsigned_abs(), keys))
}

/// Keeps that somebody revoked a key; says whether it was not revoked yet. Of one that was, it may be
/// learnt now what it is on the wire.
pub(in crate::keys) async fn revoke(tx: &mut Tx, key: &Revoked) -> sqlx::Result<bool> {
    revoke_by(tx, key, Cause::Person).await
}

/// The same, for this cause.
pub(in crate::keys) async fn revoke_by(
    tx: &mut Tx,
    key: &Revoked,
    cause: Cause<'_>,
) -> sqlx::Result<bool> {
    if !key.wire.is_empty() {
        let learnt = "UPDATE keys_revoked SET wire = $2, kind = $3 \
             WHERE fingerprint = $1 AND ended_at IS NULL AND LENGTH(wire) = 0";
        sqlx::query(learnt)
            .bind(key.fingerprint.clone())
            .bind(key.wire.clone())
            .bind(key.kind.clone())
            .execute(&mut **tx)
            .await?;
    }
    if again(tx, key).await? {
        cause::raise(tx, key, cause).await?;
        host_key::mark(tx, key, cause).await?;
        return Ok(false);
    }
    let kept = sqlx::query(
        "INSERT INTO keys_revoked \
         (fingerprint, kind, wire, reason, author, at, comment, person, generation, cause, told_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (fingerprint) WHERE ended_at IS NULL DO NOTHING",
    )
    .bind(key.fingerprint.clone())
    .bind(key.kind.clone())
    .bind(key.wire.clone())
    .bind(key.reason.clone())
    .bind(key.author.clone())
    .bind(key.at.as_micros())
    .bind(key.comment.clone())
    .bind(key.person.clone())
    .bind(key.generation.cast_signed())
    .bind(cause.code())
    .bind(cause.told_by().map(str::to_owned))
    .execute(&mut **tx)
    .await?;
    host_key::mark(tx, key, cause).await?;
    Ok(kept.rows_affected() > 0)
}

/// Keeps why a key is revoked that was before, beside the reason of then; says whether it was.
async fn again(tx: &mut Tx, key: &Revoked) -> sqlx::Result<bool> {
    let before: Option<String> = sqlx::query_scalar(
        "SELECT reason FROM keys_revoked WHERE fingerprint = $1 AND ended_at IS NULL",
    )
    .bind(key.fingerprint.clone())
    .fetch_optional(&mut **tx)
    .await?;
    let Some(before) = before else {
        return Ok(false);
    };
    let reason = format!("{before}; {} by {}: {}", key.at, key.author, key.reason);
    if before.contains(&key.reason) || reason.len() > LONGEST_REASONS {
        return Ok(true);
    }
    let sql = "UPDATE keys_revoked SET reason = $2 WHERE fingerprint = $1 AND ended_at IS NULL";
    sqlx::query(sql)
        .bind(key.fingerprint.clone())
        .bind(reason)
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

/// Keeps who ended that a key is revoked; says whether it was. What hosts said to it stays for its
/// receipt.
pub(in crate::keys) async fn reinstate(
    tx: &mut Tx,
    (fingerprint, by): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let id: Option<i64> = sqlx::query_scalar(
        "UPDATE keys_revoked SET ended_at = $2, ended_by = $3 \
         WHERE fingerprint = $1 AND ended_at IS NULL RETURNING id",
    )
    .bind(fingerprint.to_owned())
    .bind(now.as_micros())
    .bind(by.to_owned())
    .fetch_optional(&mut **tx)
    .await?;
    Ok(id.is_some())
}

/// Keeps what a host said to a key; nothing, if the key is not revoked any more.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    fingerprint: &str,
    (proven, answers): (&Proven, &str),
) -> sqlx::Result<bool> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let accepted = serde_json::to_string(&proven.accepted);
    let kept = sqlx::query(
        "INSERT INTO keys_proven \
         (revoked, host_name, at, doors, refused, controlled, accepted, trouble, unknown, answers, \
         elsewhere) \
         SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM keys_revoked \
         WHERE fingerprint = $1 AND ended_at IS NULL \
         ON CONFLICT (revoked, host_name) DO UPDATE SET at = excluded.at, doors = excluded.doors, \
         refused = excluded.refused, controlled = excluded.controlled, \
         accepted = excluded.accepted, trouble = excluded.trouble, \
         unknown = excluded.unknown, answers = excluded.answers, \
         elsewhere = excluded.elsewhere",
    )
    .bind(fingerprint.to_owned())
    .bind(proven.host.clone())
    .bind(proven.at.as_micros())
    .bind(number(proven.doors))
    .bind(number(proven.refused))
    .bind(number(proven.controlled))
    .bind(accepted.map_err(|error| sqlx::Error::Encode(error.into()))?)
    .bind(proven.trouble.clone())
    .bind(number(proven.unknown))
    .bind(answers.to_owned())
    .bind(proven.elsewhere.clone())
    .execute(&mut **tx)
    .await?;
    Ok(kept.rows_affected() > 0)
}

const REVOKED: &str = "SELECT fingerprint, kind, wire, reason, author, at, comment, person, \
    generation FROM keys_revoked WHERE ended_at IS NULL";

/// The revoked keys, the newest first.
pub(in crate::keys) async fn revoked(store: &Store) -> sqlx::Result<Vec<Revoked>> {
    let text = sqlx::AssertSqlSafe(format!("{REVOKED} ORDER BY id DESC"));
    let rows = sqlx::query(text).fetch_all(store.read()).await?;
    rows.iter().map(one).collect()
}

/// Which revocation: a key may be revoked again after it was reinstated.
#[derive(Clone, Copy, Debug)]
pub(in crate::keys) enum Which<'a> {
    /// The last one of the key with this fingerprint.
    Last(&'a str),
    /// The one whose receipt has this number.
    Numbered(i64),
}

/// A revocation: its number, the key, and who reinstated it when.
pub(in crate::keys) async fn find(
    store: &Store,
    which: Which<'_>,
) -> sqlx::Result<Option<(i64, Revoked, Option<(Timestamp, String)>)>> {
    let (fingerprint, number) = match which {
        Which::Last(fingerprint) => (Some(fingerprint.to_owned()), None),
        Which::Numbered(number) => (None, Some(number)),
    };
    let row = sqlx::query(
        "SELECT id, fingerprint, kind, wire, reason, author, at, comment, person, generation, ended_at, \
         ended_by FROM keys_revoked WHERE fingerprint = $1 OR id = $2 ORDER BY id DESC LIMIT 1",
    )
    .bind(fingerprint)
    .bind(number)
    .fetch_optional(store.read())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let ended_by: Option<String> = row.try_get("ended_by")?;
    let ended = maybe_stamp(&row, "ended_at")?.zip(ended_by);
    Ok(Some((row.try_get("id")?, one(&row)?, ended)))
}

/// What was revoked from then until then, the oldest first, each with the number of its receipt.
pub(in crate::keys) async fn within(
    store: &Store,
    (from, to): (Timestamp, Timestamp),
) -> sqlx::Result<Vec<(i64, Revoked)>> {
    let rows = sqlx::query(
        "SELECT id, fingerprint, kind, wire, reason, author, at, comment, person, generation \
         FROM keys_revoked WHERE at >= $1 AND at < $2 ORDER BY id",
    )
    .bind(from.as_micros())
    .bind(to.as_micros())
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| Ok((row.try_get("id")?, one(row)?));
    rows.iter().map(one).collect()
}

/// Since when each key is revoked, by whom, and why, by fingerprint.
pub(in crate::keys) async fn marks(store: &Store) -> sqlx::Result<HashMap<String, Mark>> {
    let rows = sqlx::query(
        "SELECT fingerprint, at, author, reason FROM keys_revoked WHERE ended_at IS NULL",
    )
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let mark = Mark {
            at: stamp(row.try_get("at")?),
            by: row.try_get("author")?,
            why: row.try_get("reason")?,
        };
        Ok((row.try_get("fingerprint")?, mark))
    };
    rows.iter().map(one).collect()
}

/// That a key is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Mark {
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) by: String,
    pub(in crate::keys) why: String,
}

fn one(row: &AnyRow) -> sqlx::Result<Revoked> {
    Ok(Revoked {
        fingerprint: row.try_get("fingerprint")?,
        kind: row.try_get("kind")?,
        wire: row.try_get("wire")?,
        reason: row.try_get("reason")?,
        author: row.try_get("author")?,
        at: stamp(row.try_get("at")?),
        comment: row.try_get("comment")?,
        person: row.try_get("person")?,
        generation: row.try_get::<i64, _>("generation")?.unsigned_abs(),
    })
}

const PROVEN: &str = "SELECT r.fingerprint, p.host_name, p.at, p.doors, p.refused, p.controlled, \
    p.unknown, p.accepted, p.elsewhere, p.trouble FROM keys_proven p \
    JOIN keys_revoked r ON r.id = p.revoked AND r.ended_at IS NULL";

/// What every host said last, each with the fingerprint of the key.
pub(in crate::keys) async fn proven(store: &Store) -> sqlx::Result<Vec<(String, Proven)>> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{PROVEN} ORDER BY p.host_name"
    )))
    .fetch_all(store.read())
    .await?;
    rows.iter().map(said).collect()
}

/// What every host said last to the key of this number, door by door; also if it was reinstated.
pub(in crate::keys) async fn answers(
    store: &Store,
    number: i64,
) -> sqlx::Result<Vec<(Proven, String)>> {
    let only = "WHERE r.id = $1 ORDER BY p.host_name";
    let text = PROVEN.replace("p.trouble FROM", "p.trouble, p.answers FROM");
    let text = text.replace(" AND r.ended_at IS NULL", "");
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{text} {only}")))
        .bind(number)
        .fetch_all(store.read())
        .await?;
    let one = |row: &AnyRow| Ok((said(row)?.1, row.try_get("answers")?));
    rows.iter().map(one).collect()
}

/// The hosts that a key opens.
pub(in crate::keys) async fn opens(
    tx: &mut Tx,
    fingerprint: &str,
) -> sqlx::Result<Vec<(String, Proven)>> {
    let only = "WHERE r.fingerprint = $1 AND p.accepted <> '[]' ORDER BY p.host_name";
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{PROVEN} {only}")))
        .bind(fingerprint.to_owned())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(said).collect()
}

/// What a host said to a key before.
pub(in crate::keys) async fn before(
    tx: &mut Tx,
    fingerprint: &str,
    host: &str,
) -> sqlx::Result<Option<Proven>> {
    let only = "WHERE r.fingerprint = $1 AND p.host_name = $2";
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{PROVEN} {only}")))
        .bind(fingerprint.to_owned())
        .bind(host.to_owned())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.as_ref().map(said).transpose()?.map(|(_, said)| said))
}

/// The hosts whose keys are known, by name.
pub(in crate::keys) async fn hosts(store: &Store) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT host_name FROM keys_host")
        .fetch_all(store.read())
        .await
}

fn said(row: &AnyRow) -> sqlx::Result<(String, Proven)> {
    let number = |column| {
        let number: i64 = row.try_get(column)?;
        usize::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let accepted: String = row.try_get("accepted")?;
    let proven = Proven {
        host: row.try_get("host_name")?,
        at: stamp(row.try_get("at")?),
        doors: number("doors")?,
        refused: number("refused")?,
        controlled: number("controlled")?,
        unknown: number("unknown")?,
        accepted: serde_json::from_str(&accepted)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        trouble: row.try_get("trouble")?,
        elsewhere: row.try_get("elsewhere")?,
    };
    Ok((row.try_get("fingerprint")?, proven))
}

/// Forgets what a host said, before it is forgotten itself.
pub(super) async fn forget(tx: &mut Tx, host: Vec<u8>) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM keys_proven WHERE host_name IN \
         (SELECT host_name FROM keys_host WHERE host = $1)",
    )
    .bind(host)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
