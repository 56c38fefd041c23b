//! Hosts and tokens for the operator's command, as JSON.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::span::Span;
use watchward_protocol::text::escaped;

use super::registry::is_name;
use super::rows::Which;
use super::unknown::unknown;
use super::{Hosts, rows};
use crate::web::{Parameters, Problem};

/// The room's paths. `GET /v1/hosts` names those that may talk to us; with `?state=revoked` or
/// `?state=all` others too, and with `?name=web-1` that one, whatever its state.
pub fn routes(hosts: Hosts) -> Router {
    Router::new()
        .route("/v1/tokens", post(create).get(tokens))
        .route("/v1/hosts", get(list))
        .route("/v1/hosts/{name}/revoke", post(revoke))
        .with_state(hosts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    host: String,
    life: Option<Span>,
}

#[derive(Serialize)]
struct Created {
    token: String,
    expires_at: i64,
    /// Where the host reaches the collector.
    collector: Option<String>,
    enrolment: Option<String>,
}

async fn create(
    State(hosts): State<Hosts>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Created>, Problem> {
    if !is_name(&wanted.host) {
        return Err(Problem::refused(
            "a host name has letters, digits, '-', '.' and '_'",
        ));
    }
    let now = clock::now();
    let life = wanted.life.unwrap_or_else(|| hosts.config.now().token_life);
    let expires = now + life.duration();
    let token = hosts.token(&wanted.host, expires, now).await?;
    tracing::info!(host.name = wanted.host, "made an enrolment token");
    Ok(Json(Created {
        token,
        expires_at: expires.as_micros(),
        collector: hosts.doors.as_ref().map(|doors| doors.stream.clone()),
        enrolment: hosts.doors.as_ref().map(|doors| doors.enrolment.clone()),
    }))
}

async fn tokens(State(hosts): State<Hosts>) -> Result<Json<Vec<rows::token::TokenRow>>, Problem> {
    Ok(Json(rows::token::known(&hosts.store).await?))
}

/// What `GET /v1/hosts` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: Option<String>,
    state: Option<Which>,
}

async fn list(
    State(hosts): State<Hosts>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<rows::HostRow>>, Problem> {
    let name = asked.name.as_deref();
    let mut all = rows::hosts(&hosts.store, name).await?;
    let usual = name.map_or(Which::default(), |_| Which::All);
    let which = asked.state.unwrap_or(usual);
    all.retain(|host| which.has(host));
    if let Some(name) = name.filter(|_| all.is_empty()) {
        let why = unknown(&hosts.store, name).await?;
        let why = why.unwrap_or_else(|| format!("{name} is not in this state"));
        return Err(Problem::missing(why));
    }
    Ok(Json(all))
}

async fn revoke(
    State(hosts): State<Hosts>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    match hosts.revoke(&name, clock::now()).await? {
        true => Ok(Json(json!({ "revoked": name }))),
        false => {
            let why = unknown(&hosts.store, &name).await?;
            let why = why.unwrap_or_else(|| format!("{} was revoked before", escaped(&name)));
            Err(Problem::missing(why))
        }
    }
}
