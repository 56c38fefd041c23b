//! What hosts' sshd shows of itself: the certificates that were made for it, and the keys of ours.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::hosts::HostId;
use watchward_protocol::keys::Means;
use watchward_protocol::time::Timestamp;

use super::cause::Cause;
use super::{MEANS, maybe_stamp};
use crate::keys::proof::Revoked;
use crate::store::value::{code, stamp, variant};
use crate::store::{Store, Tx};

/// The tables: the last certificate of each key of each host, and which key of ours each host shows; the
/// serial 0 is those of its own configuration.
pub(super) const TABLES: &str = "CREATE TABLE keys_host_certificate (
            host_name TEXT NOT NULL, fingerprint TEXT NOT NULL, authority BIGINT NOT NULL,
            serial BIGINT NOT NULL, principals TEXT NOT NULL, since BIGINT NOT NULL,
            until BIGINT NOT NULL, wire {bytes} NOT NULL, PRIMARY KEY (host_name, fingerprint));
        CREATE TABLE keys_host_key (
            host_name TEXT PRIMARY KEY, serial BIGINT NOT NULL, since BIGINT NOT NULL,
            next BIGINT, begun_at BIGINT, shown_at BIGINT);
        ALTER TABLE keys_authority ADD COLUMN of_hosts BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE keys_holding ADD COLUMN unshown TEXT";

/// Which revoked keys hosts showed: clients are to refuse these.
pub(super) const REVOKED: &str =
    "ALTER TABLE keys_revoked ADD COLUMN of_host BIGINT NOT NULL DEFAULT 0;
        UPDATE keys_revoked SET of_host = 1
            WHERE fingerprint IN (SELECT fingerprint FROM keys_opening WHERE means = 4)
            OR fingerprint IN (SELECT fingerprint FROM keys_host_certificate)";

/// A certificate of a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Certificate {
    /// Of the key that it is for.
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) authority: i64,
    pub(in crate::keys) serial: i64,
    pub(in crate::keys) principals: Vec<String>,
    pub(in crate::keys) since: Timestamp,
    pub(in crate::keys) until: Timestamp,
    pub(in crate::keys) wire: Vec<u8>,
}

/// How far the rotation of a host's key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Turn {
    /// Which key of ours it shows; 0: those of its own configuration.
    pub(in crate::keys) serial: u32,
    /// Since when.
    pub(in crate::keys) since: Timestamp,
    /// The one that takes its place.
    pub(in crate::keys) next: Option<Next>,
}

/// A key that takes another's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct Next {
    pub(in crate::keys) serial: u32,
    pub(in crate::keys) begun_at: Timestamp,
    /// Since when the host was seen to show it with a certificate.
    pub(in crate::keys) shown_at: Option<Timestamp>,
}

/// What a host was seen to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::keys) struct Seen {
    /// Its keys.
    pub(in crate::keys) keys: Vec<SeenKey>,
    /// Its certificates of ours: each key's fingerprint, and until when it counts.
    pub(in crate::keys) certificates: BTreeMap<String, Timestamp>,
}

/// A key that a host was seen to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::keys) struct SeenKey {
    pub(in crate::keys) fingerprint: String,
    pub(in crate::keys) kind: String,
    pub(in crate::keys) file: String,
    /// As on the wire.
    pub(in crate::keys) wire: Vec<u8>,
}

/// What every host was seen to show last, by its name.
pub(in crate::keys) async fn seen(store: &Store) -> sqlx::Result<BTreeMap<String, Seen>> {
    let sql = "SELECT o.host_name, o.means, o.fingerprint, o.file, o.not_after, w.kind, w.wire \
        FROM keys_opening o LEFT JOIN keys_wire w ON w.fingerprint = o.fingerprint \
        WHERE o.means IN ($1, $2) AND o.gone_at IS NULL AND o.fingerprint IS NOT NULL \
        ORDER BY o.host_name, o.file";
    let rows = sqlx::query(sql)
        .bind(code(&MEANS, &Means::HostKey))
        .bind(code(&MEANS, &Means::HostCertificate))
        .fetch_all(store.read())
        .await?;
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    for row in &rows {
        let seen = all.entry(row.try_get("host_name")?).or_default();
        let (fingerprint, file): (String, String) =
            (row.try_get("fingerprint")?, row.try_get("file")?);
        if variant(&MEANS, row.try_get("means")?)? == Means::HostKey {
            let wire: Option<Vec<u8>> = row.try_get("wire")?;
            let kind: Option<String> = row.try_get("kind")?;
            let known = wire.zip(kind).map(|(wire, kind)| SeenKey {
                fingerprint,
                kind,
                file,
                wire,
            });
            seen.keys.extend(known);
        } else if file.starts_with(HostKeys::FOLDER) {
            let until = maybe_stamp(row, "not_after")?;
            seen.certificates.extend(until.map(|it| (fingerprint, it)));
        }
    }
    Ok(all)
}

