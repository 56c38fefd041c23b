//! Silences, and the incidents that they hold back.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::super::about::Room;
use super::super::message::Incident;
use super::super::silence::{Scope, Silence};
use super::reading;
use crate::store::{Store, Tx};

/// Keeps a silence; its number.
pub(in crate::alerting) async fn add_silence(tx: &mut Tx, silence: &Silence) -> sqlx::Result<i64> {
    let Scope {
        host,
        group,
        room,
        key,
        also_critical,
    } = &silence.scope;
    sqlx::query_scalar(
        "INSERT INTO alerting_silence (host, host_group, room, key, also_critical, reason, author, \
         created_at, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
    )
    .bind(host)
    .bind(group)
    .bind(room.map(Room::name))
    .bind(key)
    .bind(i64::from(*also_critical))
    .bind(&silence.reason)
    .bind(&silence.author)
    .bind(silence.created_at.as_micros())
    .bind(silence.until.as_micros())
    .fetch_one(&mut **tx)
    .await
}

/// Ends a silence; false if there is none with this number that holds still.
pub(in crate::alerting) async fn end_silence(
    tx: &mut Tx,
    id: i64,
    by: &str,
    now: Timestamp,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE alerting_silence SET ended_at = $1, ended_by = $2 \
         WHERE id = $3 AND ended_at IS NULL AND until > $1",
    )
    .bind(now.as_micros())
    .bind(by)
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Silences that hold now.
pub(in crate::alerting) async fn holding<'a, E>(
    executor: E,
    now: Timestamp,
) -> sqlx::Result<Vec<Silence>>
where
    E: sqlx::Executor<'a, Database = sqlx::Any>,
{
    let rows = sqlx::query("SELECT * FROM alerting_silence WHERE until > $1 AND ended_at IS NULL")
        .bind(now.as_micros())
        .fetch_all(executor)
        .await?;
    rows.iter().map(silence).collect()
}

/// All silences, the newest first.
pub(in crate::alerting) async fn silences(store: &Store, limit: i64) -> sqlx::Result<Vec<Silence>> {
    let rows = sqlx::query("SELECT * FROM alerting_silence ORDER BY id DESC LIMIT $1")
        .bind(limit)
        .fetch_all(store.read())
        .await?;
    rows.iter().map(silence).collect()
}

fn silence(row: &AnyRow) -> sqlx::Result<Silence> {
    let room: Option<String> = row.try_get("room")?;
    let ended_at: Option<i64> = row.try_get("ended_at")?;
    Ok(Silence {
        id: row.try_get("id")?,
        scope: Scope {
            host: row.try_get("host")?,
            group: row.try_get("host_group")?,
            room: match room {
                Some(name) => Some(Room::named(&name).ok_or_else(|| reading::unknown("room"))?),
                None => None,
            },
            key: row.try_get("key")?,
            also_critical: row.try_get::<i64, _>("also_critical")? != 0,
        },
        reason: row.try_get("reason")?,
        author: row.try_get("author")?,
        created_at: reading::time(row, "created_at")?,
        until: reading::time(row, "until")?,
        ended_at: ended_at.map(Timestamp::from_micros),
        ended_by: row.try_get("ended_by")?,
    })
}

/// Holds an incident back: nobody is told until its silence ends.
pub(in crate::alerting) async fn hold(
    tx: &mut Tx,
    incident: i64,
    silence: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE alerting_incident SET silence = $1 WHERE id = $2")
        .bind(silence)
        .bind(incident)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Open incidents that are held back, each with the silence that did so.
pub(in crate::alerting) async fn held(store: &Store) -> sqlx::Result<Vec<(Incident, Silence)>> {
    let rows = sqlx::query(
        "SELECT * FROM alerting_incident WHERE silence IS NOT NULL AND resolved_at IS NULL",
    )
    .fetch_all(store.read())
    .await?;
    let mut all = Vec::new();
    for row in &rows {
        let by = sqlx::query("SELECT * FROM alerting_silence WHERE id = $1")
            .bind(row.try_get::<i64, _>("silence")?)
            .fetch_one(store.read())
            .await?;
        all.push((
            reading::incident(row, "id", reading::severity(row)?)?,
            silence(&by)?,
        ));
    }
    Ok(all)
}

/// Holds an incident back no more, and notes which silence did; false if it was not held any more.
pub(in crate::alerting) async fn release(
    tx: &mut Tx,
    incident: i64,
    silence: &Silence,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE alerting_incident SET silence = NULL, silenced_until = $1, silenced_by = $2 \
         WHERE id = $3 AND silence IS NOT NULL AND resolved_at IS NULL",
    )
    .bind(silence.end().as_micros())
    .bind(&silence.author)
    .bind(incident)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets silences that ended before `oldest` and hold nothing back.
pub(in crate::alerting) async fn prune_silences(
    tx: &mut Tx,
    oldest: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM alerting_silence WHERE until < $1 \
         AND id NOT IN (SELECT silence FROM alerting_incident WHERE silence IS NOT NULL)",
    )
    .bind(oldest.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
