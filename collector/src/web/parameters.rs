//! What stands behind the `?` of a request of the operator's command, or a sentence about what is
//! wrong with it.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use watchward_protocol::text::Foreign;

use super::Problem;

/// The parameters of a request.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::refused(sentence(&rejection))),
        }
    }
}

/// Which parameter is wrong, and what would be right.
fn sentence(rejection: &QueryRejection) -> String {
    let text = rejection.body_text();
    // Axum says first what it was doing.
    let what = text.strip_prefix("Failed to deserialize query string: ");
    let what = what.unwrap_or(&text);
    let (name, wrong) = what.split_once(": ").unwrap_or(("", what));
    let wrong = Foreign::from(wrong).to_string();
    if let Some(known) = wrong.strip_prefix("unknown field ") {
        return format!("there is no parameter {known}");
    }
    if let Some(missing) = wrong.strip_prefix("missing field ") {
        return format!("the parameter {missing} is missing");
    }
    match name {
        "" | "." | "?" => wrong,
        name => format!("the parameter `{}`: {wrong}", Foreign::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use serde::Deserialize;

    use super::*;
    use crate::asked::Addresses;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read to be refused")]
    struct Asked {
        severity: Severity,
        limit: Option<u32>,
        address: Option<Addresses>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Severity {
        Warning,
        Critical,
    }

    #[test]
    fn the_parameter_is_named_and_what_would_be_right() {
        for (query, expected) in [
            (
                "severity=bad",
                "the parameter `severity`: unknown variant `bad`, expected `warning` or `critical`",
            ),
            (
                "severity=warning&limit=x",
                "the parameter `limit`: invalid digit found in string",
            ),
            (
                "severity=critical&address=home",
                "the parameter `address`: expected an address such as 192.0.2.7, or a network \
                 such as 10.0.0.0/8",
            ),
            (
                "severity=warning&hots=web-1",
                "there is no parameter `hots`, expected one of `severity`, `limit`, `address`",
            ),
            ("limit=1", "the parameter `severity` is missing"),
        ] {
            let uri: Uri = format!("/v1/incidents?{query}").parse().unwrap();
            let rejection = Query::<Asked>::try_from_uri(&uri).unwrap_err();
            assert_eq!(sentence(&rejection), expected, "{query}");
        }
    }
}
