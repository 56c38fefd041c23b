//! What was: changes of state, for long, and measurements, for a while.

use sqlx::Row;
use sqlx::any::AnyRow;
use watchward_protocol::health::{HealthReport, Value};
use watchward_protocol::time::Timestamp;

use super::check::name;
use super::{STATES, VERDICTS, host, micros, state};
use crate::health::judge::{Change, State};
use crate::intake::{Heard, Host};
use crate::store::bulk::Bulk;
use crate::store::turn::Turn;
use crate::store::value::{code, stamp};
use crate::store::{Store, Tx};

/// A change of state.
#[derive(Clone, Debug)]
pub(in crate::health) struct Transition {
    /// The host.
    pub(in crate::health) host: Host,
    /// The check.
    pub(in crate::health) check_name: String,
    /// When, by the host's clock.
    pub(in crate::health) at: Timestamp,
    /// How it stood before; `None` for a new one.
    pub(in crate::health) before: Option<State>,
    /// How it stands.
    pub(in crate::health) state: State,
    /// What was found.
    pub(in crate::health) detail: String,
}

impl Transition {
    /// The change that a report made.
    pub(in crate::health) fn of(heard: &Heard<HealthReport>, change: &Change) -> Self {
        let report = &heard.report;
        Self {
            host: heard.host.clone(),
            check_name: name(&report.check),
            at: report.at,
            before: change.before,
            state: change.check.state,
            detail: report.detail.chars().take(2_000).collect(),
        }
    }
}

/// Keeps changes of state.
pub(in crate::health) async fn transitions(
    tx: &mut Tx,
    transitions: &[Transition],
    now: Timestamp,
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO health_transition \
            (host, check_name, host_name, at, received_at, before, state, detail) VALUES ",
        columns: 8,
        after: "",
    }
    .execute(tx, transitions, |one, values| {
        values
            .bytes(&one.host.id.as_bytes()[..])
            .text(one.check_name.as_str())
            .text(one.host.name.as_str())
            .number(one.at.as_micros())
            .number(now.as_micros())
            .number(one.before.map(|before| code(&STATES, &before)))
            .number(code(&STATES, &one.state))
            .text(one.detail.as_str());
    })
    .await
}

/// The changes of state after the one with this id, in the order they came: with id, and when they
/// came.
pub(in crate::health) async fn after(
    store: &Store,
    id: i64,
    limit: u32,
) -> sqlx::Result<Vec<(i64, Timestamp, Transition)>> {
    let rows = sqlx::query("SELECT * FROM health_transition WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(store.read())
        .await?;
    rows.iter().map(transition).collect()
}

/// The id of the change that came last; `0` if there is none.
pub(in crate::health) async fn last(store: &Store) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM health_transition")
        .fetch_one(store.read())
        .await
}

fn transition(row: &AnyRow) -> sqlx::Result<(i64, Timestamp, Transition)> {
    let transition = Transition {
        host: Host {
            id: host(row)?,
            name: row.try_get("host_name")?,
        },
        check_name: row.try_get("check_name")?,
        at: stamp(row.try_get("at")?),
        before: row.try_get::<Option<i64>, _>("before")?.map(state),
        state: state(row.try_get("state")?),
        detail: row.try_get("detail")?,
    };
    Ok((
        row.try_get("id")?,
        stamp(row.try_get("received_at")?),
        transition,
    ))
}

/// Keeps what was measured.
pub(in crate::health) async fn samples(
    tx: &mut Tx,
    fresh: &[&Heard<HealthReport>],
    now: Timestamp,
) -> sqlx::Result<()> {
    Bulk {
        before: "INSERT INTO health_sample \
            (host, check_name, at, received_at, verdict, took, measured) VALUES ",
        columns: 7,
        after: "",
    }
    .execute(tx, fresh, |heard, values| {
        let report = &heard.report;
        let measured = measured(&report.values);
        values
            .bytes(&heard.host.id.as_bytes()[..])
            .text(name(&report.check).as_str())
            .number(report.at.as_micros())
            .number(now.as_micros())
            .number(code(&VERDICTS, &report.verdict))
            .number(micros(report.took))
            .text(measured.as_deref());
    })
    .await
}

/// What was measured, as JSON. Numbers that JSON does not have are left out.
fn measured(values: &[Value]) -> Option<String> {
    let finite: Vec<_> = values
        .iter()
        .filter(|value| value.number.is_finite())
        .collect();
    if finite.is_empty() {
        return None;
    }
    serde_json::to_string(&finite).ok()
}

/// Forgets measurements that came before `oldest`, as many as a turn takes.
pub(in crate::health) async fn prune(tx: &mut Tx, oldest: Timestamp) -> sqlx::Result<()> {
    let delete = "DELETE FROM health_sample WHERE id IN (SELECT id FROM health_sample \
         WHERE received_at < $1 ORDER BY received_at LIMIT $2)";
    forget(tx, delete, oldest).await
}

/// Forgets changes of state that came before `oldest`, as many as a turn takes. The newest stays:
/// SQLite gives the number after its, and whoever watches counts on it.
pub(in crate::health) async fn prune_transitions(
    tx: &mut Tx,
    oldest: Timestamp,
) -> sqlx::Result<()> {
    let delete = "DELETE FROM health_transition WHERE id IN (SELECT id FROM health_transition \
         WHERE received_at < $1 AND id < (SELECT MAX(id) FROM health_transition) \
         ORDER BY received_at LIMIT $2)";
    forget(tx, delete, oldest).await
}

/// How many rows are forgotten at a time.
const BATCH: u32 = 10_000;

async fn forget(tx: &mut Tx, delete: &'static str, oldest: Timestamp) -> sqlx::Result<()> {
    let turn = Turn::begin();
    loop {
        let gone = sqlx::query(delete)
            .bind(oldest.as_micros())
            .bind(i64::from(BATCH))
            .execute(&mut **tx)
            .await?;
        if !turn.goes_on(BATCH.into(), gone.rows_affected()) {
            return Ok(());
        }
    }
}
