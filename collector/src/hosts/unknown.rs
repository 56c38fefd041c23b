//! A host that nobody knows is no host about which there is nothing to say: whoever asks mistyped its name.

use axum::extract::{Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use watchward_protocol::text::Foreign;

use super::rows;
use crate::store::Store;
use crate::web::Problem;

/// The part of a question that names a host.
#[derive(Deserialize)]
struct Asked {
    host: Option<String>,
}

/// Answers only what is asked of a host that there is, or was.
pub async fn known_host(State(store): State<Store>, request: Request, next: Next) -> Response {
    let asked = Query::<Asked>::try_from_uri(request.uri()).ok();
    let Some(host) = asked.and_then(|Query(asked)| asked.host) else {
        return next.run(request).await;
    };
    match unknown(&store, &host).await {
        Ok(None) => next.run(request).await,
        Ok(Some(why)) => Problem::missing(why).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// What is said of a name that no host has or had, with the nearest that one has.
///
/// # Errors
/// The database's.
pub(super) async fn unknown(store: &Store, name: &str) -> sqlx::Result<Option<String>> {
    let all = rows::every_name(store).await?;
    if all.iter().any(|one| one == name) {
        return Ok(None);
    }
    let shown = Foreign::from(name).shortened(100);
    Ok(Some(match nearest(name, &all) {
        Some(near) => format!("there is no host {shown}: did you mean {near}?"),
        None => format!("there is no host {shown}; `watchward hosts` names them"),
    }))
}

/// The name that takes the fewest changes of one character, if they are few.
fn nearest<'a>(name: &str, all: &'a [String]) -> Option<&'a str> {
    let most = name.chars().count().div_ceil(3).min(4);
    let near = all.iter().map(|one| (changes(name, one), one.as_str()));
    let (count, near) = near.min()?;
    (count <= most).then_some(near)
}

/// How many characters have to be put in, left out or exchanged; case does not matter.
fn changes(from: &str, to: &str) -> usize {
    let lower = |text: &str| {
        text.chars()
            .take(100)
            .flat_map(char::to_lowercase)
            .collect()
    };
    let (from, to): (Vec<char>, Vec<char>) = (lower(from), lower(to));
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, mine) in from.iter().enumerate() {
        let (mut before, mut left) = (line, line + 1);
        for (theirs, place) in to.iter().zip(row.iter_mut().skip(1)) {
            let above = *place;
            let exchanged = before + usize::from(mine != theirs);
            *place = exchanged.min(above + 1).min(left + 1);
            (before, left) = (above, *place);
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::hosts::SCHEMA;
    use crate::store::testing;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        for (from, to, count) in [
            ("", "", 0),
            ("web-1", "web-1", 0),
            ("web1", "web-1", 1),
            ("wbe-1", "web-1", 2),
            ("WEB-1", "web-1", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((changes(from, to), changes(to, from)), (count, count));
        }
        let all = ["db-1", "web-1", "web-10"].map(str::to_owned);
        assert_eq!(nearest("web1", &all), Some("web-1"));
        assert_eq!(nearest("Web-1", &all), Some("web-1"));
        assert_eq!(nearest("mail", &all), None);
        assert_eq!(nearest("mail", &[]), None);
    }

    #[tokio::test]
    async fn of_a_host_that_nobody_knows_nothing_is_answered() {
        for store in testing::stores(&[SCHEMA, crate::alerting::SCHEMA]).await {
            let add = "INSERT INTO host (id, name, enrolled_at, version, system, seen_at, deadline, \
                silent, certificate_expires, revoked_at) VALUES ($1, $2, 0, '', '', 0, 0, 0, 0, $3)";
            for (id, name, revoked) in [("1", "web-1", None), ("2", "old-1", Some(5_i64))] {
                let add = sqlx::query(add).bind(id).bind(name).bind(revoked);
                add.execute(store.read()).await.unwrap();
            }
            let routes = Router::new()
                .route("/v1/health", get(async || "[]"))
                .layer(from_fn_with_state(store.clone(), known_host));
            let ask = async |query: &str| {
                let request = Request::get(format!("/v1/health{query}"));
                let request = request.body(Body::empty()).unwrap();
                let answer = routes.clone().oneshot(request).await.unwrap();
                let status = answer.status();
                (status, crate::web::testing::text(answer).await)
            };
            for known in ["", "?state=down", "?host=web-1", "?host=old-1&state=down"] {
                assert_eq!(ask(known).await, (StatusCode::OK, "[]".to_owned()));
            }
            let (status, said) = ask("?state=up&host=web1").await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert!(said.contains("no host web1: did you mean web-1?"), "{said}");
            let (_, said) = ask("?host=%1b%5B2J").await;
            assert!(
                !said.contains('\u{1b}') && said.contains("watchward hosts"),
                "{said}"
            );
        }
    }
}
