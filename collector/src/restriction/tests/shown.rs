//! The page of networks, as somebody sees it who has signed in.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;
use watchward_daemon::clock;

use super::*;
use crate::people::{self, People};
use crate::web::{self, Site};

/// A site with the room's page, and the cookie of somebody who has signed in there.
struct Bench {
    routes: Router,
    cookie: String,
}

impl Bench {
    async fn new(store: &Store, policy: Policy) -> Self {
        let people = People::new(store.clone(), Live::fixed(people::Config::default()));
        let once = people.add("ada", clock::now()).await.unwrap().unwrap();
        let site = Site::new(people).with(pages(store.clone(), Live::fixed(policy)));
        let mut bench = Self {
            routes: site.router(&web::Config::default()).unwrap(),
            cookie: String::new(),
        };
        let once = once.reveal();
        bench
            .post("/sign-in", format!("name=ada&password={once}"))
            .await;
        let own = "correct+horse+battery";
        let form = format!("new={own}&again={own}");
        bench.post("/people/password", form).await;
        bench
    }

    /// Sends a form, and keeps the cookie that comes back.
    async fn post(&mut self, path: &str, form: String) {
        let request = Request::post(path)
            .header(HOST, "watch.example")
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(form)).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
    }

    async fn page(&self, path: &str) -> String {
        let request = Request::get(path)
            .header(HOST, "watch.example")
            .header(COOKIE, &self.cookie);
        let request = request.body(Body::empty()).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn the_page_shows_networks_rules_and_who_came_from_outside() {
    let policy = read(OFFICE).unwrap();
    for store in testing::stores(&[SCHEMA, alerting::SCHEMA, people::SCHEMA]).await {
        let now = clock::now();
        let mut stranger = login(1, 0, "203.0.113.7");
        stranger.report.at = now;
        stranger.kept_at = now;
        stranger.report.user = Some(User {
            name: "<b>root".into(),
            known: true,
        });
        hear(&store, &[stranger], &policy, now).await;

        let bench = Bench::new(&store, policy.clone()).await;
        let page = bench.page("/networks").await;
        for expected in ["office", "192.0.2.0/24", "vpn", "203.0.113.7", "90 days: 1"] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert!(!page.contains("<b>root"), "{page}");
        assert!(page.contains("&#60;b&#62;root"), "{page}");
        let overview = bench.page("/").await;
        assert!(
            overview.contains("accounts used from outside"),
            "{overview}"
        );
    }
}

#[tokio::test]
async fn without_a_policy_the_page_says_so() {
    for store in testing::stores(&[SCHEMA, alerting::SCHEMA, people::SCHEMA]).await {
        let bench = Bench::new(&store, Policy::default()).await;
        let page = bench.page("/networks").await;
        assert!(page.contains("Nobody has logged in from outside"), "{page}");
        assert!(page.contains("open to everywhere"), "{page}");
    }
}
