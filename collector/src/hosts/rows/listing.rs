//! Hosts as people see them.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::finding::{self, FindingRow};
use crate::store::Store;
use crate::store::question::Question;

/// A host as people see it.
#[derive(Debug, Serialize)]
pub(in crate::hosts) struct HostRow {
    pub(in crate::hosts) id: String,
    pub(in crate::hosts) name: String,
    pub(in crate::hosts) state: &'static str,
    pub(in crate::hosts) enrolled_at: i64,
    pub(in crate::hosts) seen_at: i64,
    pub(in crate::hosts) version: String,
    pub(in crate::hosts) system: String,
    pub(in crate::hosts) certificate_expires: i64,
    /// Which life of its spool it speaks of, as `watchward-agent` would log it.
    pub(in crate::hosts) epoch: Option<String>,
    /// How many records wait there, if its agent says so.
    pub(in crate::hosts) behind: Option<i64>,
    /// When the oldest of them was kept.
    pub(in crate::hosts) behind_since: Option<i64>,
    pub(in crate::hosts) findings: Vec<FindingRow>,
}

/// Which hosts are asked for, by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::hosts) enum Which {
    /// Those that may talk to us.
    #[default]
    Watched,
    Heard,
    Silent,
    Revoked,
    All,
}

impl Which {
    pub(in crate::hosts) fn has(self, host: &HostRow) -> bool {
        match self {
            Self::Watched => host.state != "revoked",
            Self::Heard => host.state == "heard",
            Self::Silent => host.state == "silent",
            Self::Revoked => host.state == "revoked",
            Self::All => true,
        }
    }
}

/// All hosts, or all that had this name, with what was found on those that may talk to us.
pub(in crate::hosts) async fn hosts(
    store: &Store,
    name: Option<&str>,
) -> sqlx::Result<Vec<HostRow>> {
    let mut question = Question::default();
    question.add("name = ", name.map(str::to_owned));
    let text = (SELECT, " ORDER BY name, enrolled_at");
    let rows = question.ask(store, text, i64::MAX).await?;
    let mut findings = finding::of_hosts(store, name).await?;
    let host = |row: AnyRow| {
        let revoked = row.try_get::<Option<i64>, _>(2)?.is_some();
        let silent = row.try_get::<i64, _>(3)? != 0;
        let name: String = row.try_get(1)?;
        let own = if revoked {
            None
        } else {
            findings.remove(&name)
        };
        Ok(HostRow {
            id: row.try_get(0)?,
            state: match (revoked, silent) {
                (true, _) => "revoked",
                (false, true) => "silent",
                (false, false) => "heard",
            },
            enrolled_at: row.try_get(4)?,
            seen_at: row.try_get(5)?,
            version: row.try_get(6)?,
            system: row.try_get(7)?,
            certificate_expires: row.try_get(8)?,
            epoch: row.try_get::<Option<i64>, _>(9)?.map(epoch),
            behind: row.try_get(10)?,
            behind_since: row.try_get(11)?,
            findings: own.unwrap_or_default(),
            name,
        })
    };
    rows.into_iter().map(host).collect()
}

const SELECT: &str = "SELECT id, name, revoked_at, silent, enrolled_at, seen_at, version, system, \
    certificate_expires, epoch, behind, behind_since FROM host";

fn epoch(number: i64) -> String {
    format!("{:016x}", number.cast_unsigned())
}
