//! How checks stand, and how that changed, for the command line and the live view, as JSON.

use axum::extract::State as Shared;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::judge::State;
use super::rows::check;
use super::rows::past;
use crate::store::Store;
use crate::web::{Parameters, Problem};

/// `GET /v1/health?host=web-1&state=down`: how the checks of hosts stand, all of them unless asked
/// otherwise.
pub fn routes() -> Router<Store> {
    Router::new().route("/v1/health", get(health))
}

/// A change of state as it is shown: safe for a terminal, because what an agent wrote is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Grows with each change that comes.
    pub id: i64,
    /// When it changed, by the host's clock, in microseconds of UTC.
    pub at: Timestamp,
    /// When the collector heard of it, in microseconds of UTC.
    pub received_at: Timestamp,
    /// The host's name.
    pub host: String,
    /// The check's name.
    pub check: String,
    /// How it stood; `None` for a new check.
    pub before: Option<State>,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub detail: String,
}

/// The changes that came after the one with this id, in the order they came; `0` is before the
/// first.
///
/// Beware: where several collectors share a database, one of two that come at the same moment may
/// be passed over. Good for looking on, not for counting.
///
/// # Errors
/// The database's.
pub async fn after(store: &Store, id: i64, limit: u32) -> sqlx::Result<Vec<Shown>> {
    let changes = past::after(store, id, limit).await?;
    let shown = changes.into_iter().map(|(id, received_at, one)| Shown {
        id,
        at: one.at,
        received_at,
        host: one.host.name,
        check: escaped(&one.check_name),
        before: one.before,
        state: one.state,
        detail: escaped(&one.detail),
    });
    Ok(shown.collect())
}

/// The id of the change that came last; `0` if there is none.
///
/// # Errors
/// The database's.
pub async fn last(store: &Store) -> sqlx::Result<i64> {
    past::last(store).await
}

/// A check as it is shown. Times are microseconds of UTC.
#[derive(Debug, Serialize)]
struct Standing {
    host: String,
    check: String,
    state: State,
    since: Timestamp,
    failures: u32,
    /// How many failures in a row make it down.
    failures_for_down: u32,
    /// It fails, and not so often yet that it is down.
    failing: bool,
    detail: String,
    last_at: Timestamp,
    interval_seconds: u64,
}

/// What `GET /v1/health` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    host: Option<String>,
    state: Option<State>,
}

async fn health(
    Shared(store): Shared<Store>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Standing>>, Problem> {
    let now = clock::now();
    let mut checks = check::list(&store, asked.host.as_deref()).await?;
    checks.retain(|(_, kept)| asked.state.is_none_or(|state| kept.check.state == state));
    let standing = checks.into_iter().map(|(check, kept)| Standing {
        failures_for_down: kept.check.enough,
        failing: kept.failing(now).is_some(),
        host: kept.host.name,
        check: escaped(&check),
        state: kept.check.state,
        since: kept.check.since,
        failures: kept.check.failures,
        detail: escaped(&kept.detail),
        last_at: kept.last_at,
        interval_seconds: kept.every.as_secs(),
    });
    Ok(Json(standing.collect()))
}
