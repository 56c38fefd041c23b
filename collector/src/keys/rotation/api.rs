//! What the operator's command asks of rotations, as JSON.

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::span::Span;
use watchward_protocol::text::escaped;
use watchward_protocol::time::Timestamp;

use super::days::Entry;
use super::policy::Missed;
use super::state::Phase;
use super::turn::{Stands, stands};
use super::{Rooms, Rotations};
use crate::keys::policy::Policy;
use crate::keys::proof::fingerprint;
use crate::keys::rows::rotation as rows;
use crate::store::Store;
use crate::web::{Parameters, Problem, Who};

/// Where rotations are seen and hastened.
#[derive(Clone, Debug)]
pub struct Calendar {
    pub(in crate::keys) store: Store,
    pub(in crate::keys) policy: Live<Policy>,
    pub(super) rooms: Rooms,
    rotations: Rotations,
}

impl Calendar {
    /// One of these rotations, as this policy says.
    pub fn new(
        (store, policy): (Store, Live<Policy>),
        (rooms, rotations): (Rooms, Rotations),
    ) -> Self {
        Self {
            store,
            policy,
            rooms,
            rotations,
        }
    }

    /// How every rotation stands.
    pub(in crate::keys) async fn all(&self, now: Timestamp) -> sqlx::Result<Vec<Shown>> {
        let all = stands(&self.store, (&self.policy.now(), &self.rooms), now).await?;
        Ok(all.iter().map(|one| Shown::new(one, now)).collect())
    }

    /// What happened with the key of this name.
    pub(in crate::keys) async fn events(&self, name: &str) -> sqlx::Result<Vec<rows::Event>> {
        rows::events(&self.store, name).await
    }
}

/// `GET /v1/rotations`: every machine's key, and how far its rotation is. `GET
/// /v1/rotations/one?name=...`: the same of one, with what happened. `GET /v1/rotations/calendar`: all
/// that is to be replaced within ninety days, or should have been. `POST /v1/rotations/now` with
/// `{"name": ...}`: it begins now. Times are microseconds of UTC.
pub fn routes(calendar: Calendar) -> Router {
    Router::new()
        .route("/v1/rotations", get(all))
        .route("/v1/rotations/one", get(one))
        .route("/v1/rotations/calendar", get(days))
        .route("/v1/rotations/now", post(hasten))
        .with_state(calendar)
}

/// A rotation as people see it. Safe for a terminal.
#[derive(Clone, Debug, Serialize)]
pub(in crate::keys) struct Shown {
    pub(in crate::keys) name: String,
    /// The host whose programs log in, and the account there.
    pub(in crate::keys) client: String,
    pub(in crate::keys) user: String,
    /// What it opens.
    pub(in crate::keys) groups: Vec<String>,
    pub(in crate::keys) accounts: Vec<String>,
    pub(in crate::keys) from: Vec<String>,
    pub(in crate::keys) phase: &'static str,
    /// The same in a sentence.
    pub(in crate::keys) words: &'static str,
    pub(in crate::keys) since: Timestamp,
    /// The key in use, and since when.
    pub(in crate::keys) fingerprint: Option<String>,
    pub(in crate::keys) serial: Option<u32>,
    pub(in crate::keys) used_since: Option<Timestamp>,
    /// The key that takes its place.
    pub(in crate::keys) next_fingerprint: Option<String>,
    pub(in crate::keys) next_serial: Option<u32>,
    /// When the next rotation begins, and when it is missed.
    pub(in crate::keys) due_at: Timestamp,
    /// How long a key is used, when people hear that its time comes, and what happens when it is missed.
    pub(in crate::keys) every: Span,
    pub(in crate::keys) warn_at: Timestamp,
    pub(in crate::keys) missed: Missed,
    pub(in crate::keys) deadline_at: Timestamp,
    pub(in crate::keys) is_overdue: bool,
    /// Who wanted it before its time; empty: nobody.
    pub(in crate::keys) wished_by: String,
    pub(in crate::keys) pending: Vec<Waiting>,
}

/// Who is waited for.
#[derive(Clone, Debug, Serialize)]
pub(in crate::keys) struct Waiting {
    pub(in crate::keys) host: String,
    pub(in crate::keys) why: String,
}

