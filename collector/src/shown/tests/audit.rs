//! What people did in all rooms is one list, for those who review it.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST};
use axum::http::{Request, Response, StatusCode};
use tower::ServiceExt;

use super::roles::whole;
use super::*;
use crate::people::Role;
use crate::policy::versions;
use crate::web::testing::{cookie, text};

async fn ask(routes: &Router, path: &str, form: Option<&str>, cookie: &str) -> Response<Body> {
    let asked = Request::builder()
        .method(if form.is_some() { "POST" } else { "GET" })
        .uri(path)
        .header(HOST, "watch.example")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(COOKIE, cookie);
    let body = Body::from(form.unwrap_or_default().to_owned());
    let asked = asked.body(body).unwrap();
    routes.clone().oneshot(asked).await.unwrap()
}

/// What people do: an administrator, somebody on call, and somebody on the collector's host.
async fn act(shown: &Shown, routes: &Router) {
    let boss = cookie(&shown.people, "boss", &Role::Administrator.into()).await;
    let night = cookie(&shown.people, "night", &Role::OnCall.into()).await;
    for (path, form, who) in [
        (
            "/people",
            "name=ada&email=ada%40example.org&operator=on",
            &boss,
        ),
        ("/bans", "net=203.0.113.7&until=1d&reason=guesses", &night),
        (
            "/silences",
            "key=health.down&until=1h&reason=upgrade",
            &night,
        ),
    ] {
        let answer = ask(routes, path, Some(form), who).await;
        let status = answer.status();
        let said = text(answer).await;
        assert!(
            status.is_success() || status.is_redirection(),
            "{path}: {said}"
        );
    }
    let refused = ask(routes, "/people", None, &night).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let refused = ask(routes, "/people", None, &night).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let mut tx = shown.store.begin().await.unwrap();
    let new = versions::New {
        author: "carol (as root)".to_owned(),
        note: "office moved".to_owned(),
        ..versions::New::default()
    };
    versions::add(&mut tx, &new, clock::now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_people_did_anywhere_is_in_one_list_and_filtered() {
    for store in testing::stores(SCHEMAS).await {
        let folder = tempfile::tempdir().unwrap();
        let shown = whole(&store, folder.path()).await;
        let routes = site(&shown, Stop::new());
        let routes = routes.router(&web::Config::default()).unwrap();
        let reader = cookie(&shown.people, "reader", &Role::Security.into()).await;
        act(&shown, &routes).await;
        let page = async |query: &str| {
            let answer = ask(&routes, &format!("/audit{query}"), None, &reader).await;
            assert_eq!(answer.status(), StatusCode::OK);
            text(answer).await
        };
        let all = page("").await;
        for said in [
            "invited ada",
            "operator ada@example.org",
            "banned 203.0.113.7",
            "guesses",
            "silenced health.down",
            "upgrade",
            "brought the policy version 1",
            "office moved",
        ] {
            assert!(all.contains(said), "no word of {said}: {all}");
        }
        assert_eq!(all.matches("<span>refused </span>").count(), 1, "{all}");
        let own = page("?who=night").await;
        assert!(
            own.contains("banned 203") && own.contains("silenced"),
            "{own}"
        );
        assert!(
            !own.contains("invited ada") && !own.contains("office moved"),
            "{own}"
        );
        let carol = page("?who=carol").await;
        assert!(carol.contains("office moved"), "{carol}");
        assert!(!carol.contains("banned 203"), "{carol}");
        let bans = page("?kind=ban&since=1h").await;
        assert!(
            bans.contains("banned 203") && !bans.contains("upgrade"),
            "{bans}"
        );
        assert!(page("?since=soon").await.contains("expected a moment"));
    }
}
