//! What agents found on their hosts.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::{Doctor, FindingState, HostId};
use watchward_protocol::time::Timestamp;

use crate::store::{Store, Tx};

/// Keeps the whole of what an agent found: what it no longer says goes, what changed is new.
pub(in crate::hosts) async fn keep(
    tx: &mut Tx,
    host: HostId,
    doctor: &Doctor,
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE host SET version = $2, system = $3 WHERE id = $1")
        .bind(host.to_string())
        .bind(&doctor.version)
        .bind(&doctor.system)
        .execute(&mut **tx)
        .await?;
    let known = sqlx::query("SELECT subject, state, detail FROM host_finding WHERE host_id = $1")
        .bind(host.to_string())
        .fetch_all(&mut **tx)
        .await?;
    let mut same = Vec::new();
    for row in known {
        let (subject, state, detail): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let stays = doctor
            .findings
            .iter()
            .any(|new| new.subject == subject && word(new.state) == state && new.detail == detail);
        if stays {
            same.push(subject);
            continue;
        }
        sqlx::query("DELETE FROM host_finding WHERE host_id = $1 AND subject = $2")
            .bind(host.to_string())
            .bind(&subject)
            .execute(&mut **tx)
            .await?;
    }
    for new in doctor
        .findings
        .iter()
        .filter(|new| !same.contains(&new.subject))
    {
        sqlx::query(
            "INSERT INTO host_finding (host_id, subject, state, detail, at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (host_id, subject) DO NOTHING",
        )
        .bind(host.to_string())
        .bind(&new.subject)
        .bind(word(new.state))
        .bind(&new.detail)
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

fn word(state: FindingState) -> &'static str {
    match state {
        FindingState::Watched => "watched",
        FindingState::Absent => "absent",
        FindingState::Failing => "failing",
    }
}

/// Something that an agent found, as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct FindingRow {
    /// Rises with every change.
    pub id: i64,
    /// The host's name.
    pub host: String,
    /// What was looked for.
    pub subject: String,
    /// `watched`, `absent` or `failing`.
    pub state: String,
    /// One sentence.
    pub detail: String,
    /// When the collector heard it, in microseconds.
    pub at: i64,
}

/// What agents found, in the order it was heard, after an id.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, after: i64, limit: i64) -> sqlx::Result<Vec<FindingRow>> {
    let rows = sqlx::query(
        "SELECT f.id, h.name, f.subject, f.state, f.detail, f.at \
         FROM host_finding f JOIN host h ON h.id = f.host_id \
         WHERE f.id > $1 AND h.revoked_at IS NULL ORDER BY f.id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(store.read())
    .await?;
    let finding = |row: AnyRow| {
        Ok(FindingRow {
            id: row.try_get(0)?,
            host: row.try_get(1)?,
            subject: row.try_get(2)?,
            state: row.try_get(3)?,
            detail: row.try_get(4)?,
            at: row.try_get(5)?,
        })
    };
    rows.into_iter().map(finding).collect()
}
