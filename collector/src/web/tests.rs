//! The door and the gate, as a browser meets them.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CACHE_CONTROL, COOKIE, ETAG, IF_NONE_MATCH, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use tower::ServiceExt;
use watchward_daemon::clock;
use watchward_daemon::config::Live;

use super::testing::Browser;
use super::*;
use crate::people::{self, Author, People, Role};
use crate::store::testing::{self, Fresh};

/// A site with one account, `ada`, and her one-time password.
struct Bench {
    routes: Router,
    once: String,
    _store: Fresh,
}

async fn bench(config: &Config) -> Bench {
    let store = testing::stores(&[people::SCHEMA]).await.remove(0);
    let people = People::new(store.clone(), Live::fixed(people::testing::one_factor()));
    let by = Author {
        name: "root".to_owned(),
        address: None,
    };
    let ada = ("ada", &Role::Administrator.into());
    let once = people.add(ada, &by, clock::now()).await.unwrap().unwrap();
    let site = Site::new(people);
    Bench {
        routes: site.router(config).unwrap(),
        once: once.reveal().to_owned(),
        _store: store,
    }
}

impl Bench {
    async fn ask(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&str>,
    ) -> Response<Body> {
        let mut request = Request::builder().uri(path).header("host", "watch.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = form.unwrap_or_default().to_owned();
        if form.is_some() {
            request = request
                .method("POST")
                .header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(Body::from(body)).unwrap();
        self.routes.clone().oneshot(request).await.unwrap()
    }

    /// Signs in: the cookie, as the server set it.
    async fn sign_in(&self) -> String {
        let form = format!("name=ada&password={}", self.once);
        let answer = self.ask("/sign-in", &[], Some(&form)).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        answer.headers()[SET_COOKIE].to_str().unwrap().to_owned()
    }
}

fn value(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

async fn text(answer: Response<Body>) -> String {
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_one_time_password_leads_to_ones_own_and_nowhere_else() {
    let bench = bench(&Config::default()).await;
    let cookie = bench.sign_in().await;
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let with = [(COOKIE.as_str(), value(&cookie))];
    let sent = bench.ask("/", &with, None).await;
    assert_eq!(sent.headers()[LOCATION], "/people/password");

    let again = format!("new={0}&again={0}", "correct+horse+battery");
    let done = bench.ask("/people/password", &with, Some(&again)).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER);
    let fresh = done.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let old = bench.ask("/", &with, None).await;
    assert_eq!(old.headers()[LOCATION], "/sign-in");

    let with = [(COOKIE.as_str(), value(&fresh))];
    let page = bench.ask("/", &with, None).await;
    assert_eq!(page.status(), StatusCode::OK);
    let out = bench.ask("/sign-out", &with, Some("")).await;
    assert!(
        out.headers()[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let page = bench.ask("/people", &with, None).await;
    assert_eq!(page.headers()[LOCATION], "/sign-in?next=%2Fpeople");
}

#[tokio::test]
async fn whether_there_is_such_a_name_is_not_said() {
    let bench = bench(&Config::default()).await;
    let mut said = Vec::new();
    for name in ["ada", "bob"] {
        let form = format!("name={name}&password=guess");
        let answer = bench.ask("/sign-in", &[], Some(&form)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let said_so = text(answer).await.replace(name, "NAME");
        said.push(said_so.split("<footer>").next().unwrap().to_owned());
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let bench = bench(&Config::default()).await;
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
    ] {
        let form = format!("name=ada&password={}", bench.once);
        let answer = bench.ask("/sign-in", &headers, Some(&form)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{headers:?}");
        assert!(answer.headers().get(SET_COOKIE).is_none());
    }
    let long = format!("name=ada&password={}", "x".repeat(100_000));
    let answer = bench.ask("/sign-in", &[], Some(&long)).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn every_answer_is_dressed() {
    let plain = bench(&Config::default()).await;
    let proxied = bench(&Config {
        behind_proxy: true,
        ..Config::default()
    })
    .await;
    for path in ["/", "/sign-in", "/nowhere", "/assets/none"] {
        let answer = plain.ask(path, &[], None).await;
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key("strict-transport-security"));
        let answer = proxied.ask(path, &[], None).await;
        assert!(answer.headers().contains_key("strict-transport-security"));
    }
    let cookie = proxied.sign_in().await;
    assert!(
        cookie.starts_with("__Host-watchward=") && cookie.contains("Secure"),
        "{cookie}"
    );
}

#[tokio::test]
async fn style_and_script_are_kept_by_browsers() {
    let bench = bench(&Config::default()).await;
    let page = text(bench.ask("/sign-in", &[], None).await).await;
    let assets: Vec<_> = page
        .split('"')
        .filter(|it| it.starts_with("/assets/"))
        .collect();
    assert!(assets.len() >= 3, "{assets:?}");
    for path in assets {
        let answer = bench.ask(path, &[], None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let kept = answer.headers()[CACHE_CONTROL].to_str().unwrap();
        assert!(kept.contains("immutable"), "{kept}");
        let tag = answer.headers()[ETAG].to_str().unwrap().to_owned();
        let again = bench
            .ask(path, &[(IF_NONE_MATCH.as_str(), &tag)], None)
            .await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn the_link_of_an_invitation_leaves_no_trace_and_says_nothing_when_it_is_wrong() {
    let bench = bench(&Config::default()).await;
    let sent = bench.ask("/welcome?token=a-guess", &[], None).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    assert_eq!(sent.headers()[LOCATION], "/welcome");
    let cookie = sent.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let with = [(COOKIE.as_str(), value(&cookie))];
    let mut said = Vec::new();
    for headers in [&with[..], &[]] {
        let answer = bench.ask("/welcome", headers, None).await;
        assert_eq!(answer.status(), StatusCode::GONE);
        let page = text(answer).await;
        assert!(!page.contains("a-guess") && !page.contains("ada"), "{page}");
        said.push(page.split("<footer>").next().unwrap().to_owned());
    }
    assert_eq!(said[0], said[1]);
    let form = "name=ada&new=a+long+sentence+of+mine&again=a+long+sentence+of+mine";
    let answer = bench.ask("/welcome", &with, Some(form)).await;
    assert_eq!(answer.status(), StatusCode::GONE);
    assert!(answer.headers().get(SET_COOKIE).is_none());
}

#[tokio::test]
async fn a_code_is_asked_for_only_after_the_password() {
    let bench = bench(&Config::default()).await;
    for form in [None, Some("code=123456")] {
        let answer = bench.ask("/sign-in/code", &[], form).await;
        assert_eq!(answer.headers()[LOCATION], "/sign-in");
    }
    let cookie = bench.sign_in().await;
    let with = [(COOKIE.as_str(), value(&cookie))];
    let answer = bench.ask("/sign-in/code", &with, Some("code=123456")).await;
    assert_eq!(
        answer.headers()[LOCATION],
        "/sign-in",
        "a whole session is no half"
    );
}

#[tokio::test]
async fn made_up_paths_of_one_page_are_refused_as_one() {
    for store in testing::stores(&[people::SCHEMA]).await {
        let roles = Role::Access.into();
        let browser = Browser::open_as(&store, "mallory", Pages::new(), &roles).await;
        for n in 0..20 {
            let answer = browser.send(&format!("/people/name-{n}/reset"), "").await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        }
        let kept: Vec<String> = sqlx::query_scalar("SELECT detail FROM people_event")
            .fetch_all(store.read())
            .await
            .unwrap();
        assert_eq!(kept, ["/people/{name}/reset"]);
    }
}

#[tokio::test]
async fn an_administrator_never_sees_the_link_of_somebody_else() {
    for store in testing::stores(&[people::SCHEMA]).await {
        let roles = Role::Administrator.into();
        let browser = Browser::open_as(&store, "ada", Pages::new(), &roles).await;
        Browser::open_as(&store, "bob", Pages::new(), &Role::Operator.into()).await;
        let list = browser.read("/people").await;
        assert!(list.contains("watchward people reset bob"), "{list}");
        assert!(!list.contains("/people/bob/reset"), "{list}");
        let answer = browser.send("/people/bob/reset", "").await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let page = text(answer).await;
        assert!(page.contains("no email address is known"), "{page}");
        assert!(!page.contains("token="), "{page}");
    }
}
