//! When hosts were asked about revoked keys last, for whoever asks again.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::time::Timestamp;

use crate::store::Store;
use crate::store::value::stamp;

/// When a host was asked about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Asked {
    pub(in crate::keys) at: Timestamp,
    /// Whether another host was asked, too, if there is any door.
    pub(in crate::keys) whole: bool,
}

/// When a host last said something of a door about a key, by fingerprint and host.
pub(in crate::keys) async fn asked(
    store: &Store,
) -> sqlx::Result<HashMap<(String, String), Asked>> {
    let rows = sqlx::query(
        "SELECT r.fingerprint, p.host_name, p.at, \
         CASE WHEN p.doors > 0 AND p.elsewhere = '' THEN 0 ELSE 1 END AS is_whole \
         FROM keys_proven p \
         JOIN keys_revoked r ON r.id = p.revoked AND r.ended_at IS NULL \
         WHERE p.doors > 0 OR p.trouble IS NULL",
    )
    .fetch_all(store.read())
    .await?;
    let one = |row: &AnyRow| {
        let whose = (row.try_get("fingerprint")?, row.try_get("host_name")?);
        let asked = Asked {
            at: stamp(row.try_get("at")?),
            whole: row.try_get::<i32, _>("is_whole")? == 1,
        };
        Ok((whose, asked))
    };
    rows.iter().map(one).collect()
}
