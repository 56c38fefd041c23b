//! What the operator's command asks of the authority.

use axum::extract::State;
use axum::{Json, Router, routing};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::hosts_rotate::Standing as OfHosts;
use super::rotate::Standing;
use super::{Authority, known_hosts};
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
        .route("/v1/authority/hosts/standing", routing::get(hosts_standing))
        .route("/v1/authority/hosts/rotate", routing::post(rotate_hosts))
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
    let Authority { store, policy, .. } = &sources.authority;
    let lines = known_hosts(store, &policy.now()).await?;
    Ok(Json(json!({ "known_hosts": lines })))
}

async fn hosts_standing(State(sources): State<Sources>) -> Result<Json<OfHosts>, Problem> {
    let Sources {
        authority,
        inventory,
        ..
    } = sources;
    let standing = authority.standing_of_hosts(inventory, clock::now());
    Ok(Json(standing.await?))
}

async fn rotate_hosts(
    State(sources): State<Sources>,
    Who(by): Who,
    Json(wanted): Json<Rotate>,
) -> Result<Json<Value>, Problem> {
    let (authority, now) = (&sources.authority, clock::now());
    let (made, revoked) = match wanted.reason()? {
        None => (authority.rotate_hosts(&by, now).await?, Vec::new()),
        Some(reason) => (true, authority.replace_hosts((&by, &reason), now).await?),
    };
    sources.bell.ring();
    let standing = authority.standing_of_hosts(sources.inventory, now).await?;
    Ok(Json(
        json!({ "made": made, "revoked": revoked, "standing": standing }),
    ))
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

impl Rotate {
    /// Why it is to be at once, if it is. Safe for a terminal.
    fn reason(&self) -> Result<Option<String>, Problem> {
        let Some(reason) = self.now.as_deref().map(str::trim) else {
            return Ok(None);
        };
        if reason.is_empty() || reason.len() > LONGEST_REASON {
            return Err(Problem::refused("a reason is needed, of 500 bytes at most"));
        }
        Ok(Some(escaped(reason)))
    }
}

async fn rotate(
    State(sources): State<Sources>,
    Who(by): Who,
    Json(wanted): Json<Rotate>,
) -> Result<Json<Value>, Problem> {
    let (authority, now) = (&sources.authority, clock::now());
    let (made, revoked) = match wanted.reason()? {
        None => (authority.rotate(&by, now).await?, Vec::new()),
        Some(reason) => (true, authority.replace((&by, &reason), now).await?),
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
