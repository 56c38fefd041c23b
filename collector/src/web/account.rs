//! Accounts: one's own password, who else has one, and what happened at the door.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use watchward_daemon::clock;
use watchward_daemon::secret::Secret;

use super::guard::{Guest, PASSWORD};
use super::page::{self, Frame, page};
use super::pages::Pages;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::people::{self, Account, Change, Happened, People};

/// How much of what happened is shown.
const LINES: i64 = 200;

/// The pages.
pub(super) fn pages(people: People) -> Pages {
    Pages::new()
        .route("/people", get(everybody))
        .route(PASSWORD, get(password).post(change))
        .entry("/people", "People")
        .with_state(people)
}

/// `GET` and `POST /v1/people`, `POST /v1/people/{name}/reset` and `.../remove`: accounts for the
/// operator's command.
pub fn routes(people: People) -> Router {
    Router::new()
        .route("/v1/people", get(list).post(add))
        .route("/v1/people/{name}/reset", post(reset))
        .route("/v1/people/{name}/remove", post(remove))
        .with_state(people)
}

#[derive(Template)]
#[template(path = "people.html")]
struct Everybody {
    frame: Frame,
    accounts: Vec<Account>,
    happened: Vec<Happened>,
}

async fn everybody(State(people): State<People>, visitor: Visitor) -> page::Answer {
    page(&Everybody {
        frame: visitor.frame("People"),
        accounts: people.accounts().await?,
        happened: people.happened(LINES).await?,
    })
}

#[derive(Template)]
#[template(path = "password.html")]
struct Password {
    frame: Frame,
    name: String,
    trouble: String,
}

async fn password(visitor: Visitor) -> page::Answer {
    page(&Password {
        frame: visitor.frame("Change your password"),
        name: visitor.session.name.clone(),
        trouble: String::new(),
    })
}

#[derive(Deserialize)]
struct Typed {
    /// Not asked for where it was for once.
    old: Option<String>,
    new: String,
    again: String,
}

async fn change(
    Extension(guest): Extension<Guest>,
    visitor: Visitor,
    Form(typed): Form<Typed>,
) -> page::Answer {
    let same = typed.new == typed.again;
    let (old, new) = (typed.old.map(Secret::from), Secret::from(typed.new));
    let trouble = if !same {
        "The new password was typed in two ways.".to_owned()
    } else {
        let people = visitor.people();
        let wish = people.change(
            &visitor.session,
            (old.as_ref(), &new),
            visitor.address,
            visitor.now,
        );
        match wish.await? {
            Change::Done(secret) => {
                let cookie = guest.pass.holding(&secret).to_string();
                return Ok(([(SET_COOKIE, cookie)], Redirect::to("/")).into_response());
            }
            Change::Wrong => {
                "The old password is another one, or it has just been changed.".to_owned()
            }
            Change::Weak(weakness) => weakness.to_string(),
            Change::Later(wait) => format!(
                "Too many tries. Please wait {} s and try again.",
                wait.as_secs() + 1
            ),
        }
    };
    let again = page(&Password {
        frame: visitor.frame("Change your password"),
        name: visitor.session.name.clone(),
        trouble,
    })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response())
}

async fn list(State(people): State<People>) -> Result<Json<Vec<Account>>, Problem> {
    Ok(Json(people.accounts().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
}

async fn add(
    State(people): State<People>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Problem> {
    if !people::is_name(&wanted.name) {
        return Err(Problem::refused(
            "a name has letters, digits, '.', '-', '_' and '@', at most 64",
        ));
    }
    let once = people.add(&wanted.name, clock::now()).await?;
    let once = once.ok_or_else(|| Problem::refused("there is an account of this name"))?;
    tracing::info!(person.name = wanted.name, "made an account");
    Ok(Json(
        json!({ "name": wanted.name, "password": once.reveal() }),
    ))
}

async fn reset(
    State(people): State<People>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let once = people.reset(&name, clock::now()).await?;
    let once = once.ok_or_else(|| Problem::missing("there is no account of this name"))?;
    tracing::info!(person.name = name, "made a one-time password");
    Ok(Json(json!({ "name": name, "password": once.reveal() })))
}

async fn remove(
    State(people): State<People>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    match people.remove(&name, clock::now()).await? {
        true => Ok(Json(json!({ "removed": name }))),
        false => Err(Problem::missing("there is no account of this name")),
    }
}
