//! Accounts: one's own password, who else has one and with which roles, and what happened at the door.

use std::collections::HashMap;

use askama::Template;
use axum::extract::connect_info::ConnectInfo;
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

use super::admin::Caller;
use super::guard::{Guest, PASSWORD};
use super::page::{self, Frame, page, see};
use super::pages::Pages;
use super::problem::Problem;
use super::visitor::Visitor;
use crate::people::{Account, Author, Change, Happened, Needs, People, Role, Roles, Unfit};

/// How much of what happened is shown.
const LINES: i64 = 200;

/// The pages.
pub(super) fn pages(people: People) -> Pages {
    Pages::new()
        .get("/people", Needs::Audit, everybody)
        .post("/people/{name}/roles", Needs::People, give_roles)
        .post("/people/{name}/remove", Needs::People, dismiss)
        .get(PASSWORD, Needs::Own, password)
        .post(PASSWORD, Needs::Own, change)
        .entry("/people", "People")
        .with_state(people)
}

/// `GET` and `POST /v1/people`, `POST /v1/people/{name}/reset`, `.../roles` and `.../remove`:
/// accounts for the operator's command.
pub fn routes(people: People) -> Router {
    Router::new()
        .route("/v1/people", get(list).post(add))
        .route("/v1/people/{name}/reset", post(reset))
        .route("/v1/people/{name}/roles", post(set_roles))
        .route("/v1/people/{name}/remove", post(remove))
        .with_state(people)
}

#[derive(Template)]
#[template(path = "people.html")]
struct Everybody {
    frame: Frame,
    trouble: String,
    accounts: Vec<Account>,
    happened: Vec<Happened>,
}

async fn everybody(State(people): State<People>, visitor: Visitor) -> page::Answer {
    show(&people, &visitor, String::new()).await
}

async fn show(people: &People, visitor: &Visitor, trouble: String) -> page::Answer {
    page(&Everybody {
        frame: visitor.frame("People"),
        trouble,
        accounts: people.accounts().await?,
        happened: people.happened(LINES).await?,
    })
}

/// The list again: what was wanted is done, or why it is not stands above it.
async fn again(people: &People, visitor: &Visitor, done: Result<(), Unfit>) -> page::Answer {
    let Err(unfit) = done else {
        return see("/people");
    };
    let shown = show(people, visitor, unfit.to_string()).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
}

async fn give_roles(
    State(people): State<People>,
    Path(name): Path<String>,
    visitor: Visitor,
    Form(ticked): Form<HashMap<String, String>>,
) -> page::Answer {
    let roles = Role::ALL.into_iter();
    let roles: Roles = roles.filter(|it| ticked.contains_key(it.word())).collect();
    let by = visitor.author();
    let done = people.set_roles((&name, &roles), &by, visitor.now).await?;
    again(&people, &visitor, done).await
}

async fn dismiss(
    State(people): State<People>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> page::Answer {
    let done = people.remove(&name, &visitor.author(), visitor.now).await?;
    again(&people, &visitor, done).await
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

type Who = Option<Extension<ConnectInfo<Caller>>>;

/// Who asks by the command.
fn author(who: Who, claimed: Option<String>) -> Author {
    let caller = who.map(|Extension(ConnectInfo(caller))| caller);
    let name = caller.map_or_else(|| "unknown".to_owned(), |it| it.for_whom(claimed));
    Author {
        name,
        address: None,
    }
}

fn problem(unfit: Unfit) -> Problem {
    match unfit {
        Unfit::Missing => Problem::missing(unfit.to_string()),
        Unfit::Name | Unfit::Taken | Unfit::NoRole | Unfit::LastAdministrator => {
            Problem::refused(unfit.to_string())
        }
    }
}

async fn list(State(people): State<People>) -> Result<Json<Vec<Account>>, Problem> {
    Ok(Json(people.accounts().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    roles: Vec<Role>,
    author: Option<String>,
}

async fn add(
    State(people): State<People>,
    who: Who,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Value>, Problem> {
    let roles: Roles = wanted.roles.into_iter().collect();
    let by = author(who, wanted.author);
    let added = people.add((&wanted.name, &roles), &by, clock::now());
    let once = added.await?.map_err(problem)?;
    tracing::info!(person.name = wanted.name, by = by.name, "made an account");
    Ok(Json(
        json!({ "name": wanted.name, "password": once.reveal() }),
    ))
}

/// Who asks, of what needs no more.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    roles: Vec<Role>,
    author: Option<String>,
}

async fn reset(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, Problem> {
    let by = author(who, asked.author);
    let done = people.reset(&name, &by, clock::now());
    let once = done.await?.map_err(problem)?;
    tracing::info!(person.name = name, by = by.name, "made a one-time password");
    Ok(Json(json!({ "name": name, "password": once.reveal() })))
}

async fn set_roles(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, Problem> {
    let roles: Roles = asked.roles.into_iter().collect();
    let by = author(who, asked.author);
    let done = people.set_roles((&name, &roles), &by, clock::now());
    done.await?.map_err(problem)?;
    Ok(Json(json!({ "name": name, "roles": roles })))
}

async fn remove(
    State(people): State<People>,
    Path(name): Path<String>,
    who: Who,
    Json(asked): Json<Asked>,
) -> Result<Json<Value>, Problem> {
    let by = author(who, asked.author);
    let done = people.remove(&name, &by, clock::now());
    done.await?.map_err(problem)?;
    Ok(Json(json!({ "removed": name })))
}
