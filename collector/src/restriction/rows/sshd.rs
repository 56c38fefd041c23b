//! What each host's sshd lets in, as it said last and as it was accepted.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;

use super::held::{json, read};
use crate::store::value::{fixed, stamp};
use crate::store::{Store, Tx};

/// One line of sshd's configuration, safe to be shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::restriction) struct Line {
    /// For whom alone, as it stands behind `Match`; none: for everybody else.
    pub(in crate::restriction) block: Option<String>,
    pub(in crate::restriction) name: String,
    pub(in crate::restriction) value: String,
}

/// What is kept of a host.
#[derive(Clone, Debug)]
pub(in crate::restriction) struct Kept {
    pub(in crate::restriction) host: HostId,
    pub(in crate::restriction) host_name: String,
    /// When it said so.
    pub(in crate::restriction) at: Timestamp,
    /// What it said last.
    pub(in crate::restriction) lines: Vec<Line>,
    /// What counts as right.
    pub(in crate::restriction) accepted: Vec<Line>,
    /// The ports that people were told of because no rule is about them, each with whether the gate
    /// of SSH is shut to others.
    pub(in crate::restriction) uncovered: Vec<(u16, bool)>,
}

const ALL: &str = "SELECT host, host_name, at, settings, accepted, uncovered FROM restriction_sshd";

/// What is kept of this host.
pub(in crate::restriction) async fn find(tx: &mut Tx, host: HostId) -> sqlx::Result<Option<Kept>> {
    let sql = format!("{ALL} WHERE host = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(host.as_bytes().to_vec())
        .fetch_optional(&mut **tx)
        .await?;
    row.as_ref().map(kept).transpose()
}

/// What is kept of the host of this name.
pub(in crate::restriction) async fn named(store: &Store, host: &str) -> sqlx::Result<Option<Kept>> {
    let sql = format!("{ALL} WHERE host_name = $1 ORDER BY at DESC LIMIT 1");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(host)
        .fetch_optional(store.read())
        .await?;
    row.as_ref().map(kept).transpose()
}

/// What is kept of all hosts.
pub(in crate::restriction) async fn all(store: &Store) -> sqlx::Result<Vec<Kept>> {
    let sql = format!("{ALL} ORDER BY host");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .fetch_all(store.read())
        .await?;
    rows.iter().map(kept).collect()
}

fn kept(row: &AnyRow) -> sqlx::Result<Kept> {
    Ok(Kept {
        host: HostId::from_bytes(fixed(row.try_get("host")?)?),
        host_name: row.try_get("host_name")?,
        at: stamp(row.try_get("at")?),
        lines: read(row.try_get("settings")?)?,
        accepted: read(row.try_get("accepted")?)?,
        uncovered: read(row.try_get("uncovered")?)?,
    })
}

/// Keeps it.
pub(in crate::restriction) async fn keep(tx: &mut Tx, kept: &Kept) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO restriction_sshd (host, host_name, at, settings, accepted, uncovered) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host) DO UPDATE SET \
         host_name = excluded.host_name, at = excluded.at, settings = excluded.settings, \
         accepted = excluded.accepted, uncovered = excluded.uncovered",
    )
    .bind(kept.host.as_bytes().to_vec())
    .bind(kept.host_name.as_str())
    .bind(kept.at.as_micros())
    .bind(json(&kept.lines)?)
    .bind(json(&kept.accepted)?)
    .bind(json(&kept.uncovered)?)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a host said last counts as right from now on.
pub(in crate::restriction) async fn accept(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    sqlx::query("UPDATE restriction_sshd SET accepted = settings WHERE host = $1")
        .bind(host.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Forgets a host.
pub(in crate::restriction) async fn forget(tx: &mut Tx, host: HostId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM restriction_sshd WHERE host = $1")
        .bind(host.as_bytes().to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(())
}
