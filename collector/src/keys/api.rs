//! What the command line and other programs ask of keys, as JSON.

use std::collections::HashMap;

use axum::extract::State as Shared;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::keys::Means;
use watchward_protocol::span::Span;
use watchward_protocol::text::{Foreign, escaped};
use watchward_protocol::time::Timestamp;

use super::policy::Policy;
use super::reading::{self, Listed, State, Wanted};
use super::rows::revoked::{Mark, marks};
use super::{Accept, accept};
use crate::alerting::Bell;
use crate::store::Store;
use crate::web::{Parameters, Problem, Who};

/// How many are listed unless asked otherwise, and at most.
const USUAL: u32 = 1000;
const MOST: u32 = 10_000;

/// What the answers come from.
#[derive(Clone)]
struct Sources {
    store: Store,
    policy: Live<Policy>,
    bell: Bell,
}

/// `GET /v1/keys`: what opens accounts, filtered; `GET
/// /v1/keys/places?fingerprint=...`: everywhere that a key opens something, and what happened there;
/// `POST /v1/keys/accept` with `{"key": "SHA256:...", "host": ..., "account": ...}`: a person says
/// that it is right. Times are microseconds of UTC.
pub fn routes(store: Store, policy: Live<Policy>, bell: Bell) -> Router {
    Router::new()
        .route("/v1/keys", get(keys))
        .route("/v1/keys/places", get(places))
        .route("/v1/keys/accept", post(accepted))
        .with_state(Sources {
            store,
            policy,
            bell,
        })
}

/// An opening as it is shown: safe for a terminal, because what a stranger typed is escaped. Times
/// are microseconds of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "as in `Listed` and `watchward_protocol::keys::Opening`"
)]
pub struct Shown {
    /// Pages go on `after` the last one's.
    pub id: i64,
    pub host: String,
    pub account: Option<String>,
    pub means: Means,
    pub kind: Option<String>,
    pub bits: Option<u32>,
    pub fingerprint: Option<String>,
    pub file: String,
    pub line: Option<u32>,
    pub copies: u32,
    pub comment: String,
    /// Those of each line on which it stands.
    pub options: Vec<String>,
    pub principals: Vec<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub condition: Option<String>,
    pub new: bool,
    pub widened: Option<String>,
    pub was: Option<String>,
    pub first_at: Timestamp,
    pub seen_at: Timestamp,
    pub gone_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
    pub overdue: bool,
    pub ended: bool,
    pub weak: Option<String>,
    pub used_at: Option<Timestamp>,
    pub used_from: Option<String>,
    pub uses: u64,
    /// Since when it is revoked, if it is; by whom, and why.
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
    pub revoked_why: Option<String>,
}

impl Shown {
    fn new(listed: Listed, marks: &HashMap<String, Mark>, now: Timestamp) -> Self {
        let overdue = listed.is_overdue(now);
        let opening = listed.opening;
        let lines = opening.options.as_bytes().split(|byte| *byte == b'\n');
        let options = lines.filter(|line| !line.is_empty());
        let key = opening.key.as_ref();
        let mark = key.and_then(|key| marks.get(&key.fingerprint));
        Self {
            id: listed.id,
            host: listed.host,
            account: listed.account.map(|name| name.to_string()),
            means: opening.means,
            kind: key.map(|key| escaped(&key.kind)),
            bits: key.map(|key| key.bits),
            fingerprint: key.map(|key| escaped(&key.fingerprint)),
            file: escaped(&opening.file),
            line: opening.line,
            copies: listed.copies,
            comment: opening.comment.to_string(),
            options: options
                .map(|line| Foreign::from(line).to_string())
                .collect(),
            principals: opening.principals.iter().map(Foreign::to_string).collect(),
            not_before: opening.not_before,
            not_after: opening.not_after,
            condition: opening.condition.as_deref().map(escaped),
            new: listed.new,
            widened: listed.widened.as_deref().map(escaped),
            was: listed.was.as_deref().map(escaped),
            first_at: listed.first_at,
            seen_at: listed.seen_at,
            gone_at: listed.gone_at,
            due_at: listed.due_at,
            overdue,
            ended: listed.ended,
            weak: listed.weak.as_deref().map(escaped),
            used_at: listed.used_at,
            used_from: listed.used_from,
            uses: listed.uses,
            revoked_at: mark.map(|mark| mark.at),
            revoked_by: mark.map(|mark| escaped(&mark.by)),
            revoked_why: mark.map(|mark| mark.why.clone()),
        }
    }
}

/// What `GET /v1/keys` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    host: Option<String>,
    account: Option<String>,
    fingerprint: Option<String>,
    state: Option<State>,
    unused: Option<Span>,
    gone: bool,
    after: Option<i64>,
    limit: Option<u32>,
}

async fn keys(
    Shared(sources): Shared<Sources>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Vec<Shown>>, Problem> {
    let now = clock::now();
    let wanted = Wanted {
        host: asked.host,
        account: asked.account,
        fingerprint: asked.fingerprint,
        state: asked.state,
        unused_since: asked.unused.map(|span| now - span.duration()),
        gone: asked.gone,
        after: asked.after,
        limit: asked.limit.unwrap_or(USUAL).min(MOST),
        now,
    };
    let found = reading::list(&sources.store, &wanted).await?;
    let marks = marks(&sources.store).await?;
    let shown = found.into_iter().map(|one| Shown::new(one, &marks, now));
    Ok(Json(shown.collect()))
}

/// What `GET /v1/keys/places` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    fingerprint: String,
}

/// A place where a key opens something, and what happened there.
#[derive(Debug, Serialize)]
struct Place {
    #[serde(flatten)]
    shown: Shown,
    changes: Vec<Changed>,
}

#[derive(Debug, Serialize)]
struct Changed {
    at: Timestamp,
    what: String,
}

async fn places(
    Shared(sources): Shared<Sources>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<Place>>, Problem> {
    let now = clock::now();
    let found = reading::places(&sources.store, &which.fingerprint, now).await?;
    if found.is_empty() {
        return Err(Problem::missing(
            "no host has told of a key with this fingerprint",
        ));
    }
    let marks = marks(&sources.store).await?;
    let places = found.into_iter().map(|(one, changes)| Place {
        shown: Shown::new(one, &marks, now),
        changes: changes
            .into_iter()
            .map(|(at, what)| Changed { at, what })
            .collect(),
    });
    Ok(Json(places.collect()))
}

/// In how many places something was found that was said to be right.
#[derive(Debug, Serialize)]
struct Accepted {
    places: usize,
}

async fn accepted(
    Shared(sources): Shared<Sources>,
    Who(by): Who,
    Json(wanted): Json<Accept>,
) -> Result<Json<Accepted>, Problem> {
    let mut tx = sources.store.begin().await?;
    let places = accept(&mut tx, (&wanted, &by), &sources.policy.now(), clock::now()).await?;
    tx.commit().await?;
    if places == 0 {
        return Err(Problem::missing("nothing like this opens anything there"));
    }
    sources.bell.ring();
    Ok(Json(Accepted { places }))
}
