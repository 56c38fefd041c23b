//! The key that signs receipts, sealed.

use sqlx::Row;
use watchward_protocol::time::Timestamp;

use crate::sealing::Sealed;
use crate::store::value::fixed;
use crate::store::{Store, Tx};

/// Its public half, and the sealed one.
pub(in crate::keys) async fn find(store: &Store) -> sqlx::Result<Option<([u8; 32], Sealed)>> {
    let row = sqlx::query("SELECT public, sealed FROM keys_signer WHERE id = 1")
        .fetch_optional(store.read())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let public = fixed(row.try_get("public")?)?;
    Ok(Some((public, Sealed::kept(row.try_get("sealed")?))))
}

/// Keeps one, unless there is one.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    (public, sealed): ([u8; 32], Sealed),
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO keys_signer (id, public, sealed, made_at) VALUES (1, $1, $2, $3) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(public.to_vec())
    .bind(sealed.into_bytes())
    .bind(now.as_micros())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Keeps the same key, sealed anew.
pub(in crate::keys) async fn reseal(tx: &mut Tx, (old, new): (Sealed, Sealed)) -> sqlx::Result<()> {
    sqlx::query("UPDATE keys_signer SET sealed = $2 WHERE id = 1 AND sealed = $1")
        .bind(old.into_bytes())
        .bind(new.into_bytes())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
