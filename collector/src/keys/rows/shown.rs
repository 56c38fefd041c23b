//! Whose keys hosts show, for whoever is about to revoke them.

use std::collections::BTreeMap;

use watchward_protocol::keys::Means;

use super::MEANS;
use crate::store::Store;
use crate::store::value::code;

/// When each host first told what it has, by the collector's clock: nobody sets it back. Of hosts that
/// did so before, the first that was heard of a key of theirs.
pub(super) const FIRST: &str = "ALTER TABLE keys_host ADD COLUMN told_at BIGINT;
        UPDATE keys_host SET told_at = COALESCE((SELECT MIN(c.at) FROM keys_change c
            JOIN keys_opening o ON o.id = c.opening
            WHERE o.host = keys_host.host AND o.means = 4), 0) WHERE listed_at IS NOT NULL";

/// A key that a host shows, or showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Own {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    /// As on the wire.
    pub(in crate::keys) wire: Vec<u8>,
    /// Whether it was certified for the host, or the host told of it when it was first heard.
    pub(in crate::keys) known: bool,
    /// Other hosts that show it, or that it opens.
    pub(in crate::keys) others: Vec<String>,
}

/// How many keys of a host are looked at: those that are known, and those that were there first, for a host
/// can make up any number.
const MOST: i64 = 64;

/// The keys that the host of this name shows, and those that it showed.
pub(in crate::keys) async fn own(store: &Store, host: &str) -> sqlx::Result<Vec<Own>> {
    let sql = "SELECT w.fingerprint, w.kind, w.wire, CAST(MAX(CASE \
            WHEN c.fingerprint IS NOT NULL OR o.first_at <= h.told_at THEN 1 ELSE 0 END) AS BIGINT) AS known \
        FROM keys_opening o JOIN keys_wire w ON w.fingerprint = o.fingerprint \
        JOIN keys_host h ON h.host = o.host LEFT JOIN keys_host_certificate c \
        ON c.host_name = o.host_name AND c.fingerprint = o.fingerprint \
        WHERE o.host_name = $1 AND o.means = $2 GROUP BY w.fingerprint, w.kind, w.wire \
        ORDER BY known DESC, MIN(o.first_at), w.fingerprint LIMIT $3";
    let all: Vec<(String, String, Vec<u8>, i64)> = sqlx::query_as(sql)
        .bind(host.to_owned())
        .bind(code(&MEANS, &Means::HostKey))
        .bind(MOST)
        .fetch_all(store.read())
        .await?;
    let mut own = Vec::new();
    for (fingerprint, kind, wire, known) in all {
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
            known: known == 1,
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
