//! Accounts: one's own password, who else has one and with which roles and how they prove who they are.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect};
use axum::{Extension, Form};
use serde::Deserialize;
use watchward_daemon::secret::Secret;

use super::guard::{Guest, PASSWORD};
use super::page::{self, Frame, page, see};
use super::pages::Pages;
use super::visitor::Visitor;
use crate::people::{Account, Change, Email, Invited, Needs, Newcomer, People, Role, Roles, Unfit};

/// The pages.
pub(super) fn pages(people: People) -> Pages {
    Pages::new()
        .get("/people", Needs::Audit, everybody)
        .post("/people", Needs::People, invite)
        .post("/people/{name}/reset", Needs::People, reset)
        .post("/people/{name}/roles", Needs::People, give_roles)
        .post("/people/{name}/remove", Needs::People, dismiss)
        .get(PASSWORD, Needs::Own, password)
        .post(PASSWORD, Needs::Own, change)
        .entry("/people", "People")
        .with_state(people)
}

#[derive(Template)]
#[template(path = "people.html")]
struct Everybody {
    frame: Frame,
    trouble: String,
    said: Option<Said>,
    typed: Typed,
    accounts: Vec<Account>,
}

/// What has been done about somebody's link, which is never shown here.
struct Said {
    name: String,
    way: String,
}

impl Said {
    fn of(name: &str, invited: Invited) -> Self {
        let way = match invited {
            Invited::ByEmail(email) => format!("is on its way to {email}"),
            Invited::InFile(file) => {
                let place = file.display();
                format!("is in {place}, because no server sends emails yet")
            }
            Invited::ByHand(_) => {
                "is shown only by `watchward people reset` on the collector's machine".to_owned()
            }
        };
        let name = name.to_owned();
        Self { name, way }
    }
}

/// The fields of the form for somebody new.
#[derive(Clone, Debug, Default)]
struct Typed {
    name: String,
    email: String,
    roles: Roles,
}

impl Typed {
    fn of(form: &HashMap<String, String>) -> Self {
        let field = |name| form.get(name).map(|text| text.trim().to_owned());
        Self {
            name: field("name").unwrap_or_default(),
            email: field("email").unwrap_or_default(),
            roles: ticked(form),
        }
    }
}

/// The roles that are ticked.
fn ticked(form: &HashMap<String, String>) -> Roles {
    let roles = Role::ALL.into_iter();
    roles.filter(|it| form.contains_key(it.word())).collect()
}

async fn everybody(State(people): State<People>, visitor: Visitor) -> page::Answer {
    show(&people, &visitor, Ok(None), Typed::default()).await
}

/// The list, with what was done or why it was not.
async fn show(
    people: &People,
    visitor: &Visitor,
    done: Result<Option<Said>, Unfit>,
    typed: Typed,
) -> page::Answer {
    let status = match &done {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let (said, trouble) = match done {
        Ok(said) => (said, String::new()),
        Err(unfit) => (None, unfit.to_string()),
    };
    let shown = page(&Everybody {
        frame: visitor.frame("People"),
        trouble,
        said,
        typed,
        accounts: people.accounts().await?,
    })?;
    Ok((status, shown).into_response())
}

async fn invite(
    State(people): State<People>,
    visitor: Visitor,
    Form(form): Form<HashMap<String, String>>,
) -> page::Answer {
    let typed = Typed::of(&form);
    // Without an address the link would be shown to whoever invites: that is for the command.
    let Some(email) = Email::of(&typed.email) else {
        return show(&people, &visitor, Err(Unfit::Email), typed).await;
    };
    let new = Newcomer {
        name: typed.name.clone(),
        email: Some(email),
        roles: typed.roles.clone(),
    };
    match people.invite(&new, &visitor.author(), visitor.now).await? {
        Err(unfit) => show(&people, &visitor, Err(unfit), typed).await,
        Ok(invited) => {
            let said = Some(Said::of(&new.name, invited));
            show(&people, &visitor, Ok(said), Typed::default()).await
        }
    }
}

async fn reset(
    State(people): State<People>,
    Path(name): Path<String>,
    visitor: Visitor,
) -> page::Answer {
    let by = visitor.author();
    let done = people.reset_by_letter(&name, &by, visitor.now).await?;
    let done = done.map(|invited| Some(Said::of(&name, invited)));
    show(&people, &visitor, done, Typed::default()).await
}

/// The list again: what was wanted is done, or why it is not stands above it.
async fn again(people: &People, visitor: &Visitor, done: Result<(), Unfit>) -> page::Answer {
    match done {
        Ok(()) => see("/people"),
        Err(unfit) => show(people, visitor, Err(unfit), Typed::default()).await,
    }
}

async fn give_roles(
    State(people): State<People>,
    Path(name): Path<String>,
    visitor: Visitor,
    Form(form): Form<HashMap<String, String>>,
) -> page::Answer {
    let roles = ticked(&form);
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
struct Chosen {
    /// Not asked for where it was for once.
    old: Option<String>,
    new: String,
    again: String,
}

async fn change(
    Extension(guest): Extension<Guest>,
    visitor: Visitor,
    Form(typed): Form<Chosen>,
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
            Change::Later(wait) => page::patience(wait),
        }
    };
    let again = page(&Password {
        frame: visitor.frame("Change your password"),
        name: visitor.session.name.clone(),
        trouble,
    })?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, again).into_response())
}
