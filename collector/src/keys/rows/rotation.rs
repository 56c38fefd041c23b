//! Rotations of machines' keys: how far each is, at which places, and what came of it when.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use super::maybe_stamp;
use crate::keys::rotation::{At, Key, PHASES, Rotation};
use crate::store::bulk::without_nul;
use crate::store::value::{code, stamp, variant};
use crate::store::{Store, Tx};

/// The tables. `keys_rotation_place` is about the key `serial` at one account: when it was ordered
/// there, when the client got in with it, and when it was refused; `keys_rotation_wish` who wanted one before
/// its time, `keys_rotation_phase` the history, where `old` is the fingerprint of the key that goes.
pub(super) const TABLES: &str = "CREATE TABLE keys_rotation (
            name TEXT PRIMARY KEY, client TEXT NOT NULL, account TEXT NOT NULL, version BIGINT NOT NULL,
            phase BIGINT NOT NULL, since BIGINT NOT NULL, begun_at BIGINT NOT NULL,
            old_serial BIGINT, old_key {bytes}, old_at BIGINT,
            new_serial BIGINT, new_key {bytes}, new_at BIGINT,
            revoked BIGINT NOT NULL, last BIGINT NOT NULL, wished_by TEXT, nets TEXT NOT NULL,
            gone_at BIGINT, told TEXT);
        CREATE TABLE keys_rotation_place (
            name TEXT NOT NULL, host_name TEXT NOT NULL, account TEXT NOT NULL,
            serial BIGINT NOT NULL, added_at BIGINT, proven_at BIGINT, refused_at BIGINT,
            tried_at BIGINT, tries BIGINT NOT NULL DEFAULT 0, trouble TEXT,
            PRIMARY KEY (name, host_name, account, serial));
        CREATE TABLE keys_rotation_wish (
            id {id}, name TEXT NOT NULL, author TEXT NOT NULL, at BIGINT NOT NULL);
        CREATE TABLE keys_rotation_phase (
            id {id}, name TEXT NOT NULL, begun_at BIGINT NOT NULL, at BIGINT NOT NULL,
            what TEXT NOT NULL, old TEXT NOT NULL);
        CREATE INDEX keys_rotation_phase_name ON keys_rotation_phase (name, begun_at);
        CREATE INDEX keys_rotation_phase_old ON keys_rotation_phase (old)";

/// Since when it opens from where it does now.
pub(super) const MOVED: &str = "ALTER TABLE keys_rotation ADD COLUMN nets_at BIGINT";

/// What is known of a key at an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::keys) struct Known {
    pub(in crate::keys) added_at: Option<Timestamp>,
    pub(in crate::keys) proven_at: Option<Timestamp>,
    pub(in crate::keys) refused_at: Option<Timestamp>,
    pub(in crate::keys) tried_at: Option<Timestamp>,
    pub(in crate::keys) tries: i64,
    /// Why it could not be proven, or refused. Safe for a terminal.
    pub(in crate::keys) trouble: Option<String>,
}

/// By the rotation's name, the place, and the key's serial.
pub(in crate::keys) type Places = BTreeMap<(String, At, u32), Known>;

/// Something that happened in a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Event {
    pub(in crate::keys) begun_at: Timestamp,
    pub(in crate::keys) at: Timestamp,
    pub(in crate::keys) what: String,
}

/// Every rotation, by its name.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<BTreeMap<String, Rotation>> {
    let sql = "SELECT * FROM keys_rotation";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| rotation(row).map(|it| (it.name.clone(), it));
    rows.iter().map(one).collect()
}

fn rotation(row: &AnyRow) -> sqlx::Result<Rotation> {
    let nets: String = row.try_get("nets")?;
    let wrong = |error: serde_json::Error| sqlx::Error::Decode(error.into());
    Ok(Rotation {
        name: row.try_get("name")?,
        client: row.try_get("client")?,
        user: row.try_get("account")?,
        version: row.try_get("version")?,
        phase: variant(&PHASES, row.try_get("phase")?)?,
        since: stamp(row.try_get("since")?),
        begun_at: stamp(row.try_get("begun_at")?),
        old: key(row, ["old_serial", "old_key", "old_at"])?,
        new: key(row, ["new_serial", "new_key", "new_at"])?,
        revoked: row.try_get::<i64, _>("revoked")? != 0,
        last: serial(row.try_get("last")?),
        wished_by: row.try_get("wished_by")?,
        from: serde_json::from_str::<Vec<IpNet>>(&nets).map_err(wrong)?,
        from_at: maybe_stamp(row, "nets_at")?,
        gone_at: maybe_stamp(row, "gone_at")?,
    })
}

fn key(row: &AnyRow, [number, wire, at]: [&str; 3]) -> sqlx::Result<Option<Key>> {
    let Some(number) = row.try_get::<Option<i64>, _>(number)? else {
        return Ok(None);
    };
    Ok(Some(Key {
        serial: serial(number),
        wire: row.try_get::<Option<Vec<u8>>, _>(wire)?.unwrap_or_default(),
        at: maybe_stamp(row, at)?.unwrap_or_default(),
    }))
}

