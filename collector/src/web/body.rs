//! What stands in the body of a request of the operator's command, or a sentence about what is wrong
//! with it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use watchward_protocol::text::Foreign;

use super::Problem;

/// The body of a request, in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::refused(sentence(&rejection))),
        }
    }
}

/// Which field is wrong, and what would be right.
fn sentence(rejection: &JsonRejection) -> String {
    let text = rejection.body_text();
    // Axum says first what it was doing, and serde at last where in a text that nobody typed.
    let what = text.split_once(" the target type: ").map(|(_, what)| what);
    let what = what.unwrap_or(&text);
    let what = what.split_once(" at line ").map_or(what, |(what, _)| what);
    let (name, wrong) = what.split_once(": ").unwrap_or(("", what));
    let wrong = Foreign::from(wrong).to_string();
    match name {
        "" | "." => wrong,
        name => format!("{}: {wrong}", Foreign::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;
    use serde::Deserialize;

    use super::*;
    use crate::asked::{Addresses, Moment};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read to be refused")]
    struct Asked {
        net: Addresses,
        until: Moment,
    }

    #[tokio::test]
    async fn what_would_be_right_is_said_without_json() {
        for (body, expected) in [
            (
                r#"{"net":"home","until":"1d"}"#,
                "net: expected an address such as 192.0.2.7, or a network such as 10.0.0.0/8",
            ),
            (
                r#"{"net":"192.0.2.7","until":"soon"}"#,
                "until: expected a moment such as 2026-11-21T03:04:05Z, a day such as 2026-11-21, \
                 or a span such as 24h",
            ),
            (r#"{"net":"192.0.2.7"}"#, "missing field `until`"),
        ] {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json");
            let request = request.body(body.into()).unwrap();
            let rejection = Json::<Asked>::from_request(request, &()).await.unwrap_err();
            assert_eq!(sentence(&rejection), expected, "{body}");
        }
    }
}
