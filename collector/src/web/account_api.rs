//! Accounts for the operator's command.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;

use super::admin::Who;
use super::problem::Problem;
use crate::people::{Account, Author, Email, Invited, Newcomer, People, Role, Roles, Unfit};

/// `GET` and `POST /v1/people`, `POST /v1/people/{name}/reset`, `.../roles` and `.../remove`.
pub fn routes(people: People) -> Router {
    Router::new()
        .route("/v1/people", get(list).post(invite))
        .route("/v1/people/{name}/reset", post(reset))
        .route("/v1/people/{name}/roles", post(set_roles))
        .route("/v1/people/{name}/remove", post(remove))
        .with_state(people)
}

/// Who asks by the command.
fn author(Who(name): Who) -> Author {
    Author {
        name,
        address: None,
    }
}

fn problem(unfit: Unfit) -> Problem {
    match unfit {
        Unfit::Missing => Problem::missing(unfit.to_string()),
        Unfit::Name
        | Unfit::Taken
        | Unfit::NoRole
        | Unfit::Email
        | Unfit::NoEmail
        | Unfit::LastAdministrator => Problem::refused(unfit.to_string()),
    }
}

async fn list(State(people): State<People>) -> Result<Json<Vec<Account>>, Problem> {
    Ok(Json(people.accounts().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    email: Option<String>,
    roles: Vec<Role>,
}

/// How the link gets there: `email`, or the `file` that it lies in, or the `link` itself.
fn told(name: &str, invited: &Invited) -> Value {
    match invited {
        Invited::ByEmail(email) => json!({ "name": name, "email": email }),
        Invited::InFile(file) => json!({ "name": name, "file": file }),
        Invited::ByHand(link) => json!({ "name": name, "link": link.reveal() }),
    }
}

async fn invite(
    State(people): State<People>,
    who: Who,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Problem> {
    let email = match wanted.email {
        Some(text) => Some(Email::of(&text).ok_or_else(|| problem(Unfit::Email))?),
        None => None,
    };
    let new = Newcomer {
        name: wanted.name,
        email,
        roles: wanted.roles.into_iter().collect(),
    };
    let by = author(who);
    let done = people.invite(&new, &by, clock::now());
    let invited = done.await?.map_err(problem)?;
    tracing::info!(person.name = new.name, by = by.name, "made an account");
    Ok(Json(told(&new.name, &invited)))
}

async fn reset(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
) -> Result<Json<Value>, Problem> {
    let by = author(who);
    let done = people.reset(&name, &by, clock::now());
    let invited = done.await?.map_err(problem)?;
    tracing::info!(person.name = name, by = by.name, "reset an account");
    Ok(Json(told(&name, &invited)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    roles: Vec<Role>,
}

async fn set_roles(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, Problem> {
    let roles: Roles = asked.roles.into_iter().collect();
    let by = author(who);
    let done = people.set_roles((&name, &roles), &by, clock::now());
    done.await?.map_err(problem)?;
    Ok(Json(json!({ "name": name, "roles": roles })))
}

async fn remove(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
) -> Result<Json<Value>, Problem> {
    let by = author(who);
    let done = people.remove(&name, &by, clock::now());
    done.await?.map_err(problem)?;
    Ok(Json(json!({ "removed": name })))
}
