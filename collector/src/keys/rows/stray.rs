//! Logins: what they say of openings, and those with keys that are listed nowhere.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::holder_bytes;
use crate::keys::inventory::Whose;
use crate::keys::judge::Stray;
use crate::store::Tx;
use crate::store::value::stamp;

/// Use of an opening.
#[derive(Clone, Debug)]
pub(in crate::keys) struct Use<'a> {
    /// When, as far as it can be believed.
    pub(in crate::keys) at: Timestamp,
    /// From where.
    pub(in crate::keys) address: Option<&'a str>,
    /// How often.
    pub(in crate::keys) times: i64,
}

/// Writes down that an opening was used.
pub(in crate::keys) async fn note_use(tx: &mut Tx, id: i64, used: &Use<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE keys_opening SET uses = uses + $1, \
         used_from = CASE WHEN used_at IS NULL OR used_at <= $2 THEN $3 ELSE used_from END, \
         used_at = CASE WHEN used_at IS NULL OR used_at <= $2 THEN $2 ELSE used_at END \
         WHERE id = $4",
    )
    .bind(used.times)
    .bind(used.at.as_micros())
    .bind(used.address)
    .bind(id)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps a login with a key that is not listed. One that people were told of is put off until
/// `quiet`.
pub(in crate::keys) async fn add(
    tx: &mut Tx,
    host: HostId,
    stray: &Stray,
    quiet: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_stray (host, account, fingerprint, kind, first_at, last_at, address, \
         times, hearsay, told, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10) \
         ON CONFLICT (host, account, fingerprint) DO UPDATE SET last_at = excluded.last_at, \
         address = excluded.address, times = keys_stray.times + excluded.times, \
         hearsay = CASE WHEN excluded.hearsay = 0 THEN 0 ELSE keys_stray.hearsay END, \
         due_at = CASE WHEN keys_stray.told = 1 THEN $11 ELSE keys_stray.due_at END",
    )
    .bind(host.as_bytes().to_vec())
    .bind(stray.account.as_bytes().to_vec())
    .bind(stray.fingerprint.as_str())
    .bind(stray.kind.as_str())
    .bind(stray.first_at.as_micros())
    .bind(stray.last_at.as_micros())
    .bind(stray.address.as_deref())
    .bind(stray.times)
    .bind(i64::from(stray.hearsay))
    .bind(stray.due_at.as_micros())
    .bind(quiet.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The stray logins of a host.
pub(in crate::keys) async fn load(tx: &mut Tx, host: HostId) -> sqlx::Result<Vec<Stray>> {
    let rows = sqlx::query("SELECT * FROM keys_stray WHERE host = $1 ORDER BY id")
        .bind(host.as_bytes().to_vec())
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(stray).collect()
}

fn stray(row: &AnyRow) -> sqlx::Result<Stray> {
    let yes = |column| row.try_get::<i64, _>(column).map(|it| it == 1);
    Ok(Stray {
        id: row.try_get("id")?,
        account: row.try_get::<Vec<u8>, _>("account")?.into(),
        fingerprint: row.try_get("fingerprint")?,
        kind: row.try_get("kind")?,
        first_at: stamp(row.try_get("first_at")?),
        last_at: stamp(row.try_get("last_at")?),
        address: row.try_get("address")?,
        times: row.try_get("times")?,
        hearsay: yes("hearsay")?,
        told: yes("told")?,
        due_at: stamp(row.try_get("due_at")?),
    })
}

/// Notes that people are told, and when it is forgotten.
pub(in crate::keys) async fn tell(tx: &mut Tx, id: i64, until: Timestamp) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_stray SET told = 1, due_at = $1 WHERE id = $2")
        .bind(until.as_micros())
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets a stray login.
pub(in crate::keys) async fn forget(tx: &mut Tx, id: i64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM keys_stray WHERE id = $1")
        .bind(id)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The openings that a key or authority may have let into this account by, the best first: its own
/// line, what is gone, a program.
pub(in crate::keys) async fn openings(
    tx: &mut Tx,
    host: HostId,
    account: &Whose,
    fingerprint: &str,
) -> sqlx::Result<Vec<(i64, Option<Timestamp>)>> {
    let rows = sqlx::query(
        "SELECT id, gone_by FROM keys_opening WHERE host = $1 AND holder IN ($2, $3) \
         AND (means IN (0, 1) AND fingerprint = $4 OR means = 3 AND gone_by IS NULL) \
         ORDER BY CASE WHEN means = 3 THEN 2 WHEN gone_by IS NULL THEN 0 ELSE 1 END, id",
    )
    .bind(host.as_bytes().to_vec())
    .bind(holder_bytes(account).to_vec())
    .bind(holder_bytes(&Whose::Host).to_vec())
    .bind(fingerprint)
    .fetch_all(&mut **tx)
    .await?;
    let one = |row: &AnyRow| Ok((row.try_get("id")?, super::maybe_stamp(row, "gone_by")?));
    rows.iter().map(one).collect()
}

/// Since when this account's keys are listed, by the host's clock.
pub(in crate::keys) async fn listed_since(
    tx: &mut Tx,
    host: HostId,
    account: &Whose,
) -> sqlx::Result<Option<Timestamp>> {
    let first: Option<i64> =
        sqlx::query_scalar("SELECT first_at FROM keys_holder WHERE host = $1 AND holder = $2")
            .bind(host.as_bytes().to_vec())
            .bind(holder_bytes(account).to_vec())
            .fetch_optional(&mut **tx)
            .await?;
    Ok(first.map(stamp))
}
