//! One table: every page, and everything that can be done on one, against every role.

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION};
use axum::http::{Method, Request, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::people::Role;
use crate::store::testing::Fresh;
use crate::web::Declared;
use crate::web::testing;

/// Who may, in the order of [`Role::ALL`]: administrator, operator, on-call, security, access. What
/// needs nobody to sign in is `open`. Written by hand: what is not here does not pass the test.
const TABLE: &str = "
    GET  /                              yes yes yes yes yes
    GET  /access                        yes yes yes yes no
    GET  /access/access.csv             yes yes yes yes no
    GET  /access/access.jsonl           yes yes yes yes no
    GET  /access/tail                   yes yes yes yes no
    GET  /assets/{name}                 open
    GET  /audit                         yes no  no  yes no
    GET  /bans                          yes yes yes yes no
    POST /bans                          yes yes yes no  no
    POST /bans/lift                     yes yes yes no  no
    POST /bans/pin                      yes yes yes no  no
    GET  /checks                        yes yes yes yes no
    GET  /hosts                         yes yes yes yes no
    GET  /hosts/{name}                  yes yes yes yes no
    GET  /incidents                     yes yes yes yes no
    GET  /incidents/{code}              yes yes yes yes no
    POST /incidents/{code}/ack          yes yes yes no  no
    GET  /keys                          yes yes yes yes no
    POST /keys/accept                   yes yes no  yes no
    GET  /keys/break-glass              yes yes yes yes no
    GET  /keys/calendar                 yes yes yes yes no
    GET  /keys/one                      yes yes yes yes no
    GET  /keys/receipt                  yes yes yes yes no
    GET  /keys/revoked                  yes yes yes yes no
    GET  /keys/peers                    yes yes yes yes no
    GET  /keys/rotation/{name}          yes yes yes yes no
    POST /login                         open
    GET  /certificate                   yes yes yes yes yes
    POST /certificate                   yes yes yes yes yes
    GET  /metrics                       open
    GET  /networks                      yes yes yes yes no
    GET  /people                        yes no  no  yes no
    GET  /people/password               yes yes yes yes yes
    POST /people/password               yes yes yes yes yes
    POST /people                        yes no  no  no  no
    GET  /people/second-factor          yes yes yes yes yes
    POST /people/second-factor          yes yes yes yes yes
    POST /people/second-factor/renew    yes yes yes yes yes
    POST /people/second-factor/key      yes yes yes yes yes
    POST /people/second-factor/key/remove yes yes yes yes yes
    POST /people/{name}/reset           yes no  no  no  no
    POST /people/{name}/remove          yes no  no  no  no
    POST /people/{name}/roles           yes no  no  no  no
    GET  /policy                        yes yes yes yes no
    GET  /policy/{number}               yes yes yes yes no
    GET  /report                        yes yes yes yes no
    GET  /report/signed                 yes yes yes yes no
    GET  /sign-in                       open
    POST /sign-in                       open
    GET  /sign-in/code                  open
    POST /sign-in/code                  open
    POST /sign-in/key                   open
    POST /sign-out                      yes yes yes yes yes
    GET  /silences                      yes yes yes yes no
    POST /silences                      yes yes yes no  no
    POST /silences/{id}/end             yes yes yes no  no
    GET  /welcome                       open
    POST /welcome                       open
    GET  /-/healthy                     open
    GET  /-/ready                       open
";

/// A line of the table.
struct Line {
    method: Method,
    path: &'static str,
    /// `None` where nobody has to sign in.
    may: Option<Vec<bool>>,
}

fn table() -> Vec<Line> {
    let lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let line = |line: &'static str| {
        let mut words = line.split_whitespace();
        let method = words.next().unwrap().parse().unwrap();
        let path = words.next().unwrap();
        let rest: Vec<_> = words.collect();
        let may = (rest != ["open"]).then(|| rest.iter().map(|word| *word == "yes").collect());
        Line { method, path, may }
    };
    lines.map(line).collect()
}

pub(super) async fn whole(store: &Fresh, folder: &std::path::Path) -> Shown {
    let hosts = hosts::Config {
        authority: folder.join("authority.pem"),
        ..hosts::Config::default()
    };
    Shown {
        store: (*store).clone(),
        people: People::new((*store).clone(), Live::fixed(people::testing::one_factor())),
        hosts: Hosts::open((*store).clone(), Live::fixed(hosts), clock::now()).unwrap(),
        alerting: alerting::Rules::default(),
        rules: Live::fixed(restriction::Policy::default()),
        key_rules: Live::fixed(keys::Policy::default()),
        spread: restriction::Spread::open(store, clock::now())
            .await
            .unwrap()
            .0,
        revoking: keys::Desk::of(store, hosts::watched, keys::Policy::default()).await,
        bell: Bell::default(),
        web: Live::fixed(web::Config::default()),
        report: Live::fixed(report::Config::default()),
        committing: watch::channel(None).1,
        ruling: ruling::testing::idle(store).await,
        questions: Questions::default(),
        authority: keys::Authority::new(
            (*store).clone(),
            crate::sealing::Sealing::fleeting(),
            Live::fixed(keys::Policy::default()),
            keys::Revocations::open(store).await.unwrap().0,
        ),
        rotations: keys::Calendar::new(
            ((*store).clone(), Live::fixed(keys::Policy::default())),
            (
                keys::Rooms {
                    inventory: hosts::watched,
                    sites: restriction::sites,
                },
                keys::Rotations::new().0,
            ),
        ),
    }
}

