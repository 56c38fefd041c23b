//! Whose keys hosts show, for whoever is about to revoke them.

use std::collections::BTreeMap;

use watchward_protocol::keys::Means;

use super::MEANS;
use crate::store::Store;
use crate::store::value::code;

/// A key that a host shows, or showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Own {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    /// As on the wire.
    pub(in crate::keys) wire: Vec<u8>,
    /// Other hosts that show it, or that it opens.
    pub(in crate::keys) others: Vec<String>,
}

/// How many keys of a host are looked at: those that were there first, for a host can make up any number.
const MOST: i64 = 64;

/// The keys that the host of this name shows, and those that it showed.
pub(in crate::keys) async fn own(store: &Store, host: &str) -> sqlx::Result<Vec<Own>> {
    let sql = "SELECT w.fingerprint, w.kind, w.wire FROM keys_opening o \
        JOIN keys_wire w ON w.fingerprint = o.fingerprint WHERE o.host_name = $1 AND o.means = $2 \
        GROUP BY w.fingerprint, w.kind, w.wire ORDER BY MIN(o.first_at), w.fingerprint LIMIT $3";
    let all: Vec<(String, String, Vec<u8>)> = sqlx::query_as(sql)
        .bind(host.to_owned())
        .bind(code(&MEANS, &Means::HostKey))
        .bind(MOST)
        .fetch_all(store.read())
        .await?;
    let mut own = Vec::new();
    for (fingerprint, kind, wire) in all {
        let sql = "SELECT DISTINCT host_name FROM keys_opening \
            WHERE fingerprint = $1 AND host_name <> $2 AND gone_at IS NULL ORDER BY host_name";
        let others = sqlx::query_scalar(sql)
            .bind(fingerprint.clone())
            .bind(host.to_owned());
        own.push(Own {
            others: others.fetch_all(store.read()).await?,
            fingerprint,
            kind,
            wire,
        });
    }
    Ok(own)
}

/// The hosts by which keys are shown now, by fingerprint.
pub(in crate::keys) async fn by(store: &Store) -> sqlx::Result<BTreeMap<String, String>> {
    let sql = "SELECT fingerprint, MIN(host_name) FROM keys_opening \
        WHERE means = $1 AND gone_at IS NULL AND fingerprint IS NOT NULL GROUP BY fingerprint";
    let all = sqlx::query_as(sql).bind(code(&MEANS, &Means::HostKey));
    let all: Vec<(String, String)> = all.fetch_all(store.read()).await?;
    Ok(all.into_iter().collect())
}
