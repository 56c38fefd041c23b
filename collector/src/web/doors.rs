//! The door: signing in and out.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use serde::Deserialize;
use watchward_daemon::clock;

use super::code;
use super::guard::{Guest, SIGN_IN, SIGN_OUT};
use super::page::{self, Frame, Sorry};
use super::pages::Pages;
use super::visitor::Visitor;
use crate::people::{self, Needs, Stranger};

/// The pages.
pub(super) fn pages() -> Pages {
    Pages::new()
        .open_get(SIGN_IN, show)
        .open_post(SIGN_IN, sign_in)
        .post(SIGN_OUT, Needs::Own, sign_out)
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Door {
    frame: Frame,
    next: String,
    name: String,
    trouble: String,
}

/// Where somebody wanted to go.
#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    next: String,
}

async fn show(Query(wish): Query<Wish>) -> page::Answer {
    page::page(&Door {
        frame: Frame::outside("Sign in"),
        next: ours(&wish.next).to_owned(),
        name: String::new(),
        trouble: String::new(),
    })
}

/// What the form says.
#[derive(Deserialize)]
struct Typed {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(Extension(guest): Extension<Guest>, Form(typed): Form<Typed>) -> page::Answer {
    let stranger = Stranger {
        name: typed.name.clone(),
        password: typed.password.into(),
        address: guest.address,
    };
    let next = ours(&typed.next).to_owned();
    let (status, trouble) = match guest.shell.people.sign_in(&stranger, clock::now()).await? {
        people::Answer::In(secret) => {
            let cookie = guest.pass.holding(&secret).to_string();
            return Ok(([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response());
        }
        people::Answer::Code(secret) => {
            let cookie = guest.pass.holding(&secret).to_string();
            let to = code::place(&next);
            return Ok(([(SET_COOKIE, cookie)], Redirect::to(&to)).into_response());
        }
        people::Answer::Wrong => (
            StatusCode::FORBIDDEN,
            "Name and password do not belong together.".to_owned(),
        ),
        people::Answer::Later(wait) => (StatusCode::TOO_MANY_REQUESTS, page::patience(wait)),
    };
    let door = page::page(&Door {
        frame: Frame::outside("Sign in"),
        next,
        name: typed.name,
        trouble,
    })?;
    Ok((status, door).into_response())
}

async fn sign_out(Extension(guest): Extension<Guest>, visitor: Visitor) -> Result<Response, Sorry> {
    let people = visitor.people();
    people
        .sign_out(&visitor.session, visitor.address, visitor.now)
        .await?;
    let cookie = guest.pass.over().to_string();
    Ok(([(SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response())
}

/// The path, if it is one of this site: nobody is sent elsewhere from here.
pub(super) fn ours(next: &str) -> &str {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n', '\t'])
        && next.is_ascii();
    if local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for elsewhere in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(ours(elsewhere), "/", "{elsewhere}");
        }
        assert_eq!(ours("/access?host=a"), "/access?host=a");
    }
}
