//! A browser in which somebody has signed in, for the tests of pages.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use tower::ServiceExt;
use watchward_daemon::clock;
use watchward_daemon::config::Live;

use super::{Config, Pages, Site};
use crate::people::{self, People};
use crate::store::Store;

/// Somebody called `ada`, signed in.
pub(crate) struct Browser {
    routes: Router,
    cookie: String,
}

impl Browser {
    /// Signs in to a site with these pages.
    pub(crate) async fn open(store: &Store, pages: Pages) -> Self {
        let people = People::new(store.clone(), Live::fixed(people::Config::default()));
        let once = people.add("ada", clock::now()).await.unwrap().unwrap();
        let site = Site::new(people).with(pages);
        let mut browser = Self {
            routes: site.router(&Config::default()).unwrap(),
            cookie: String::new(),
        };
        let once = once.reveal();
        let form = format!("name=ada&password={once}");
        browser.keep(&browser.send("/sign-in", &form).await);
        let own = "a+long+sentence+of+her+own";
        let form = format!("new={own}&again={own}");
        browser.keep(&browser.send("/people/password", &form).await);
        browser
    }

    fn keep(&mut self, answer: &Response<Body>) {
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
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

/// What an answer says.
pub(crate) async fn text(answer: Response<Body>) -> String {
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