fn serial(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Keeps a rotation as it is now, if nobody else has changed it since it was read; says whether it was
/// kept.
pub(in crate::keys) async fn keep(tx: &mut Tx, one: &Rotation) -> sqlx::Result<bool> {
    let nets = serde_json::to_string(&one.from);
    let nets = nets.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let number = |key: &Option<Key>| key.as_ref().map(|it| i64::from(it.serial));
    let wire = |key: &Option<Key>| key.as_ref().map(|it| it.wire.clone());
    let at = |key: &Option<Key>| key.as_ref().map(|it| it.at.as_micros());
    let kept = sqlx::query(
        "INSERT INTO keys_rotation (name, client, version, phase, since, begun_at, old_serial, \
         old_key, old_at, new_serial, new_key, new_at, revoked, last, wished_by, nets, gone_at, \
         account, nets_at) \
         VALUES ($1, $2, $3 + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
         $19) \
         ON CONFLICT (name) DO UPDATE SET client = excluded.client, version = excluded.version, \
         phase = excluded.phase, since = excluded.since, begun_at = excluded.begun_at, \
         old_serial = excluded.old_serial, old_key = excluded.old_key, old_at = excluded.old_at, \
         new_serial = excluded.new_serial, new_key = excluded.new_key, new_at = excluded.new_at, \
         revoked = excluded.revoked, last = excluded.last, wished_by = excluded.wished_by, \
         nets = excluded.nets, gone_at = excluded.gone_at, \
         account = excluded.account, nets_at = excluded.nets_at WHERE keys_rotation.version = $3",
    )
    .bind(one.name.clone())
    .bind(one.client.clone())
    .bind(one.version)
    .bind(code(&PHASES, &one.phase))
    .bind(one.since.as_micros())
    .bind(one.begun_at.as_micros())
    .bind(number(&one.old))
    .bind(wire(&one.old))
    .bind(at(&one.old))
    .bind(number(&one.new))
    .bind(wire(&one.new))
    .bind(at(&one.new))
    .bind(i64::from(one.revoked))
    .bind(i64::from(one.last))
    .bind(one.wished_by.clone())
    .bind(nets)
    .bind(one.gone_at.map(Timestamp::as_micros))
    .bind(one.user.clone())
    .bind(one.from_at.map(Timestamp::as_micros))
    .execute(&mut **tx)
    .await?;
    Ok(kept.rows_affected() > 0)
}

/// Whether there is a rotation of this name with this client.
pub(in crate::keys) async fn is_of(
    tx: &mut Tx,
    (name, client): (&str, &str),
) -> sqlx::Result<bool> {
    let sql = "SELECT COUNT(*) FROM keys_rotation WHERE name = $1 AND client = $2";
    let count: i64 = sqlx::query_scalar(sql)
        .bind(without_nul(name).into_owned())
        .bind(client.to_owned())
        .fetch_one(&mut **tx)
        .await?;
    Ok(count > 0)
}

/// Forgets what happened before this.
pub(super) async fn prune(tx: &mut Tx, before: Timestamp) -> sqlx::Result<()> {
    let sql = "DELETE FROM keys_rotation_phase WHERE id IN \
        (SELECT id FROM keys_rotation_phase WHERE at < $1 ORDER BY id LIMIT 500)";
    let forgotten = sqlx::query(sql).bind(before.as_micros());
    forgotten.execute(&mut **tx).await?;
    Ok(())
}

