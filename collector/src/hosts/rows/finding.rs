//! What agents found on their hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::hosts::{Doctor, Finding, FindingState, HostId};
use watchward_protocol::time::Timestamp;

use crate::store::bulk::Bulk;
use crate::store::question::Question;
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
    let id = host.to_string();
    let said: BTreeMap<&str, &Finding> = doctor
        .findings
        .iter()
        .map(|finding| (finding.subject.as_str(), finding))
        .collect();
    let known: Vec<(String, String, String)> =
        sqlx::query_as("SELECT subject, state, detail FROM host_finding WHERE host_id = $1")
            .bind(&id)
            .fetch_all(&mut **tx)
            .await?;
    let (same, gone): (Vec<_>, Vec<_>) = known.iter().partition(|(subject, state, detail)| {
        said.get(subject.as_str())
            .is_some_and(|new| word(new.state) == state && new.detail == *detail)
    });
    let same: BTreeSet<_> = same.into_iter().map(|known| known.0.as_str()).collect();
    let new: Vec<_> = said
        .into_values()
        .filter(|new| !same.contains(new.subject.as_str()))
        .collect();
    DELETE
        .execute(tx, &gone, |(subject, _, _), values| {
            values.text(id.as_str()).text(subject.as_str());
        })
        .await?;
    INSERT
        .execute(tx, &new, |new, values| {
            values
                .text(id.as_str())
                .text(new.subject.as_str())
                .text(word(new.state))
                .text(new.detail.as_str())
                .number(now.as_micros());
        })
        .await
}

const DELETE: Bulk<'static> = Bulk {
    before: "DELETE FROM host_finding WHERE (host_id, subject) IN (VALUES ",
    columns: 2,
    after: ")",
};

const INSERT: Bulk<'static> = Bulk {
    before: "INSERT INTO host_finding (host_id, subject, state, detail, at) VALUES ",
    columns: 5,
    after: " ON CONFLICT (host_id, subject) DO NOTHING",
};

fn word(state: FindingState) -> &'static str {
    match state {
        FindingState::Watched => "watched",
        FindingState::Absent => "absent",
        FindingState::Failing => "failing",
    }
}

/// When a host was last heard, and what its agent found; nothing of a host that is unknown or
/// revoked.
///
/// # Errors
/// The database's.
#[expect(
    clippy::type_complexity,
    reason = "what another room takes of it is this very function"
)]
pub fn signs(
    tx: &mut Tx,
    host: HostId,
) -> BoxFuture<'_, sqlx::Result<Option<(Timestamp, Vec<Finding>)>>> {
    Box::pin(async move {
        let seen_at: Option<i64> =
            sqlx::query_scalar("SELECT seen_at FROM host WHERE id = $1 AND revoked_at IS NULL")
                .bind(host.to_string())
                .fetch_optional(&mut **tx)
                .await?;
        let Some(seen_at) = seen_at else {
            return Ok(None);
        };
        let found: Vec<(String, String, String)> =
            sqlx::query_as("SELECT subject, state, detail FROM host_finding WHERE host_id = $1")
                .bind(host.to_string())
                .fetch_all(&mut **tx)
                .await?;
        let finding = |(subject, state, detail): (String, String, String)| Finding {
            subject,
            state: read(&state),
            detail,
        };
        let findings = found.into_iter().map(finding).collect();
        Ok(Some((Timestamp::from_micros(seen_at), findings)))
    })
}

fn read(state: &str) -> FindingState {
    match state {
        "watched" => FindingState::Watched,
        "absent" => FindingState::Absent,
        _ => FindingState::Failing,
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
    let mut question = Question::default();
    question.add("f.id > ", Some(after));
    question.add_fixed(Some("h.revoked_at IS NULL"));
    let rows = question
        .ask(store, (SELECT, " ORDER BY f.id"), limit)
        .await?;
    rows.iter().map(finding).collect()
}

/// The number of the finding that came last; `0` if there is none.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM host_finding")
        .fetch_one(store.read())
        .await
}

/// What was found on hosts that may talk to us, by their names: on all, or on the one of this name.
pub(super) async fn of_hosts(
    store: &Store,
    name: Option<&str>,
) -> sqlx::Result<HashMap<String, Vec<FindingRow>>> {
    let mut question = Question::default();
    question.add_fixed(Some("h.revoked_at IS NULL"));
    question.add("h.name = ", name.map(str::to_owned));
    let rows = question.ask(store, (SELECT, " ORDER BY f.id"), i64::MAX);
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows.await? {
        let one = finding(&row)?;
        all.entry(one.host.clone()).or_default().push(one);
    }
    Ok(all)
}

const SELECT: &str = "SELECT f.id, h.name, f.subject, f.state, f.detail, f.at \
    FROM host_finding f JOIN host h ON h.id = f.host_id";

fn finding(row: &AnyRow) -> sqlx::Result<FindingRow> {
    Ok(FindingRow {
        id: row.try_get(0)?,
        host: row.try_get(1)?,
        subject: row.try_get(2)?,
        state: row.try_get(3)?,
        detail: row.try_get(4)?,
        at: row.try_get(5)?,
    })
}
