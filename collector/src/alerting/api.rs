//! What the command line and other programs ask: incidents, their history, and who was told.

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::config::Live;

use super::config::Config;
use super::message::Incident;
use super::rows::{self, Happened, Sent, Wanted};
use crate::store::Store;
use crate::web::Problem;

/// How many incidents are listed unless asked otherwise, and at most.
const USUAL: i64 = 100;
const MOST: i64 = 1000;

/// `GET /v1/incidents?state=open&limit=100`: incidents, the newest first; `GET
/// /v1/incidents/W-7K3F`: those with this code; `GET /v1/alerting`: where messages go. Times are
/// microseconds of UTC.
pub fn routes(store: Store, config: Live<Config>) -> Router {
    Router::new()
        .route("/v1/incidents", get(list))
        .route("/v1/incidents/{code}", get(one))
        .with_state(store)
        .merge(
            Router::new()
                .route("/v1/alerting", get(ways))
                .with_state(config),
        )
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Option<Which>,
    limit: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Open,
    All,
}

type Answer = Result<Json<Value>, Problem>;

async fn list(State(store): State<Store>, Query(asked): Query<Asked>) -> Answer {
    let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST);
    let wanted = match asked.state {
        Some(Which::Open) => Wanted::Open(limit),
        Some(Which::All) | None => Wanted::Newest(limit),
    };
    Ok(answer(&store, &wanted).await?)
}

async fn one(State(store): State<Store>, Path(code): Path<String>) -> Answer {
    let wanted = Wanted::Code(code.to_uppercase());
    let found = answer(&store, &wanted).await?;
    let none = found.get("incidents").and_then(Value::as_array);
    if none.is_none_or(Vec::is_empty) {
        return Err(Problem::missing("no incident has this code"));
    }
    Ok(found)
}

async fn ways(State(config): State<Live<Config>>) -> Json<Value> {
    let config = config.now();
    let folder = config.folder.display().to_string();
    let smtp = config.smtp.as_ref();
    Json(json!({
        "email": smtp.map(|smtp| format!("{}:{}", smtp.host, smtp.port())),
        "sms": config.sms.as_ref().map(|sms| sms.base_url.as_str()),
        "folder": folder,
        "contacts": config.told().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
        "notice": config.notice(),
    }))
}

async fn answer(store: &Store, wanted: &Wanted) -> sqlx::Result<Json<Value>> {
    let mut all = Vec::new();
    for incident in rows::incidents(store, wanted).await? {
        let history = rows::history(store, incident.id).await?;
        let messages = rows::sent(store.read(), incident.id).await?;
        all.push(incident_json(&incident, &history, &messages));
    }
    Ok(Json(json!({ "incidents": all })))
}

fn incident_json(incident: &Incident, history: &[Happened], messages: &[Sent]) -> Value {
    let resolved = incident.resolved.as_ref();
    json!({
        "id": incident.code.as_str(),
        "key": incident.key,
        "severity": incident.severity,
        "state": if resolved.is_some() { "over" } else { "open" },
        "host": incident.host,
        "title": incident.title,
        "detail": incident.detail,
        "advice": incident.advice,
        "since": incident.since,
        "opened_at": incident.opened_at,
        "last_at": incident.last_at,
        "repeats": incident.repeats,
        "resolved_at": resolved.map(|(at, _)| at),
        "resolution": resolved.map(|(_, why)| why),
        "history": history,
        "messages": messages.iter().map(message_json).collect::<Vec<_>>(),
    })
}

fn message_json(sent: &Sent) -> Value {
    let told = &sent.told;
    json!({
        "contact": told.contact,
        "channel": told.channel.name(),
        "to": told.address,
        "about": told.kind.name(),
        "severity": told.severity,
        "state": told.state.name(),
        "attempts": sent.attempts,
        "created_at": sent.created_at,
        "done_at": sent.done_at,
        "detail": sent.note,
    })
}