/// Forgets a rotation that the policy does not speak of any more.
pub(in crate::keys) async fn forget(tx: &mut Tx, name: &str) -> sqlx::Result<()> {
    for sql in [
        "DELETE FROM keys_rotation WHERE name = $1",
        "DELETE FROM keys_rotation_place WHERE name = $1",
        "DELETE FROM keys_identity WHERE name = $1",
    ] {
        sqlx::query(sql)
            .bind(name.to_owned())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// Has it begin before its time, for somebody; says whether there is one.
pub(in crate::keys) async fn wish(
    tx: &mut Tx,
    (name, by): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<bool> {
    let sql = "UPDATE keys_rotation SET wished_by = COALESCE(wished_by, $2), version = version + 1 \
        WHERE name = $1";
    let wished = sqlx::query(sql).bind(name.to_owned()).bind(by.to_owned());
    if wished.execute(&mut **tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO keys_rotation_wish (name, author, at) VALUES ($1, $2, $3)";
    let kept = sqlx::query(sql).bind(name.to_owned()).bind(by.to_owned());
    kept.bind(now.as_micros()).execute(&mut **tx).await?;
    Ok(true)
}

/// Everything that is known of every place.
pub(in crate::keys) async fn places(store: &Store) -> sqlx::Result<Places> {
    let sql = "SELECT * FROM keys_rotation_place";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| {
        let at = At {
            host: row.try_get("host_name")?,
            account: row.try_get("account")?,
        };
        let known = Known {
            added_at: maybe_stamp(row, "added_at")?,
            proven_at: maybe_stamp(row, "proven_at")?,
            refused_at: maybe_stamp(row, "refused_at")?,
            tried_at: maybe_stamp(row, "tried_at")?,
            tries: row.try_get("tries")?,
            trouble: row.try_get("trouble")?,
        };
        Ok((
            (row.try_get("name")?, at, serial(row.try_get("serial")?)),
            known,
        ))
    };
    rows.iter().map(one).collect()
}

/// Keeps what is known of a place, in place of what was.
pub(in crate::keys) async fn keep_place(
    tx: &mut Tx,
    (name, at, serial): (&str, &At, u32),
    known: &Known,
) -> sqlx::Result<()> {
    let micros = |at: Option<Timestamp>| at.map(Timestamp::as_micros);
    sqlx::query(
        "INSERT INTO keys_rotation_place (name, host_name, account, serial, added_at, proven_at, \
         refused_at, tried_at, tries, trouble) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (name, host_name, account, serial) DO UPDATE SET \
         added_at = COALESCE(keys_rotation_place.added_at, excluded.added_at), \
         proven_at = COALESCE(keys_rotation_place.proven_at, excluded.proven_at), \
         refused_at = COALESCE(keys_rotation_place.refused_at, excluded.refused_at), \
         tried_at = excluded.tried_at, tries = excluded.tries, trouble = excluded.trouble",
    )
    .bind(name.to_owned())
    .bind(at.host.clone())
    .bind(at.account.clone())
    .bind(i64::from(serial))
    .bind(micros(known.added_at))
    .bind(micros(known.proven_at))
    .bind(micros(known.refused_at))
    .bind(micros(known.tried_at))
    .bind(known.tries)
    .bind(known.trouble.clone())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Forgets the places of keys that are none of these any more.
pub(in crate::keys) async fn forget_places(
    tx: &mut Tx,
    name: &str,
    serials: &BTreeSet<u32>,
) -> sqlx::Result<()> {
    let least = serials.first().copied().unwrap_or_default();
    let sql = "DELETE FROM keys_rotation_place WHERE name = $1 AND serial < $2";
    let forgotten = sqlx::query(sql)
        .bind(name.to_owned())
        .bind(i64::from(least));
    forgotten.execute(&mut **tx).await?;
    Ok(())
}

/// Keeps that something happened.
pub(in crate::keys) async fn remember(
    tx: &mut Tx,
    rotation: &Rotation,
    (what, old): (&str, &str),
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_rotation_phase (name, begun_at, at, what, old) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(rotation.name.clone())
    .bind(rotation.begun_at.as_micros())
    .bind(now.as_micros())
    .bind(what.to_owned())
    .bind(old.to_owned())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What happened last in a rotation, the newest first.
pub(in crate::keys) async fn events(store: &Store, name: &str) -> sqlx::Result<Vec<Event>> {
    let sql = "SELECT begun_at, at, what FROM keys_rotation_phase WHERE name = $1 \
        ORDER BY id DESC LIMIT 200";
    let rows = sqlx::query(sql).bind(name.to_owned());
    rows.fetch_all(store.read())
        .await?
        .iter()
        .map(event)
        .collect()
}

/// What happened while the key of this fingerprint was replaced, the oldest first.
pub(in crate::keys) async fn events_of(store: &Store, old: &str) -> sqlx::Result<Vec<Event>> {
    let sql = "SELECT begun_at, at, what FROM keys_rotation_phase WHERE old = $1 \
        ORDER BY id LIMIT 200";
    let rows = sqlx::query(sql).bind(old.to_owned());
    rows.fetch_all(store.read())
        .await?
        .iter()
        .map(event)
        .collect()
}

fn event(row: &AnyRow) -> sqlx::Result<Event> {
    Ok(Event {
        begun_at: stamp(row.try_get("begun_at")?),
        at: stamp(row.try_get("at")?),
        what: row.try_get("what")?,
    })
}

/// What people were told of each rotation: the keys of what is open, one a line.
pub(in crate::keys) async fn told(
    store: &Store,
) -> sqlx::Result<BTreeMap<String, BTreeSet<String>>> {
    let sql = "SELECT name, told FROM keys_rotation";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| {
        let told: Option<String> = row.try_get("told")?;
        let told = told.unwrap_or_default();
        let told = told.lines().map(str::to_owned).collect();
        Ok((row.try_get("name")?, told))
    };
    rows.iter().map(one).collect()
}

/// The same of one rotation.
pub(in crate::keys) async fn told_of(tx: &mut Tx, name: &str) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT told FROM keys_rotation WHERE name = $1 AND told IS NOT NULL";
    let told: Option<String> = sqlx::query_scalar(sql)
        .bind(name.to_owned())
        .fetch_optional(&mut **tx)
        .await?;
    let told = told.unwrap_or_default();
    Ok(told.lines().map(str::to_owned).collect())
}

/// Keeps what people were told.
pub(in crate::keys) async fn tell(
    tx: &mut Tx,
    name: &str,
    told: &BTreeSet<String>,
) -> sqlx::Result<()> {
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    let sql = "UPDATE keys_rotation SET told = $2 WHERE name = $1";
    let kept = sqlx::query(sql).bind(name.to_owned()).bind(told.join("\n"));
    kept.execute(&mut **tx).await?;
    Ok(())
}
