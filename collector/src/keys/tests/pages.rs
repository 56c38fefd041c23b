//! The pages, as a browser asks for them.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{COOKIE, LOCATION};
use axum::http::{Request, Response, StatusCode};
use futures_util::future::BoxFuture;
use tower::ServiceExt;

use super::*;
use crate::intake::Watched;
use crate::people::{self, People, Role};
use crate::web::{self, Site};

/// There are no hosts.
pub(super) fn nobody(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async { Ok(Vec::new()) })
}

/// There is one.
fn one(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    let watched = Watched {
        host: host(1),
        is_silent: false,
    };
    Box::pin(async { Ok(vec![watched]) })
}

/// A browser in which somebody has signed in.
struct Browser {
    routes: Router,
    cookie: String,
}

impl Browser {
    async fn open(store: &Store) -> Self {
        let people = People::new(store.clone(), Live::fixed(people::testing::one_factor()));
        let cookie = web::testing::cookie(&people, "ada", &Role::Security.into()).await;
        let policy = Live::fixed(Policy::default());
        let site = Site::new(people);
        let desk = Desk::of(store, one, Policy::default()).await;
        let site = site.with(pages(store.clone(), policy, (desk, Bell::default())));
        let routes = site.router(&web::Config::default()).unwrap();
        Self { routes, cookie }
    }

    async fn ask(&self, path: &str, form: Option<&str>) -> Response<Body> {
        let asked = Request::builder().uri(path).header("host", "watch.example");
        let asked = asked.header(COOKIE, &self.cookie);
        let asked = match form {
            Some(_) => asked
                .method("POST")
                .header("content-type", "application/x-www-form-urlencoded"),
            None => asked,
        };
        let body = Body::from(form.unwrap_or_default().to_owned());
        self.routes
            .clone()
            .oneshot(asked.body(body).unwrap())
            .await
            .unwrap()
    }

    async fn read(&self, path: &str) -> String {
        let answer = self.ask(path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn a_key_is_found_opened_and_said_to_be_right() {
    for store in testing::stores(&[SCHEMA, alerting::SCHEMA, people::SCHEMA]).await {
        begin(&store).await;
        let mut new = key('b');
        new.key.as_mut().unwrap().fingerprint = format!("SHA256:+/{}", "b".repeat(41));
        new.comment = "<script>alert(1)</script>".into();
        hear(&store, &[root(3, 3600, &[key('a'), new])], at(3600)).await;

        let browser = Browser::open(&store).await;
        let listed = browser.read("/keys?state=new&host=web-1").await;
        assert!(
            !listed.contains("<script>alert") && listed.contains("alert(1)"),
            "{listed}"
        );
        assert!(!listed.contains(&fingerprint('a')), "{listed}");
        let path = "/keys/one?fingerprint=SHA256%3A%2B%2F";
        assert!(listed.contains(path), "{listed}");
        let path = format!("{path}{}", "b".repeat(41));
        let shown = browser.read(&path).await;
        assert!(shown.contains("This is right"), "{shown}");

        let form = format!(
            "key=SHA256%3A%2B%2F{}&host=web-1&account=root",
            "b".repeat(41)
        );
        let answer = browser.ask("/keys/accept", Some(&form)).await;
        assert_eq!(answer.headers()[LOCATION], path);
        let shown = browser.read(&path).await;
        assert!(
            shown.contains("accepted by ada") && !shown.contains("This is right"),
            "{shown}"
        );
        assert_eq!(open(&store).await, Vec::<String>::new());
        let wrong = browser.read("/keys?unused=soon").await;
        assert!(wrong.contains("role=\"alert\""), "{wrong}");
    }
}

#[tokio::test]
async fn a_revoked_key_has_its_receipt_on_its_page() {
    for store in testing::stores(&[SCHEMA, alerting::SCHEMA, people::SCHEMA]).await {
        begin(&store).await;
        let browser = Browser::open(&store).await;
        let page = browser.read("/keys/revoked").await;
        assert!(page.contains("No key is revoked"), "{page}");
        let mut tx = store.begin().await.unwrap();
        let key = proof::Revoked {
            fingerprint: fingerprint('a'),
            kind: "ssh-ed25519".into(),
            wire: vec![1],
            reason: "<b>lost</b>".into(),
            author: "ada".into(),
            at: at(0),
            comment: "a@laptop".into(),
            person: "zoe".into(),
            generation: rows::revoked::next(&mut tx, at(0)).await.unwrap(),
        };
        rows::revoked::revoke(&mut tx, &key).await.unwrap();
        let held = watchward_protocol::instruments::Holding {
            at: at(1),
            generation: Some(key.generation),
            unknown_sessions: vec![at(-60)],
            ..Default::default()
        };
        rows::reached::holding(&mut tx, &host(1), &held, at(1))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let page = browser.read("/keys/revoked").await;
        assert!(
            page.contains("1 revoked key, 0 doors, none is known to open"),
            "{page}"
        );
        let path = format!("fingerprint={}", fingerprint('a').replace(':', "%3A"));
        assert!(page.contains(&format!("/keys/receipt?{path}")), "{page}");
        let page = browser.read(&format!("/keys/one?{path}")).await;
        assert!(page.contains("&#60;b&#62;lost"), "{page}");
        let doubt = "of 1 session it is not known what opened it: it was not ended";
        assert!(page.contains(&format!("<li>web-1: {doubt}.")), "{page}");
        assert!(
            page.contains(", <span class=\"state warn\">1 of which"),
            "{page}"
        );
        let receipt = browser.read(&format!("/keys/receipt?{path}")).await;
        assert!(receipt.contains("\"signature\": \""), "{receipt}");
    }
}
