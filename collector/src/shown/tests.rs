//! What is open to whom, and what rooms show of each other's facts.

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

use watchward_protocol::access::{
    AccessEvent, Action, Outcome, Peer, Service, Trust, Tunnel, User,
};
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Epoch, Lane};

use super::*;
use crate::intake::{Heard, Host};
use crate::store::testing;
use crate::web::testing::Browser;
use crate::{SCHEMAS, people};
use watchward_daemon::clock;

/// What needs nobody who has signed in.
const OPEN: &[&str] = &["/sign-in", "/metrics", "/-/healthy", "/-/ready"];

#[tokio::test]
async fn every_path_but_those_that_say_so_needs_somebody_who_has_signed_in() {
    for store in testing::stores(SCHEMAS).await {
        let folder = tempfile::tempdir().unwrap();
        let hosts = hosts::Config {
            authority: folder.path().join("authority.pem"),
            ..hosts::Config::default()
        };
        let shown = Shown {
            store: store.clone(),
            people: People::new(store.clone(), Live::fixed(people::Config::default())),
            hosts: Hosts::open(store.clone(), Live::fixed(hosts), clock::now()).unwrap(),
            alerting: alerting::Rules::default(),
            rules: Live::fixed(restriction::Policy::default()),
            key_rules: Live::fixed(keys::Policy::default()),
            spread: restriction::Spread::open(&store, clock::now())
                .await
                .unwrap()
                .0,
            bell: Bell::default(),
            web: Live::fixed(web::Config::default()),
            committing: watch::channel(None).1,
            ruling: ruling::testing::idle(&store).await,
            questions: Questions::default(),
        };
        let site = site(&shown, Stop::new());
        let (paths, open) = site.paths();
        assert_eq!(open, OPEN);
        let closed: Vec<_> = paths
            .iter()
            .filter(|path| !open.contains(path) && !path.starts_with("/assets/"))
            .map(|path| path.replace(['{', '}'], "x"))
            .chain(["/nowhere".to_owned(), "/sign-in/".to_owned()])
            .collect();
        assert!(closed.len() > 3, "{closed:?}");
        let routes = site.router(&web::Config::default()).unwrap();
        for path in &closed {
            for (method, status) in [
                ("GET", StatusCode::SEE_OTHER),
                ("HEAD", StatusCode::SEE_OTHER),
                ("POST", StatusCode::UNAUTHORIZED),
                ("DELETE", StatusCode::UNAUTHORIZED),
            ] {
                let asked = Request::builder().method(method).uri(path);
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

/// A login of somebody from somewhere.
fn login(seq: u64, user: &str, address: &str) -> Heard<AccessEvent> {
    let now = clock::now();
    Heard {
        host: Host {
            id: HostId::from_bytes([1; 16]),
            name: "web-1".into(),
        },
        lane: Lane::Access,
        epoch: Epoch(u64::MAX),
        seq,
        kept_at: now,
        boot: [0; 16],
        report: AccessEvent {
            at: now,
            service: Service::Sshd,
            action: Action::Authentication,
            outcome: Outcome::Success,
            attempt: true,
            form: "accepted".into(),
            user: Some(User {
                name: user.into(),
                known: true,
            }),
            peer: Some(Peer {
                address: address.parse().unwrap(),
                port: None,
            }),
            method: None,
            target: None,
            tunnel: Tunnel::default(),
            key: None,
            certificate: None,
            command: None,
            pid: None,
            trust: Trust::Server,
            line: "line".into(),
        },
    }
}

#[tokio::test]
async fn the_access_log_is_filtered_by_who_came_from_outside() {
    let policy = "[networks]\noffice = [\"192.0.2.0/24\"]\n\
        [[restriction.rules]]\ngroups = [\"all\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), policy).unwrap();
    let policy = crate::config::Policy::read(file.path(), None).unwrap();
    let rules = restriction::Policy::of(policy.networks, policy.restriction);
    let all = [
        login(1, "ada", "192.0.2.7"),
        login(2, "mallory", "203.0.113.9"),
    ];
    for store in testing::stores(SCHEMAS).await {
        let now = clock::now();
        let mut tx = store.begin().await.unwrap();
        let config = access::Config::default();
        access::absorb(&mut tx, &all, &config, now).await.unwrap();
        let settings = (&rules, &restriction::Config::default());
        let kept = restriction::absorb(&mut tx, &all, settings, now);
        kept.await.unwrap();
        tx.commit().await.unwrap();

        let pages = access::pages(store.clone(), restriction::IS_OUTSIDE, Stop::new());
        let browser = Browser::open(&store, pages).await;
        let page = browser.read("/access").await;
        assert!(
            page.contains("ada</span>") && page.contains("mallory</span>"),
            "{page}"
        );
        let query = "outside=on&since=1h&host=web-1";
        let page = browser.read(&format!("/access?{query}")).await;
        assert!(
            !page.contains("192.0.2.7") && page.contains("203.0.113.9"),
            "{page}"
        );
        assert!(page.contains("name=\"outside\" checked"), "{page}");
        let file = browser.read(&format!("/access/access.csv?{query}")).await;
        assert!(
            !file.contains("192.0.2.7") && file.contains("203.0.113.9"),
            "{file}"
        );
    }
}
