//! Keys that programs of hosts log in elsewhere with, as the hosts said last.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::identities::Holding;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use crate::intake::Host;
use crate::store::bulk::without_nul;
use crate::store::{Store, Tx};

/// The table. `keys` are the serials with the keys, as JSON.
pub(super) const TABLES: &str = "CREATE TABLE keys_identity (
            host {bytes} NOT NULL, name TEXT NOT NULL, host_name TEXT NOT NULL,
            at BIGINT NOT NULL, keys TEXT NOT NULL, used BIGINT NOT NULL, trouble TEXT,
            PRIMARY KEY (host, name))";

/// What a host said of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Held {
    pub(in crate::keys) keys: Vec<(u32, Vec<u8>)>,
    pub(in crate::keys) using: u32,
    /// Safe for a terminal.
    pub(in crate::keys) trouble: Option<String>,
}

/// Keeps what a host says of one.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    host: &Host,
    holding: &Holding,
    now: Timestamp,
) -> sqlx::Result<()> {
    let keys = holding.keys.iter();
    let keys: BTreeMap<u32, String> = keys
        .map(|it| (it.serial, STANDARD.encode(&it.key)))
        .collect();
    let keys = serde_json::to_string(&keys);
    let trouble = holding.trouble.as_deref().map(escaped);
    let trouble = trouble.map(|it| without_nul(&it).into_owned());
    sqlx::query(
        "INSERT INTO keys_identity (host, name, host_name, at, keys, used, trouble) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (host, name) DO UPDATE SET \
         host_name = excluded.host_name, at = excluded.at, keys = excluded.keys, \
         used = excluded.used, trouble = excluded.trouble",
    )
    .bind(host.id.as_bytes().to_vec())
    .bind(without_nul(&holding.name).into_owned())
    .bind(host.name.clone())
    .bind(now.as_micros())
    .bind(keys.map_err(|error| sqlx::Error::Encode(error.into()))?)
    .bind(i64::from(holding.using))
    .bind(trouble)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What every client said last of a key that rotates, by its name and that of the key.
pub(in crate::keys) async fn all(store: &Store) -> sqlx::Result<BTreeMap<(String, String), Held>> {
    let sql = "SELECT host_name, name, keys, used, trouble FROM keys_identity i WHERE EXISTS \
        (SELECT 1 FROM keys_rotation r WHERE r.name = i.name AND r.client = i.host_name) ORDER BY at";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| {
        let keys: String = row.try_get("keys")?;
        let keys: BTreeMap<u32, String> =
            serde_json::from_str(&keys).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let wire = |(serial, text)| Some((serial, STANDARD.decode::<String>(text).ok()?));
        let held = Held {
            keys: keys.into_iter().filter_map(wire).collect(),
            using: u32::try_from(row.try_get::<i64, _>("used")?).unwrap_or_default(),
            trouble: row.try_get("trouble")?,
        };
        Ok(((row.try_get("host_name")?, row.try_get("name")?), held))
    };
    rows.iter().map(one).collect()
}

/// Forgets what a host said.
pub(super) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    let sql = "DELETE FROM keys_identity WHERE host = $1";
    let forgotten = sqlx::query(sql).bind(host.as_bytes().to_vec());
    forgotten.execute(&mut **tx).await?;
    Ok(())
}
