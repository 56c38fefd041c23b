//! A browser in which somebody has signed in, for the tests of pages.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST};
use axum::http::{Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt;
use watchward_daemon::config::Live;
use watchward_protocol::admin::SUDO_USER;

use super::admin::Caller;
use super::{Config, Pages, Site};
use crate::people::{self, People, Role, Roles};
use crate::store::Store;

/// Somebody who has signed in.
pub(crate) struct Browser {
    routes: Router,
    cookie: String,
}

impl Browser {
    /// Signs in as administrator to a site with these pages.
    pub(crate) async fn open(store: &Store, pages: Pages) -> Self {
        Self::open_as(store, "ada", pages, &Role::Administrator.into()).await
    }

    /// Signs in under this name and with these roles to a site with these pages.
    pub(crate) async fn open_as(store: &Store, name: &str, pages: Pages, roles: &Roles) -> Self {
        let people = People::new(store.clone(), Live::fixed(people::testing::one_factor()));
        let cookie = cookie(&people, name, roles).await;
        let site = Site::new(people).with(pages);
        let routes = site.router(&Config::default()).unwrap();
        Self { routes, cookie }
    }

    /// Sends a form.
    pub(crate) async fn send(&self, path: &str, form: &str) -> Response<Body> {
        let request = Request::post(path)
            .header(HOST, "watch.example")
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.body(Body::from(form.to_owned())).unwrap();
        self.routes.clone().oneshot(request).await.unwrap()
    }

    /// Reads a page that is there.
    pub(crate) async fn read(&self, path: &str) -> String {
        let request = Request::get(path)
            .header(HOST, "watch.example")
            .header(COOKIE, &self.cookie);
        let request = request.body(Body::empty()).unwrap();
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        text(answer).await
    }
}

/// The cookie of somebody of this name and with these roles.
pub(crate) async fn cookie(people: &People, name: &str, roles: &Roles) -> String {
    let secret = people::testing::session(people, name, roles).await;
    format!("watchward={}", secret.reveal())
}

/// A request of the command that this person called by `sudo`.
pub(crate) fn by_sudo(person: &str, path: &str, json: &Value) -> Request<Body> {
    let root = ConnectInfo(Caller { uid: Some(0) });
    Request::post(path)
        .extension(root)
        .header(SUDO_USER, person)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(json.to_string()))
        .unwrap()
}

/// What the operator's command is answered; with a body, it is posted.
pub(crate) async fn command(
    routes: &Router,
    path: &str,
    body: Option<&Value>,
) -> (StatusCode, String) {
    let asked = Request::builder().uri(path);
    let asked = match body {
        Some(body) => asked
            .method("POST")
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => asked.body(Body::empty()),
    };
    let answer = routes.clone().oneshot(asked.unwrap()).await.unwrap();
    (answer.status(), text(answer).await)
}

/// What an answer says.
pub(crate) async fn text(answer: Response<Body>) -> String {
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