impl Shown {
    fn new(one: &Stands, now: Timestamp) -> Self {
        let (machine, rotation) = (&one.machine, &one.rotation);
        let name = |wire: &[u8]| (!wire.is_empty()).then(|| fingerprint(wire));
        let (old, new) = (rotation.old.as_ref(), rotation.new.as_ref());
        let waiting = one.pending.iter().map(|it| Waiting {
            host: it.host.clone(),
            why: escaped(&it.why),
        });
        let due_at = rotation.due(machine);
        Self {
            name: rotation.name.clone(),
            client: rotation.client.clone(),
            user: rotation.user.clone(),
            groups: machine.groups.names().map(ToString::to_string).collect(),
            accounts: machine.accounts().into_iter().map(str::to_owned).collect(),
            from: rotation.from.iter().map(ToString::to_string).collect(),
            phase: rotation.phase.word(),
            words: match old.is_none() && rotation.phase == Phase::Idle {
                true => "there is no key yet",
                false => rotation.phase.words(),
            },
            since: rotation.since,
            fingerprint: old.and_then(|key| name(&key.wire)),
            serial: old.map(|key| key.serial),
            used_since: old.map(|key| key.at),
            next_fingerprint: new.and_then(|key| name(&key.wire)),
            next_serial: new.map(|key| key.serial),
            due_at,
            every: machine.every,
            warn_at: due_at - machine.warn_ahead.duration(),
            missed: machine.missed,
            deadline_at: rotation.deadline(machine),
            is_overdue: rotation.phase == Phase::Idle && old.is_some() && due_at <= now,
            wished_by: rotation.wished_by.clone().unwrap_or_default(),
            pending: waiting.collect(),
        }
    }
}

async fn all(State(calendar): State<Calendar>) -> Result<Json<Vec<Shown>>, Problem> {
    Ok(Json(calendar.all(clock::now()).await?))
}

async fn days(State(calendar): State<Calendar>) -> Result<Json<Vec<Entry>>, Problem> {
    let mut entries = calendar.entries(clock::now()).await?;
    entries.sort_unstable();
    Ok(Json(entries))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    name: String,
}

/// One, with what happened, the newest first.
#[derive(Debug, Serialize)]
struct Whole {
    #[serde(flatten)]
    shown: Shown,
    events: Vec<Event>,
}

#[derive(Debug, Serialize)]
struct Event {
    at: Timestamp,
    what: String,
}

async fn one(
    State(calendar): State<Calendar>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Whole>, Problem> {
    let all = calendar.all(clock::now()).await?;
    let shown = find(all, &which.name)?;
    let events = calendar.events(&shown.name).await?.into_iter();
    let events = events.map(|it| Event {
        at: it.at,
        what: escaped(&it.what),
    });
    Ok(Json(Whole {
        events: events.collect(),
        shown,
    }))
}

fn find(all: Vec<Shown>, name: &str) -> Result<Shown, Problem> {
    let names: Vec<_> = all.iter().map(|it| it.name.clone()).collect();
    let mut found = all.into_iter().filter(|it| it.name == name);
    found.next().ok_or_else(|| {
        let known = match names.is_empty() {
            true => "the policy has no [[keys.machines]]".to_owned(),
            false => format!("there are: {}", names.join(", ")),
        };
        Problem::missing(format!(
            "no machine's key is called {}; {known}",
            escaped(name)
        ))
    })
}

async fn hasten(
    State(calendar): State<Calendar>,
    Who(by): Who,
    Json(which): Json<Which>,
) -> Result<Json<Shown>, Problem> {
    let now = clock::now();
    let shown = find(calendar.all(now).await?, &which.name)?;
    if shown.phase != Phase::Idle.word() {
        let why = format!(
            "the rotation of {} goes on already: {}",
            shown.name, shown.words
        );
        return Err(Problem::refused(why));
    }
    let policy = calendar.policy.now();
    let key = shown.fingerprint.as_deref().unwrap_or_default();
    if let Some(name) = policy.break_glass(key) {
        return Err(Problem::refused(format!(
            "the key of {} is the break-glass key {name}: it is replaced by hand alone",
            shown.name
        )));
    }
    let mut tx = calendar.store.begin().await?;
    if !rows::wish(&mut tx, (&shown.name, &by), now).await? {
        return Err(Problem::missing(
            "it was not looked at yet: ask again in a moment",
        ));
    }
    tx.commit().await?;
    tracing::info!(rotation = shown.name, author = by, "wanted now");
    calendar.rotations.touch();
    Ok(Json(Shown {
        wished_by: by,
        ..shown
    }))
}
