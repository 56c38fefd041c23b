//! What the command line and other programs ask: incidents, their history, and who was told.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;

mod silences;

use silences::{Who, author};

use super::about::About;
use super::acknowledge::{self, Acknowledging};
use super::message::{Channel, Incident};
use super::rows::{self, Happened, Sent, Wanted};
use super::silence;
use super::{Room, Rules, Severity, wording};
use crate::store::Store;
use crate::web::{Parameters, Problem};

/// How many incidents are listed unless asked otherwise, and at most.
const USUAL: i64 = 100;
const MOST: i64 = 1000;

/// `GET /v1/incidents?state=open&host=web-1&limit=100`: incidents, the newest first; `GET
/// /v1/incidents/W-7K3F`: those with this code; `POST /v1/incidents/W-7K3F/ack`: somebody takes it
/// on; `GET /v1/alerting`: where messages go; `GET
/// /v1/alerting/route?severity=critical`: who would be told. Times are microseconds of UTC.
pub fn routes(store: Store, rules: Rules) -> Router {
    Router::new()
        .route("/v1/incidents", get(list))
        .route("/v1/incidents/{code}", get(one))
        .route("/v1/incidents/{code}/ack", post(acknowledge))
        .route("/v1/alerting", get(ways))
        .route("/v1/alerting/route", get(route))
        .with_state((store.clone(), rules.clone()))
        .merge(silences::routes(store, rules))
}

/// What the room has.
type Has = State<(Store, Rules)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Option<Which>,
    host: Option<String>,
    limit: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    Open,
    All,
}

type Answer = Result<Json<Value>, Problem>;

async fn list(State(has): Has, Parameters(asked): Parameters<Asked>) -> Answer {
    let limit = asked.limit.unwrap_or(USUAL).clamp(1, MOST);
    let wanted = match (asked.host, asked.state) {
        (Some(host), Some(Which::Open)) => Wanted::OpenOf(host, limit),
        (Some(host), Some(Which::All) | None) => Wanted::NewestOf(host, limit),
        (None, Some(Which::Open)) => Wanted::Open(limit),
        (None, Some(Which::All) | None) => Wanted::Newest(limit),
    };
    Ok(answer(&has, &wanted).await?)
}

async fn one(State(has): Has, Path(code): Path<String>) -> Answer {
    let wanted = Wanted::Code(code.to_uppercase());
    let found = answer(&has, &wanted).await?;
    let none = found.get("incidents").and_then(Value::as_array);
    if none.is_none_or(Vec::is_empty) {
        return Err(Problem::missing("no incident has this code"));
    }
    Ok(found)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Taking {
    note: String,
    /// For whom root asks.
    author: Option<String>,
}

async fn acknowledge(
    State((store, _)): Has,
    Path(code): Path<String>,
    who: Who,
    Json(taking): Json<Taking>,
) -> Answer {
    let author = author(who, taking.author);
    let asked = (author.as_str(), taking.note.as_str());
    match acknowledge::acknowledge(&store, &code, asked, clock::now()).await? {
        Acknowledging::Done => Ok(Json(json!({ "acknowledged": code.to_uppercase() }))),
        Acknowledging::Already(before) => Err(Problem::refused(format!(
            "it was acknowledged at {} {before}",
            wording::full(before.at)
        ))),
        Acknowledging::NotOpen => Err(Problem::missing("no open incident has this code")),
    }
}

async fn ways(State((_, rules)): Has) -> Json<Value> {
    let config = rules.config.now();
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

/// An incident that somebody imagines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Imagined {
    severity: Severity,
    room: Option<Room>,
    host: Option<String>,
}

/// Who would be told, and by what; and whether a silence holds it back.
async fn route(State((store, rules)): Has, Parameters(asked): Parameters<Imagined>) -> Answer {
    let key = asked.room.map_or("", Room::name);
    let about = About::new(key, asked.severity, asked.host.as_deref());
    let config = rules.config.now();
    let picked = rules.routes.now().pick(&config.told(), about);
    let way = |contact: &super::Contact, channel: Channel| {
        let to = contact.address(channel, Some(asked.severity))?;
        Some(json!({ "contact": contact.name.as_str(), "channel": channel.name(), "to": to }))
    };
    let told: Vec<_> = picked
        .iter()
        .flat_map(|contact| Channel::ALL.map(|channel| way(contact, channel)))
        .flatten()
        .collect();
    let now = clock::now();
    let silences = rows::holding(store.read(), now).await?;
    let silence = silence::covering(&silences, about, &rules.groups.now(), now);
    Ok(Json(json!({ "told": told, "silence": silence })))
}

async fn answer((store, rules): &(Store, Rules), wanted: &Wanted) -> sqlx::Result<Json<Value>> {
    let now = clock::now();
    let silences = rows::holding(store.read(), now).await?;
    let mut all = Vec::new();
    for incident in rows::incidents(store, wanted).await? {
        let history = rows::history(store, incident.id).await?;
        let messages = rows::sent(store.read(), incident.id).await?;
        let open = incident.resolved.is_none();
        let silence = silence::covering(&silences, incident.about(), &rules.groups.now(), now);
        let mut shown = incident_json(&incident, &history, &messages);
        if let (Some(silence), Some(fields)) = (silence.filter(|_| open), shown.as_object_mut()) {
            fields.insert("silence".to_owned(), json!(silence));
        }
        all.push(shown);
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
        "acknowledged": incident.acknowledged,
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
