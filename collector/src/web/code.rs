//! The second step of signing in: a code from a phone, or one of those that were written down.

use askama::Template;
use axum::extract::Query;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::{Extension, Form};
use serde::Deserialize;
use url::form_urlencoded::Serializer;
use watchward_daemon::clock;

use super::doors::ours;
use super::guard::{Guest, SIGN_IN};
use super::page::{self, Frame, see};
use super::pages::Pages;
use crate::people::{Answer, Session};

/// Where the code is asked for.
const CODE: &str = "/sign-in/code";

/// The pages. They need the password's half of a session, and nobody who has signed in.
pub(super) fn pages() -> Pages {
    Pages::new().open_get(CODE, show).open_post(CODE, prove)
}

/// Where the code is asked for, on the way to that page.
pub(super) fn place(next: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("next", next);
    format!("{CODE}?{}", query.finish())
}

#[derive(Template)]
#[template(path = "code.html")]
struct Code {
    frame: Frame,
    next: String,
    trouble: String,
}

impl Code {
    fn page(next: &str, trouble: String) -> page::Answer {
        page::page(&Self {
            frame: Frame::outside("Sign in"),
            next: ours(next).to_owned(),
            trouble,
        })
    }
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// Who has given the password a moment ago.
async fn half(guest: &Guest, headers: &HeaderMap) -> sqlx::Result<Option<Session>> {
    match guest.pass.held(headers) {
        Some(secret) => guest.shell.people.half(secret.reveal(), clock::now()).await,
        None => Ok(None),
    }
}

async fn show(
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Query(typed): Query<Typed>,
) -> page::Answer {
    if half(&guest, &headers).await?.is_none() {
        return see(SIGN_IN);
    }
    Code::page(&typed.next, String::new())
}

async fn prove(
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> page::Answer {
    let Some(half) = half(&guest, &headers).await? else {
        return see(SIGN_IN);
    };
    let people = &guest.shell.people;
    let proved = people.prove(&half, &typed.code, guest.address, clock::now());
    let (status, trouble) = match proved.await? {
        Answer::In(secret) => {
            let cookie = guest.pass.holding(&secret).to_string();
            let to = Redirect::to(ours(&typed.next));
            return Ok(([(SET_COOKIE, cookie)], to).into_response());
        }
        Answer::Later(wait) => (StatusCode::TOO_MANY_REQUESTS, page::patience(wait)),
        Answer::Wrong | Answer::Code(_) => {
            let text = "That is not the code of this moment, or it was used before.";
            (StatusCode::FORBIDDEN, text.to_owned())
        }
    };
    let again = Code::page(&typed.next, trouble)?;
    Ok((status, again).into_response())
}
