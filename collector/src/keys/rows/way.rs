//! What opens the accounts that a key opens: for whoever is about to revoke it.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::text::Foreign;

use super::{MEANS, maybe_stamp};
use crate::keys::revocation::Way;
use crate::store::Store;
use crate::store::value::variant;

/// Everything that opens the accounts which this key opens, itself included.
pub(in crate::keys) async fn beside(store: &Store, fingerprint: &str) -> sqlx::Result<Vec<Way>> {
    let rows = sqlx::query(
        "SELECT o.host_name, o.holder, o.means, o.fingerprint, o.comment, o.not_after, o.used_at \
         FROM keys_opening o WHERE o.gone_at IS NULL AND EXISTS \
         (SELECT 1 FROM keys_opening k WHERE k.host = o.host AND k.holder = o.holder \
          AND k.fingerprint = $1 AND k.means IN (0, 1) AND k.gone_at IS NULL) \
         ORDER BY o.host_name, o.holder, o.id",
    )
    .bind(fingerprint.to_owned())
    .fetch_all(store.read())
    .await?;
    rows.iter().map(way).collect()
}

fn way(row: &AnyRow) -> sqlx::Result<Way> {
    Ok(Way {
        host: row.try_get("host_name")?,
        account: Foreign::from(row.try_get::<Vec<u8>, _>("holder")?),
        means: variant(&MEANS, row.try_get("means")?)?,
        fingerprint: row.try_get("fingerprint")?,
        comment: Foreign::from(row.try_get::<Vec<u8>, _>("comment")?),
        not_after: maybe_stamp(row, "not_after")?,
        used_at: maybe_stamp(row, "used_at")?,
    })
}

/// Whether any host has told of this key: that it stands somewhere, or that somebody came with it.
pub(in crate::keys) async fn is_known(store: &Store, fingerprint: &str) -> sqlx::Result<bool> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT COUNT(*) FROM keys_opening WHERE fingerprint = $1) \
         + (SELECT COUNT(*) FROM keys_stray WHERE fingerprint = $1)",
    )
    .bind(fingerprint.to_owned())
    .fetch_one(store.read())
    .await?;
    Ok(count > 0)
}
