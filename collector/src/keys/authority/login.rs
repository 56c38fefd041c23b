//! `POST /login`: `watchward login` signs in for one moment, and takes a certificate away.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use watchward_daemon::clock;

use super::issue::Person;
use super::{Authority, page};
use crate::keys::proof::Offered;
use crate::people::{Answer, People, Session, Stranger};
use crate::web::{Body, Guest, Pages, Problem, patience};

/// The path, which needs nobody who has signed in.
pub fn pages(authority: Authority, people: People) -> Pages {
    let by_browser = page::pages(authority.clone());
    Pages::new()
        .open_post("/login", login)
        .with_state((authority, people))
        .and(by_browser)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    name: String,
    password: String,
    /// From a phone, or one of those that were written down.
    code: Option<String>,
    /// The key that is to be certified, as in a file `.pub`.
    key: String,
}

async fn login(
    State((authority, people)): State<(Authority, People)>,
    Extension(guest): Extension<Guest>,
    Body(typed): Body<Typed>,
) -> Result<Response, Problem> {
    let key = Offered::read(&typed.key).map_err(Problem::refused)?;
    let now = clock::now();
    let session = match enter(&people, &guest, &typed).await? {
        Ok(session) => session,
        Err(answer) => return Ok(answer),
    };
    let person = Person {
        name: &session.name,
        roles: &session.roles,
        address: guest.address(),
        unfinished: unfinished(&session),
    };
    let issued = authority.issue(&person, &key, now).await?;
    people.sign_out(&session, guest.address(), now).await?;
    match issued {
        Ok(issued) => Ok(Json(issued).into_response()),
        Err(why) => Ok(no(StatusCode::FORBIDDEN, &why.to_string())),
    }
}

/// Signs in; or why somebody is not let in.
async fn enter(
    people: &People,
    guest: &Guest,
    typed: &Typed,
) -> Result<Result<Session, Response>, Problem> {
    let (now, address) = (clock::now(), guest.address());
    let stranger = Stranger {
        name: typed.name.clone(),
        password: typed.password.clone().into(),
        address,
    };
    let mut answer = people.sign_in(&stranger, now).await?;
    if let Answer::Code(half) = &answer {
        let Some(code) = &typed.code else {
            let half = people.half(half.reveal(), now).await?;
            if let Some(half) = half
                && !people.takes_codes(&half).await?
            {
                return Ok(Err(no(StatusCode::FORBIDDEN, BY_BROWSER)));
            }
            let said = json!({ "error": "a code is needed too", "needs": "code" });
            return Ok(Err((StatusCode::UNAUTHORIZED, Json(said)).into_response()));
        };
        answer = match people.half(half.reveal(), now).await? {
            Some(half) => people.prove(&half, code, address, now).await?,
            None => Answer::Wrong,
        };
    }
    let wrong = match typed.code {
        Some(_) => "name, password and code do not belong together, or the code was used before",
        None => "name and password do not belong together",
    };
    let session = match answer {
        Answer::In(secret) => people.session(secret.reveal(), now).await?,
        Answer::Later(wait) => {
            let later = patience(wait);
            return Ok(Err(no(StatusCode::TOO_MANY_REQUESTS, &later)));
        }
        Answer::Wrong | Answer::Code(_) => None,
    };
    Ok(session.ok_or_else(|| no(StatusCode::UNAUTHORIZED, wrong)))
}

const BY_BROWSER: &str =
    "your second factor is a security key, which a browser asks for: `watchward login --browser`";

/// What somebody has to do on the page first.
pub(super) fn unfinished(session: &Session) -> Option<&'static str> {
    if session.must_change {
        return Some(
            "this is a one-time password: please sign in to the page first, and choose your own",
        );
    }
    // Also where the page takes a password alone.
    (!session.has_proved())
        .then_some("a second factor is needed: please sign in to the page first, and set one up")
}

fn no(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
