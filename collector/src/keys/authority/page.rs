//! `watchward login --browser`: somebody signs in on the page, as they do there, and takes the
//! certificate to their terminal. It is worth nothing without the key, which is there.

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::Authority;
use super::issue::{Issued, Person};
use super::login::unfinished;
use crate::keys::proof::Offered;
use crate::people::Needs;
use crate::web::{Answer, Frame, Pages, Visitor, page};

/// The page. Whoever may sign in may ask; the policy says who is given one.
pub(super) fn pages(authority: Authority) -> Pages {
    Pages::new()
        .get("/certificate", Needs::Own, show)
        .post("/certificate", Needs::Own, give)
        .with_state(authority)
}

#[derive(Template)]
#[template(path = "keys/certificate.html")]
struct Login {
    frame: Frame,
    trouble: String,
    /// The key that waits on a terminal, and its fingerprint.
    waiting: Option<(String, String)>,
    given: Option<(Issued, String)>,
}

impl Login {
    fn of(visitor: &Visitor) -> Self {
        Self {
            frame: visitor.frame("Certificate"),
            trouble: String::new(),
            waiting: None,
            given: None,
        }
    }

    /// With why nothing is given.
    fn refused(self, trouble: impl Into<String>) -> Answer {
        let page = page(&Self {
            trouble: trouble.into(),
            ..self
        })?;
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    }
}

#[derive(Deserialize)]
struct Asked {
    /// The key that is to be certified, as in a file `.pub`.
    #[serde(default)]
    key: String,
}

const NO_KEY: &str = "No key is waiting here: `watchward login --browser` says where to go.";
const STALE: &str = "You signed in too long ago: please sign out, and open what `watchward login --browser` says again.";

async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Answer {
    let mut shown = Login::of(&visitor);
    let offered = Offered::read(&asked.key).ok();
    let Some(fingerprint) = offered.and_then(|it| it.fingerprint) else {
        return shown.refused(NO_KEY);
    };
    if !visitor.session.is_fresh(visitor.now) {
        return shown.refused(STALE);
    }
    shown.waiting = Some((asked.key, fingerprint));
    page(&shown)
}

async fn give(
    State(authority): State<Authority>,
    visitor: Visitor,
    Form(asked): Form<Asked>,
) -> Answer {
    let mut shown = Login::of(&visitor);
    let Ok(key) = Offered::read(&asked.key) else {
        return shown.refused(NO_KEY);
    };
    let session = &visitor.session;
    let stale = (!session.is_fresh(visitor.now)).then_some(STALE);
    let person = Person {
        name: &session.name,
        roles: &session.roles,
        address: visitor.address,
        unfinished: unfinished(session).or(stale),
    };
    match authority.issue(&person, &key, visitor.now).await? {
        Ok(issued) => {
            let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&issued)?);
            shown.given = Some((issued, text));
            page(&shown)
        }
        Err(why) => shown.refused(why.to_string()),
    }
}
