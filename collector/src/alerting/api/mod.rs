//! What the command line and other programs ask: incidents, their history, and who was told.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::time::Timestamp;

mod silences;

use super::about::About;
use super::acknowledge::{self, Acknowledging};
use super::message::{Channel, Incident};
use super::rows::{self, Sent, Wanted};
use super::silence;
use super::{Room, Rules, Severity, wording};
use crate::store::Store;
use crate::web::{Parameters, Problem, Who};

/// How many incidents are listed unless asked otherwise, and at most: of those that are open, always
/// so many.
const USUAL: i64 = 100;
const MOST: i64 = 1000;

/// `GET /v1/incidents?state=open&host=web-1&limit=100`: incidents, the newest first, and how many
/// `more` there are; `GET /v1/incidents/W-7K3F`: those with this code, with their history and who was
/// told; `POST /v1/incidents/W-7K3F/ack`: somebody takes it
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

async fn list(State((store, rules)): Has, Parameters(asked): Parameters<Asked>) -> Answer {
    let open = matches!(asked.state, Some(Which::Open));
    let usual = if open { MOST } else { USUAL };
    let limit = asked.limit.unwrap_or(usual).clamp(1, MOST);
    let wanted = Wanted {
        open: open.then_some(true),
        host: asked.host,
        ..Wanted::default()
    };
    let now = clock::now();
    let silences = rows::holding(store.read(), now).await?;
    let found = rows::incidents(&store, &wanted, limit).await?;
    let more = match i64::try_from(found.len()).is_ok_and(|count| count < limit) {
        true => 0,
        false => (rows::count(&store, &wanted).await? - limit).max(0),
    };
    let all: Vec<_> = found
        .iter()
        .map(|incident| incident_json(incident, &silences, &rules, now))
        .collect();
    Ok(Json(json!({ "incidents": all, "more": more })))
}

async fn one(State((store, rules)): Has, Path(code): Path<String>) -> Answer {
    let wanted = Wanted {
        code: Some(code.to_uppercase()),
        ..Wanted::default()
    };
    let now = clock::now();
    let silences = rows::holding(store.read(), now).await?;
    let mut all = Vec::new();
    for incident in rows::incidents(&store, &wanted, MOST).await? {
        let history = rows::history(&store, incident.id).await?;
        let messages = rows::sent(store.read(), incident.id).await?;
        let messages: Vec<_> = messages.iter().map(message_json).collect();
        let mut shown = incident_json(&incident, &silences, &rules, now);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("history".to_owned(), json!(history));
            fields.insert("messages".to_owned(), json!(messages));
        }
        all.push(shown);
    }
    if all.is_empty() {
        return Err(Problem::missing("no incident has this code"));
    }
    Ok(Json(json!({ "incidents": all })))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Taking {
    note: String,
}

async fn acknowledge(
    State((store, _)): Has,
    Path(code): Path<String>,
    Who(author): Who,
    Json(taking): Json<Taking>,
) -> Answer {
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

fn incident_json(
    incident: &Incident,
    silences: &[silence::Silence],
    rules: &Rules,
    now: Timestamp,
) -> Value {
    let resolved = incident.resolved.as_ref();
    let mut shown = json!({
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
    });
    let silence = silence::covering(silences, incident.about(), &rules.groups.now(), now);
    let silence = silence.filter(|_| resolved.is_none());
    if let (Some(silence), Some(fields)) = (silence, shown.as_object_mut()) {
        fields.insert("silence".to_owned(), json!(silence));
    }
    shown
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
