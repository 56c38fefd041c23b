//! The policy for the operator's command, as JSON.

use std::net::IpAddr;

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use watchward_daemon::clock;

use super::Ruling;
use super::apply::{Applied, Outlook, Proposal, Refusal, called};
use super::basis::Brought;
use crate::policy::versions::{self, Version, Whole};
use crate::web::{Problem, Who};

/// How many versions are listed, unless it is said.
const SHOWN: i64 = 50;

/// `GET /v1/policy` and `/v1/policy/text`, `POST /v1/policy/plan` and `/apply`.
pub(crate) fn routes(ruling: Ruling) -> Router {
    Router::new()
        .route("/v1/policy", get(history))
        .route("/v1/policy/text", get(text))
        .route("/v1/policy/plan", post(plan))
        .route("/v1/policy/apply", post(apply))
        .with_state(ruling)
}

/// The versions, and how they stand.
#[derive(Clone, Debug, Serialize)]
pub(super) struct History {
    /// The number of the version in force on this collector; 0: none is.
    pub(super) in_force: i64,
    /// Why the newest is not, if it is not.
    pub(super) trouble: Option<String>,
    /// The policy's file.
    file: String,
    /// Whether what is in force is what that file says; none, where there is no file.
    file_is_in_force: Option<bool>,
    /// Why the file does not count, if it does not.
    pub(super) file_trouble: Option<String>,
    /// The versions, the newest first.
    pub(super) versions: Vec<Version>,
}

/// How the versions stand.
pub(super) async fn standing(ruling: &Ruling, limit: i64) -> sqlx::Result<History> {
    let held = ruling.held();
    let in_force = held.standing.version.as_ref();
    let written = held.basis.brought().ok().flatten();
    let digest = in_force.map(|version| version.sha256.as_str());
    let same = |text: &str| digest == Some(versions::digest(text).as_str());
    Ok(History {
        in_force: in_force.map_or(0, |version| version.number),
        trouble: held.standing.trouble.as_ref().map(|(_, why)| why.clone()),
        file: held.basis.file.display().to_string(),
        file_is_in_force: written.map(|written| same(&written.text)),
        file_trouble: held.file,
        versions: versions::list(&ruling.0.store, limit).await?,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limit {
    limit: Option<u32>,
}

async fn history(
    State(ruling): State<Ruling>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<History>, Problem> {
    let limit = limit.map_or(SHOWN, i64::from);
    Ok(Json(standing(&ruling, limit).await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Which {
    version: Option<i64>,
}

async fn text(
    State(ruling): State<Ruling>,
    Query(Which { version }): Query<Which>,
) -> Result<Json<Whole>, Problem> {
    Ok(Json(ruling.find(version).await.map_err(problem)?))
}

/// What the operator's command sends.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// The policy's text; nothing for a rollback.
    text: String,
    /// The file's name, for errors.
    file: Option<String>,
    /// Which version to go back to.
    version: Option<i64>,
    signature: Option<String>,
    /// Where the operator comes from, if it is by SSH.
    operator: Option<IpAddr>,
    note: Option<String>,
    even_so: bool,
    /// Whether it is about an earlier version, and not about the text.
    rollback: bool,
    /// The version in force when the operator looked.
    upon: Option<i64>,
}

impl Asked {
    async fn resolve(self, ruling: &Ruling, who: Who) -> Result<Proposal, Refusal> {
        let (is_rollback, version) = (self.rollback, self.version);
        let proposal = self.proposal(who);
        match is_rollback {
            true => ruling.earlier(version, proposal).await,
            false => Ok(proposal),
        }
    }

    fn proposal(self, Who(author): Who) -> Proposal {
        Proposal {
            brought: Brought {
                named: called(self.file.as_deref()).into(),
                text: self.text,
                signature: self.signature,
            },
            operator: self.operator.map(|address| address.to_canonical()),
            author,
            note: self.note.unwrap_or_default(),
            back_to: None,
            even_so: self.even_so,
            upon: self.upon,
        }
    }
}

async fn plan(
    State(ruling): State<Ruling>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Outlook>, Problem> {
    let proposal = asked.resolve(&ruling, who).await.map_err(problem)?;
    let outlook = ruling.plan(&proposal, clock::now()).await;
    Ok(Json(outlook.map_err(problem)?))
}

async fn apply(
    State(ruling): State<Ruling>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Applied>, Problem> {
    let proposal = asked.resolve(&ruling, who).await.map_err(problem)?;
    let applied = ruling.apply(proposal, clock::now()).await;
    Ok(Json(applied.map_err(problem)?))
}

/// What is answered then.
fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong(why) => Problem::refused(why),
        Refusal::None | Refusal::Missing(_) => Problem::missing(refusal.to_string()),
        Refusal::Own(error) => error.into(),
    }
}
