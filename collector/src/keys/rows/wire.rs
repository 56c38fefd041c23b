//! The public keys themselves, each once, wherever it stands.

use std::collections::BTreeMap;

use watchward_protocol::keys::PublicKey;

use crate::store::Tx;
use crate::store::bulk::Bulk;

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
