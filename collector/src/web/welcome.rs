//! Where the link of an invitation leads: whoever has it chooses their own password.

use askama::Template;
use axum::extract::Query;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use axum::{Extension, Form};
use serde::Deserialize;
use watchward_daemon::clock;
use watchward_daemon::secret::Secret;

use super::guard::Guest;
use super::page::{self, Frame};
use super::pages::Pages;
use crate::people::Welcome;

/// Where the link leads.
const WELCOME: &str = "/welcome";

/// The pages. They need the link, and nobody who has signed in.
pub(super) fn pages() -> Pages {
    Pages::new()
        .open_get(WELCOME, show)
        .open_post(WELCOME, choose)
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct Choose {
    frame: Frame,
    /// Whose account it is; `None` if the link is over.
    name: Option<String>,
    trouble: String,
}

impl Choose {
    fn page(name: Option<String>, trouble: String) -> page::Answer {
        page::page(&Self {
            frame: Frame::outside("Welcome"),
            name,
            trouble,
        })
    }
}

#[derive(Deserialize)]
struct Carried {
    token: Option<String>,
}

/// Looking uses nothing up: what reads emails for viruses follows links too. The token goes into a
/// cookie, so that neither history nor another page's log has it.
async fn show(
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Query(carried): Query<Carried>,
) -> page::Answer {
    if let Some(token) = carried.token.map(Secret::from) {
        let cookie = guest.pass.inviting(&token).to_string();
        return Ok(([(SET_COOKIE, cookie)], Redirect::to(WELCOME)).into_response());
    }
    let Some(token) = guest.pass.invited(&headers) else {
        return over();
    };
    let people = &guest.shell.people;
    let found = people.invited(token.reveal(), guest.address, clock::now());
    match found.await? {
        Ok(Some(name)) => Choose::page(Some(name), String::new()),
        Ok(None) => over(),
        Err(wait) => {
            let page = Choose::page(None, page::patience(wait))?;
            Ok((StatusCode::TOO_MANY_REQUESTS, page).into_response())
        }
    }
}

fn over() -> page::Answer {
    Ok((StatusCode::GONE, Choose::page(None, String::new())?).into_response())
}

#[derive(Deserialize)]
struct Typed {
    name: String,
    new: String,
    again: String,
}

async fn choose(
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> page::Answer {
    let Some(token) = guest.pass.invited(&headers) else {
        return over();
    };
    let refused = |status: StatusCode, trouble: String| {
        let again = Choose::page(Some(typed.name.clone()), trouble)?;
        Ok((status, again).into_response())
    };
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    if typed.new != typed.again {
        return refused(unfit, "The password was typed in two ways.".to_owned());
    }
    let new = Secret::from(typed.new.clone());
    let people = &guest.shell.people;
    let accepted = people.accept((token.reveal(), &new), guest.address, clock::now());
    match accepted.await? {
        Welcome::In(secret) => {
            let cookies = [guest.pass.holding(&secret), guest.pass.uninviting()];
            let set = cookies.map(|cookie| (SET_COOKIE, cookie.to_string()));
            Ok((AppendHeaders(set), Redirect::to("/")).into_response())
        }
        Welcome::Over => over(),
        Welcome::Weak(weakness) => refused(unfit, weakness.to_string()),
        Welcome::Later(wait) => refused(StatusCode::TOO_MANY_REQUESTS, page::patience(wait)),
    }
}
