//! What the operator's command asks of the authority.

use axum::extract::State;
use axum::{Json, Router, routing};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

use super::Authority;
use crate::keys::rows::authority::{self as rows, Certificate};
use crate::people::deed::Wanted;
use crate::web::{Parameters, Problem};

/// How many certificates are listed unless another number is asked for, and at most.
const SHOWN: i64 = 100;
const MOST: i64 = 10_000;

/// The paths under `/v1/authority`.
pub fn routes(authority: Authority) -> Router {
    Router::new()
        .route("/v1/authority", routing::get(line))
        .route("/v1/authority/certificates", routing::get(certificates))
        .with_state(authority)
}

async fn line(State(authority): State<Authority>) -> Result<Json<Value>, Problem> {
    let line = authority.line(clock::now()).await?;
    Ok(Json(json!({ "keys": [line] })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    person: Option<String>,
    limit: Option<i64>,
}

async fn certificates(
    State(authority): State<Authority>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Certificate>>, Problem> {
    let wanted = Wanted {
        since: Timestamp::default(),
        before: Timestamp::from_micros(i64::MAX),
        who: asked.person.unwrap_or_default().replace('\0', ""),
        limit: asked.limit.unwrap_or(SHOWN).clamp(0, MOST),
    };
    Ok(Json(rows::certificates(&authority.store, &wanted).await?))
}
