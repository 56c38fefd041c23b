//! The public keys themselves, each once, wherever it stands.

use std::collections::BTreeMap;

use sqlx::Row;
use watchward_protocol::keys::PublicKey;

use crate::store::bulk::Bulk;
use crate::store::{Store, Tx};

/// Keeps keys as they are on the wire, each under its fingerprint.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    keys: &BTreeMap<&str, &PublicKey>,
) -> sqlx::Result<()> {
    let keys: Vec<_> = keys.values().collect();
    Bulk {
        before: "INSERT INTO keys_wire (fingerprint, kind, wire) VALUES ",
        columns: 3,
        after: " ON CONFLICT (fingerprint) DO NOTHING",
    }
    .execute(tx, &keys, |key, values| {
        values
            .text(key.fingerprint.as_str())
            .text(key.kind.as_str())
            .bytes(&key.wire[..]);
    })
    .await
}

/// The type of the key with this fingerprint, and what it is on the wire.
pub(in crate::keys) async fn find(
    store: &Store,
    fingerprint: &str,
) -> sqlx::Result<Option<(String, Vec<u8>)>> {
    let row = sqlx::query("SELECT kind, wire FROM keys_wire WHERE fingerprint = $1")
        .bind(fingerprint.to_owned())
        .fetch_optional(store.read())
        .await?;
    row.map(|row| Ok((row.try_get("kind")?, row.try_get("wire")?)))
        .transpose()
}

/// Forgets those that stand nowhere any more.
pub(super) async fn prune(tx: &mut Tx) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM keys_wire WHERE NOT EXISTS \
         (SELECT 1 FROM keys_opening o WHERE o.fingerprint = keys_wire.fingerprint)",
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
