//! The second step of signing in: a code from a phone, one of those that were written down, or a security key.

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
    Pages::new()
        .open_get(CODE, show)
        .open_post(CODE, prove)
        .open_post("/sign-in/key", touch)
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
    /// What the browser asks a security key.
    question: Option<String>,
}

impl Code {
    async fn page(guest: &Guest, half: &Session, next: &str, trouble: String) -> page::Answer {
        page::page(&Self {
            frame: Frame::outside("Sign in"),
            next: ours(next).to_owned(),
            trouble,
            question: guest.shell.people.ask_key(half).await?,
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

#[derive(Deserialize)]
struct Touched {
    #[serde(default)]
    answer: String,
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
    match half(&guest, &headers).await? {
        Some(half) => Code::page(&guest, &half, &typed.next, String::new()).await,
        None => see(SIGN_IN),
    }
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
    let wrong = "That is not the code of this moment, or it was used before.";
    let proved = (proved.await?, wrong);
    go_on(&guest, &half, &typed.next, proved).await
}

async fn touch(
    Extension(guest): Extension<Guest>,
    headers: HeaderMap,
    Form(touched): Form<Touched>,
) -> page::Answer {
    let Some(half) = half(&guest, &headers).await? else {
        return see(SIGN_IN);
    };
    let people = &guest.shell.people;
    let proved = people.prove_by_key(&half, &touched.answer, guest.address, clock::now());
    let wrong = "That key does not do, or it took too long: please try again.";
    let proved = (proved.await?, wrong);
    go_on(&guest, &half, &touched.next, proved).await
}

/// To the page that was wanted, or here again.
async fn go_on(
    guest: &Guest,
    half: &Session,
    next: &str,
    (proved, wrong): (Answer, &str),
) -> page::Answer {
    let (status, trouble) = match proved {
        Answer::In(secret) => {
            let cookie = guest.pass.holding(&secret).to_string();
            let to = Redirect::to(ours(next));
            return Ok(([(SET_COOKIE, cookie)], to).into_response());
        }
        Answer::Later(wait) => (StatusCode::TOO_MANY_REQUESTS, page::patience(wait)),
        Answer::Wrong | Answer::Code(_) => (StatusCode::FORBIDDEN, wrong.to_owned()),
    };
    let again = Code::page(guest, half, next, trouble).await?;
    Ok((status, again).into_response())
}