/// The last certificates of every host, by its name.
pub(in crate::keys) async fn certificates(
    store: &Store,
) -> sqlx::Result<BTreeMap<String, Vec<Certificate>>> {
    let sql = "SELECT * FROM keys_host_certificate ORDER BY host_name, fingerprint";
    let mut all: BTreeMap<String, Vec<Certificate>> = BTreeMap::new();
    for row in &sqlx::query(sql).fetch_all(store.read()).await? {
        let principals: String = row.try_get("principals")?;
        let of_host = all.entry(row.try_get("host_name")?).or_default();
        of_host.push(Certificate {
            fingerprint: row.try_get("fingerprint")?,
            authority: row.try_get("authority")?,
            serial: row.try_get("serial")?,
            principals: principals.split(' ').map(str::to_owned).collect(),
            since: stamp(row.try_get("since")?),
            until: stamp(row.try_get("until")?),
            wire: row.try_get("wire")?,
        });
    }
    Ok(all)
}

/// All that a certificate says that a host is called.
pub(in crate::keys) async fn names(store: &Store) -> sqlx::Result<BTreeSet<String>> {
    let sql = "SELECT DISTINCT principals FROM keys_host_certificate";
    let all: Vec<String> = sqlx::query_scalar(sql).fetch_all(store.read()).await?;
    let each = all.iter().flat_map(|it| it.split(' '));
    Ok(each.map(str::to_owned).collect())
}

