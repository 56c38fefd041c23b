//! What rooms show of each other's facts.

mod audit;
mod peers;
mod roles;

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
        let nobody: access::IsShutOut = |_, _, _| Box::pin(async { Ok(None) });
        let kept = access::absorb(&mut tx, &all, (&config, nobody), now);
        kept.await.unwrap();
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
