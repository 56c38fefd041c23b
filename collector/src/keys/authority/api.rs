//! What the operator's command asks of the authority.

use axum::extract::State;
use axum::{Json, Router, routing};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::Authority;
use super::rotate::Standing;
use crate::alerting::Bell;
use crate::keys::revocation::Inventory;
use crate::keys::rows::certificate::{self as rows, Certificate};
use crate::people::deed::Wanted;
use crate::web::{Parameters, Problem, Who};

/// How many certificates are listed unless another number is asked for, and at most.
const SHOWN: i64 = 100;
const MOST: i64 = 10_000;

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 500;

#[derive(Clone)]
struct Sources {
    authority: Authority,
    inventory: Inventory,
    bell: Bell,
}

/// The paths under `/v1/authority`.
pub fn routes(authority: Authority, inventory: Inventory, bell: Bell) -> Router {
    Router::new()
        .route("/v1/authority", routing::get(lines))
        .route("/v1/authority/hosts", routing::get(hosts))
        .route("/v1/authority/standing", routing::get(standing))
        .route("/v1/authority/rotate", routing::post(rotate))
        .route("/v1/authority/certificates", routing::get(certificates))
        .with_state(Sources {
            authority,
            inventory,
            bell,
        })
}

async fn lines(State(sources): State<Sources>) -> Result<Json<Value>, Problem> {
    let lines = sources.authority.lines(clock::now()).await?;
    Ok(Json(json!({ "keys": lines })))
}

async fn hosts(State(sources): State<Sources>) -> Result<Json<Value>, Problem> {
    let lines = sources.authority.known_hosts().await?;
    Ok(Json(json!({ "known_hosts": lines })))
}

async fn standing(State(sources): State<Sources>) -> Result<Json<Standing>, Problem> {
    let standing = sources.authority.standing(sources.inventory, clock::now());
    Ok(Json(standing.await?))
}

/// What `POST /v1/authority/rotate` takes: with a `reason` at once, and what is replaced is revoked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    #[serde(default)]
    now: Option<String>,
}

async fn rotate(
    State(sources): State<Sources>,
    Who(by): Who,
    Json(wanted): Json<Rotate>,
) -> Result<Json<Value>, Problem> {
    let (authority, now) = (&sources.authority, clock::now());
    let (made, revoked) = match &wanted.now {
        None => (authority.rotate(&by, now).await?, Vec::new()),
        Some(reason) => {
            let reason = reason.trim();
            if reason.is_empty() || reason.len() > LONGEST_REASON {
                return Err(Problem::refused("a reason is needed, of 500 bytes at most"));
            }
            let revoked = authority.replace((&by, &escaped(reason)), now).await?;
            (true, revoked)
        }
    };
    sources.bell.ring();
    let standing = authority.standing(sources.inventory, now).await?;
    Ok(Json(
        json!({ "made": made, "revoked": revoked, "standing": standing }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    person: Option<String>,
    limit: Option<i64>,
}

async fn certificates(
    State(sources): State<Sources>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Certificate>>, Problem> {
    let wanted = Wanted {
        since: Timestamp::default(),
        before: Timestamp::from_micros(i64::MAX),
        who: asked.person.unwrap_or_default().replace('\0', ""),
        limit: asked.limit.unwrap_or(SHOWN).clamp(0, MOST),
    };
    Ok(Json(
        rows::certificates(&sources.authority.store, &wanted).await?,
    ))
}
