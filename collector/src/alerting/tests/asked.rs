//! What the operator's command asks, and what it is told when that makes no sense.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::alerting::{routes, silences};

async fn answer(routes: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let answer = routes.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn ask(routes: &Router, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    answer(routes, request).await
}

async fn tell(routes: &Router, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    answer(routes, request).await
}

fn knowing_db_3() -> Rules {
    Rules::default().knowing(|_, name| Box::pin(async move { Ok(name == "db-3") }))
}

#[tokio::test]
async fn incidents_are_those_of_a_host_and_open_if_so_asked() {
    for fresh in stores().await {
        let life = Life::begin(&fresh, Config::default()).await;
        let other = Alert {
            key: "access.brute-force 203.0.113.8".to_owned(),
            host: Some("web-1".to_owned()),
            ..brute_force(Severity::Critical)
        };
        life.raise(&brute_force(Severity::Critical)).await;
        life.raise(&other).await;
        life.resolve(&other).await;
        let routes = routes(life.store.clone(), knowing_db_3());
        for (query, hosts) in [
            ("", vec!["web-1", "db-3"]),
            ("?state=open", vec!["db-3"]),
            ("?host=web-1", vec!["web-1"]),
            ("?host=web-1&state=open", vec![]),
            ("?host=db-3&state=open&limit=5", vec!["db-3"]),
        ] {
            let (_, found) = ask(&routes, &format!("/v1/incidents{query}")).await;
            let found = found["incidents"].as_array().unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|one| one["host"].as_str().unwrap())
                .collect();
            assert_eq!(found, hosts, "{query}");
        }
        let (status, why) = ask(&routes, "/v1/incidents?state=shut").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            why["error"],
            "the parameter `state`: unknown variant `shut`, expected `open` or `all`"
        );
    }
}

#[tokio::test]
async fn of_many_incidents_it_is_said_how_many_more_there_are() {
    for fresh in stores().await {
        let life = Life::begin(&fresh, Config::default()).await;
        for number in 0..103 {
            let alert = Alert {
                key: format!("access.brute-force 203.0.113.{number}"),
                ..brute_force(Severity::Critical)
            };
            life.raise(&alert).await;
        }
        let routes = routes(life.store.clone(), knowing_db_3());
        for (query, listed, more) in [
            ("", 100, 3),
            ("?state=open", 103, 0),
            ("?state=open&limit=20", 20, 83),
            ("?limit=103", 103, 0),
            ("?host=web-1", 0, 0),
        ] {
            let (_, found) = ask(&routes, &format!("/v1/incidents{query}")).await;
            let count = found["incidents"].as_array().unwrap().len();
            assert_eq!((count, &found["more"]), (listed, &json!(more)), "{query}");
        }
    }
}

#[tokio::test]
async fn a_host_that_nobody_has_is_not_silenced() {
    for fresh in stores().await {
        let life = Life::begin(&fresh, Config::default()).await;
        let routes = routes(life.store.clone(), knowing_db_3());
        let body = |host| json!({"host": host, "for": "2h", "reason": "test"});
        let (status, why) = tell(&routes, "/v1/silences", body("nope")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let why = why["error"].as_str().unwrap();
        assert!(why.starts_with("no host is called nope"), "{why}");
        assert!(silences(&life.store).await.unwrap().is_empty());
        let (status, _) = tell(&routes, "/v1/silences", body("db-3")).await;
        assert_eq!(status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_incident_is_acknowledged_once_and_only_while_it_is_open() {
    for fresh in stores().await {
        let life = Life::begin(&fresh, Config::default()).await;
        life.raise(&brute_force(Severity::Critical)).await;
        let routes = routes(life.store.clone(), knowing_db_3());
        let first = async || ask(&routes, "/v1/incidents").await.1["incidents"][0].clone();
        let code = first().await["id"].as_str().unwrap().to_lowercase();
        let path = format!("/v1/incidents/{code}/ack");
        let (status, _) = tell(&routes, &path, json!({"note": "on it\u{1b}"})).await;
        assert_eq!(status, StatusCode::OK);
        let taken = first().await["acknowledged"].clone();
        assert_eq!(
            (&taken["by"], &taken["note"]),
            (&json!("unknown"), &json!("on it\\u{1b}"))
        );
        let (_, whole) = ask(&routes, &format!("/v1/incidents/{code}")).await;
        let history = whole["incidents"][0]["history"].clone();
        assert_eq!(history[1]["event"], "acknowledged");
        assert_eq!(history[1]["detail"], "by unknown: on it\\u{1b}");
        let (status, why) = tell(&routes, &path, json!({})).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(
            why["error"].as_str().unwrap().contains("by unknown: on it"),
            "{why}"
        );
        life.resolve(&brute_force(Severity::Critical)).await;
        let (status, _) = tell(&routes, &path, json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}
