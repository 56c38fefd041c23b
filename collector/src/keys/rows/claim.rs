//! Who has to do with a key, beside the client that says it is its own.

use sqlx::Row;

use crate::store::Store;

/// What is known of a key, so that it is not one machine's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) enum Other {
    /// This person was given a certificate for it.
    Given(String),
    /// It is revoked.
    Revoked,
    /// It stands on this host, where nobody ordered it.
    Stands(String),
}

/// What is known of the key with this fingerprint, if it is anything.
pub(in crate::keys) async fn other(
    store: &Store,
    fingerprint: &str,
) -> sqlx::Result<Option<Other>> {
    // Below that folder, which is root's, a host writes what it is ordered and nothing else.
    let rows = sqlx::query(
        "SELECT 'given' AS sort, person AS whose FROM keys_certificate \
         WHERE fingerprint = $1 AND serial IS NOT NULL \
         UNION SELECT 'revoked' AS sort, '' AS whose FROM keys_revoked \
         WHERE fingerprint = $1 AND ended_at IS NULL \
         UNION SELECT 'stands' AS sort, host_name AS whose FROM keys_opening \
         WHERE fingerprint = $1 AND gone_at IS NULL AND file NOT LIKE '/etc/ssh/watchward/%' \
         ORDER BY sort, whose LIMIT 1",
    );
    let row = rows.bind(fingerprint.to_owned());
    let Some(row) = row.fetch_optional(store.read()).await? else {
        return Ok(None);
    };
    let (sort, whose): (String, String) = (row.try_get("sort")?, row.try_get("whose")?);
    Ok(Some(match sort.as_str() {
        "given" => Other::Given(whose),
        "revoked" => Other::Revoked,
        _ => Other::Stands(whose),
    }))
}
