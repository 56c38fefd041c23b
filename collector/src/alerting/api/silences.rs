//! Silences for the command line: listed, added, ended.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_protocol::span::Span;
use watchward_protocol::text::Foreign;

use super::super::about::Room;
use super::super::silence::{NewSilence, Scope, Silence};
use super::super::{Rules, add_silence, end_silence, silences};
use crate::store::Store;
use crate::web::{Problem, Who};

/// `GET /v1/silences`: the newest first; `POST /v1/silences`: one more; `POST /v1/silences/7/end`.
pub(super) fn routes(store: Store, rules: Rules) -> Router {
    Router::new()
        .route("/v1/silences", get(list).post(add))
        .route("/v1/silences/{id}/end", post(end))
        .with_state((store, rules))
}

type Has = State<(Store, Rules)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    host: Option<String>,
    group: Option<String>,
    room: Option<Room>,
    key: Option<String>,
    #[serde(default)]
    also_critical: bool,
    #[serde(rename = "for")]
    span: Span,
    reason: String,
}

async fn list(State((store, _)): Has) -> Result<Json<Value>, Problem> {
    let now = clock::now();
    let all = silences(&store).await?;
    let all: Vec<_> = all.iter().map(|silence| shown(silence, now)).collect();
    Ok(Json(json!({ "silences": all })))
}

async fn add(
    State((store, rules)): Has,
    Who(author): Who,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Problem> {
    if let Some(group) = &wanted.group
        && !rules.groups.now().knows(group)
    {
        return Err(Problem::refused("the policy has no such group"));
    }
    if let Some(host) = &wanted.host
        && !(rules.is_host)(&store, host).await?
    {
        let host = Foreign::from(host.as_str()).shortened(100);
        return Err(Problem::refused(format!(
            "no host is called {host}: it would silence nothing; `watchward hosts` names them"
        )));
    }
    let new = NewSilence {
        scope: Scope {
            host: wanted.host,
            group: wanted.group,
            room: wanted.room,
            key: wanted.key,
            also_critical: wanted.also_critical,
        },
        span: wanted.span,
        reason: wanted.reason,
    };
    let now = clock::now();
    match add_silence(&store, new, &author, now).await? {
        Ok(silence) => Ok(Json(shown(&silence, now))),
        Err(unfit) => Err(Problem::refused(unfit.to_string())),
    }
}

async fn end(
    State((store, _)): Has,
    Path(id): Path<i64>,
    Who(author): Who,
) -> Result<Json<Value>, Problem> {
    if end_silence(&store, id, &author, clock::now()).await? {
        return Ok(Json(json!({ "ended": id })));
    }
    Err(Problem::missing("no silence with this number holds"))
}

fn shown(silence: &Silence, now: watchward_protocol::time::Timestamp) -> Value {
    let mut shown = json!(silence);
    if let Some(fields) = shown.as_object_mut() {
        let state = if now < silence.end() { "holds" } else { "over" };
        fields.insert("state".to_owned(), Value::from(state));
    }
    shown
}