/// A path with something in the place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{number}", "1")
        .replace("{id}", "1")
        .replace(['{', '}'], "x")
}

async fn ask(routes: &Router, (method, path): (&Method, &str), cookie: &str) -> StatusCode {
    let mut asked = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "watch.example")
        .header(COOKIE, cookie);
    if *method == Method::POST {
        asked = asked.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let asked = asked.body(Body::empty()).unwrap();
    routes.clone().oneshot(asked).await.unwrap().status()
}

#[tokio::test]
async fn the_table_has_every_page_and_whatever_can_be_done_there() {
    let store = crate::store::testing::stores(SCHEMAS).await.remove(0);
    let folder = tempfile::tempdir().unwrap();
    let shown = whole(&store, folder.path()).await;
    let mut declared = site(&shown, Stop::new()).routes();
    for line in table() {
        let is_it = |it: &Declared| it.method == line.method && it.path == line.path;
        let place = declared.iter().position(is_it);
        let place = place.unwrap_or_else(|| panic!("there is no {} {}", line.method, line.path));
        let found = declared.swap_remove(place);
        assert_eq!(found.needs.is_none(), line.may.is_none(), "{}", line.path);
    }
    assert!(declared.is_empty(), "not in the table: {declared:?}");
}

#[tokio::test]
async fn each_role_may_what_the_table_says_and_nothing_else() {
    for store in crate::store::testing::stores(SCHEMAS).await {
        let folder = tempfile::tempdir().unwrap();
        let shown = whole(&store, folder.path()).await;
        let routes = site(&shown, Stop::new());
        let routes = routes.router(&web::Config::default()).unwrap();
        for (place, role) in Role::ALL.into_iter().enumerate() {
            let name = role.word();
            for line in table() {
                let Some(may) = &line.may else { continue };
                // Of one's own: a session ends by some of what is asked.
                let cookie = testing::cookie(&shown.people, name, &role.into()).await;
                let path = filled(line.path);
                let status = ask(&routes, (&line.method, &path), &cookie).await;
                let refused = status == StatusCode::FORBIDDEN;
                let what = format!("{} {path} as {name}: {status}", line.method);
                assert_eq!(refused, !may[place], "{what}");
                let lost = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND];
                let is_page = !line.path.contains('{');
                assert!(!(is_page && lost.contains(&status)), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_table_does_not_call_open_needs_somebody_who_has_signed_in() {
    for store in crate::store::testing::stores(SCHEMAS).await {
        let folder = tempfile::tempdir().unwrap();
        let shown = whole(&store, folder.path()).await;
        let routes = site(&shown, Stop::new());
        let routes = routes.router(&web::Config::default()).unwrap();
        let all = table();
        let is_open = |path: &str| {
            all.iter()
                .any(|line| line.path == path && line.may.is_none())
        };
        let closed = all.iter().map(|line| line.path).filter(|it| !is_open(it));
        let closed = closed.map(filled);
        for path in closed.chain(["/nowhere".to_owned(), "/sign-in/".to_owned()]) {
            for (method, status) in [
                ("GET", StatusCode::SEE_OTHER),
                ("HEAD", StatusCode::SEE_OTHER),
                ("POST", StatusCode::UNAUTHORIZED),
                ("DELETE", StatusCode::UNAUTHORIZED),
            ] {
                let asked = Request::builder().method(method).uri(&path);
                let asked = asked.body(Body::empty()).unwrap();
                let answer = routes.clone().oneshot(asked).await.unwrap();
                assert_eq!(answer.status(), status, "{method} {path}");
                if status == StatusCode::SEE_OTHER {
                    let to = answer.headers()[LOCATION].to_str().unwrap();
                    assert!(to.starts_with("/sign-in"), "{path}: {to}");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_is_told_which_role_may_and_who_gives_it() {
    let store = crate::store::testing::stores(SCHEMAS).await.remove(0);
    let boss = Browser::open(&store, web::Pages::new()).await;
    let page = boss.read("/people").await;
    assert!(page.contains("href=\"/people\"") && page.contains("Give these roles"));
    let reader = Browser::open_as(&store, "grace", web::Pages::new(), &Role::OnCall.into()).await;
    let answer = reader.send("/people/ada/roles", "access=on").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let told = testing::text(answer).await;
    assert!(told.contains("<strong>administrator</strong>"), "{told}");
    assert!(told.contains("Yours: on-call"), "{told}");
    assert!(told.contains("can give you one: ada."), "{told}");
    assert!(!told.contains("href=\"/people\""), "no way there: {told}");
}