/// Keeps a certificate in the place of the one before, unless another collector made one meanwhile.
pub(in crate::keys) async fn keep(
    tx: &mut Tx,
    host: &str,
    one: &Certificate,
    before: Option<i64>,
) -> sqlx::Result<()> {
    let sql = "INSERT INTO keys_host_certificate \
        (host_name, fingerprint, authority, serial, principals, since, until, wire) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (host_name, fingerprint) DO UPDATE SET \
        authority = excluded.authority, serial = excluded.serial, \
        principals = excluded.principals, since = excluded.since, until = excluded.until, \
        wire = excluded.wire WHERE keys_host_certificate.serial = $9";
    sqlx::query(sql)
        .bind(host.to_owned())
        .bind(one.fingerprint.clone())
        .bind(one.authority)
        .bind(one.serial)
        .bind(one.principals.join(" "))
        .bind(one.since.as_micros())
        .bind(one.until.as_micros())
        .bind(one.wire.clone())
        .bind(before.unwrap_or_default())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets the certificate of a key that a host shows no more.
pub(in crate::keys) async fn forget(tx: &mut Tx, host: &str, key: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM keys_host_certificate WHERE host_name = $1 AND fingerprint = $2";
    let gone = sqlx::query(sql).bind(host.to_owned()).bind(key.to_owned());
    gone.execute(&mut **tx).await.map(drop)
}

/// Which key every host shows, by its name.
pub(in crate::keys) async fn turns(store: &Store) -> sqlx::Result<BTreeMap<String, Turn>> {
    let rows = sqlx::query("SELECT * FROM keys_host_key")
        .fetch_all(store.read())
        .await?;
    let one = |row: &AnyRow| {
        let serial = |name| {
            let number: Option<i64> = row.try_get(name)?;
            Ok::<_, sqlx::Error>(number.and_then(|it| u32::try_from(it).ok()))
        };
        let begun = serial("next")?.zip(maybe_stamp(row, "begun_at")?);
        let shown_at = maybe_stamp(row, "shown_at")?;
        let turn = Turn {
            serial: serial("serial")?.unwrap_or_default(),
            since: stamp(row.try_get("since")?),
            next: begun.map(|(serial, begun_at)| Next {
                serial,
                begun_at,
                shown_at,
            }),
        };
        Ok((row.try_get("host_name")?, turn))
    };
    rows.iter().map(one).collect()
}

/// Which keys of ours the host of this name was ordered to show.
pub(in crate::keys) async fn serials(tx: &mut Tx, host: &str) -> sqlx::Result<Vec<u32>> {
    let sql = "SELECT serial, COALESCE(next, 0) FROM keys_host_key WHERE host_name = $1";
    let row: Option<(i64, i64)> = sqlx::query_as(sql)
        .bind(host.to_owned())
        .fetch_optional(&mut **tx)
        .await?;
    let all = row.into_iter().flat_map(<[i64; 2]>::from);
    let ours = all.filter_map(|it| u32::try_from(it).ok());
    Ok(ours.filter(|it| *it > 0).collect())
}

/// Keeps how far a host's key is, unless another collector went on with it meanwhile.
pub(in crate::keys) async fn turn(
    tx: &mut Tx,
    host: &str,
    (before, turn): (Option<&Turn>, &Turn),
) -> sqlx::Result<()> {
    let next = |of: &Turn| of.next.as_ref().map_or(0, |it| i64::from(it.serial));
    let began = turn.next.as_ref();
    let sql = "INSERT INTO keys_host_key (host_name, serial, since, next, begun_at, shown_at) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host_name) DO UPDATE SET \
        serial = excluded.serial, since = excluded.since, next = excluded.next, \
        begun_at = excluded.begun_at, shown_at = excluded.shown_at \
        WHERE keys_host_key.serial = $7 AND COALESCE(keys_host_key.next, 0) = $8";
    sqlx::query(sql)
        .bind(host.to_owned())
        .bind(i64::from(turn.serial))
        .bind(turn.since.as_micros())
        .bind(began.map(|it| i64::from(it.serial)))
        .bind(began.map(|it| it.begun_at.as_micros()))
        .bind(began.and_then(|it| it.shown_at).map(Timestamp::as_micros))
        .bind(before.map_or(-1, |it| i64::from(it.serial)))
        .bind(before.map_or(0, next))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Marks a key that is revoked as one of hosts, if it was certified as one, or somebody revokes what a host
/// shows and nobody owns. That a host says so later, or of what the policy revokes, is that host's word alone.
pub(super) async fn mark(tx: &mut Tx, key: &Revoked, cause: Cause<'_>) -> sqlx::Result<()> {
    let is_meant = cause == Cause::Person && key.person.is_empty();
    let sql = "UPDATE keys_revoked SET of_host = 1 WHERE fingerprint = $1 AND ended_at IS NULL \
        AND (fingerprint IN (SELECT fingerprint FROM keys_host_certificate) \
        OR ($3 = 1 AND fingerprint IN (SELECT fingerprint FROM keys_opening WHERE means = $2)))";
    let marked = sqlx::query(sql)
        .bind(key.fingerprint.clone())
        .bind(code(&MEANS, &Means::HostKey))
        .bind(i64::from(is_meant));
    marked.execute(&mut **tx).await.map(drop)
}

/// Marks a key that is revoked as one of hosts.
pub(in crate::keys) async fn is_of_host(tx: &mut Tx, fingerprint: &str) -> sqlx::Result<()> {
    let sql = "UPDATE keys_revoked SET of_host = 1 WHERE fingerprint = $1 AND ended_at IS NULL";
    let marked = sqlx::query(sql).bind(fingerprint.to_owned());
    marked.execute(&mut **tx).await.map(drop)
}

/// The keys of hosts that are revoked, for clients to refuse: their fingerprints, and what they are on the
/// wire, if that is known.
pub(in crate::keys) async fn revoked(store: &Store) -> sqlx::Result<BTreeMap<String, Vec<u8>>> {
    let sql = "SELECT fingerprint, wire FROM keys_revoked WHERE ended_at IS NULL AND of_host = 1";
    let all: Vec<(String, Vec<u8>)> = sqlx::query_as(sql).fetch_all(store.read()).await?;
    Ok(all.into_iter().collect())
}

/// All of those, and whatever else is revoked that hosts say to be theirs: none of it is certified.
pub(in crate::keys) async fn uncertified(store: &Store) -> sqlx::Result<BTreeSet<String>> {
    let sql = "SELECT fingerprint FROM keys_revoked WHERE ended_at IS NULL AND (of_host = 1 \
        OR fingerprint IN (SELECT fingerprint FROM keys_opening WHERE means = $1))";
    let all = sqlx::query_scalar(sql).bind(code(&MEANS, &Means::HostKey));
    let all: Vec<String> = all.fetch_all(store.read()).await?;
    Ok(all.into_iter().collect())
}

/// Forgets how far the keys of a host that is revoked are: whoever has its name next begins anew.
pub(super) async fn begin_anew(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    let sql = "DELETE FROM keys_host_key WHERE host_name IN \
        (SELECT host_name FROM keys_host WHERE host = $1)";
    let gone = sqlx::query(sql).bind(host.as_bytes().to_vec());
    gone.execute(&mut **tx).await.map(drop)
}

/// Why hosts do not show what they were ordered, by their names.
pub(in crate::keys) async fn unshown(store: &Store) -> sqlx::Result<BTreeMap<String, String>> {
    let sql = "SELECT host_name, unshown FROM keys_holding WHERE unshown IS NOT NULL ORDER BY at";
    let rows = sqlx::query(sql).fetch_all(store.read()).await?;
    let one = |row: &AnyRow| Ok((row.try_get("host_name")?, row.try_get("unshown")?));
    rows.iter().map(one).collect()
}
