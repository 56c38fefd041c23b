//! What must hold of hosts: one token lets one host in once, and silence is told and ended.

mod backlog;
mod findings;
mod silence;

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair};
use sqlx::Row;
use tempfile::TempDir;
use watchward_daemon::tasks::tasks;

use super::*;
use crate::intake::{self, Credentials, Enrol, Refusal, Registry};
use crate::store::testing::{self, Fresh};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000 + second * 1_000_000)
}

struct Room {
    hosts: Hosts,
    store: Fresh,
    _folder: TempDir,
}

async fn rooms() -> Vec<Room> {
    let stores = testing::stores(&[SCHEMA, alerting::SCHEMA, intake::SCHEMA]).await;
    let room = |store: Fresh| {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        let config = Live::fixed(Config {
            authority,
            ..Config::default()
        });
        let hosts = Hosts::open(store.clone(), config, at(0)).unwrap();
        Room {
            hosts,
            store,
            _folder: folder,
        }
    };
    stores.into_iter().map(room).collect()
}

fn request() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec()
}

impl Room {
    async fn token(&self, host: &str, expires: Timestamp) -> Vec<u8> {
        let token = self.hosts.token(host, expires, at(0)).await.unwrap();
        let digits = token.strip_prefix("wwt1-").unwrap();
        let byte = |i: usize| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap();
        (0..32).map(byte).collect()
    }

    async fn enrol(
        &self,
        secret: &[u8],
        name: &str,
        now: Timestamp,
    ) -> Result<Credentials, Refusal> {
        let (name, secret) = (name.to_owned(), secret.to_vec());
        let ask = Enrol {
            name,
            secret,
            request: request(),
            from: None,
        };
        self.hosts.enrol(ask, now).await.unwrap()
    }

    /// Why incidents are over, the oldest first.
    async fn ends(&self) -> Vec<Option<String>> {
        sqlx::query_scalar("SELECT resolution FROM alerting_incident ORDER BY id")
            .fetch_all(self.store.read())
            .await
            .unwrap()
    }

    async fn only_host(&self) -> Host {
        let row = sqlx::query("SELECT id, name FROM host WHERE revoked_at IS NULL")
            .fetch_one(self.store.read())
            .await
            .unwrap();
        let id = row.get::<String, _>(0).parse().unwrap();
        Host {
            id,
            name: row.get(1),
        }
    }
}

#[tokio::test]
async fn a_token_lets_one_host_in_once() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        assert!(
            room.enrol(&secret, "web-2", at(1)).await.is_err(),
            "another name was let in"
        );
        assert!(
            room.enrol(&[0; 32], "web-1", at(1)).await.is_err(),
            "a guess was let in"
        );
        assert!(
            room.enrol(&secret, "web-1", at(900)).await.is_err(),
            "an expired one was let in"
        );
        assert!(room.enrol(&secret, "web-1", at(899)).await.is_ok());
        assert!(
            room.enrol(&secret, "web-1", at(899)).await.is_err(),
            "it was used before"
        );
    }
}

#[tokio::test]
async fn of_a_hundred_who_use_a_token_at_once_one_gets_in() {
    for room in rooms().await {
        let room = Arc::new(room);
        let secret = room.token("web-1", at(900)).await;
        let winners = Arc::new(AtomicUsize::new(0));
        let (tasks, mut running) = tasks();
        for _ in 0..100 {
            let (room, secret, winners) = (room.clone(), secret.clone(), winners.clone());
            tasks.start_passing("thief", async move {
                let won = room.enrol(&secret, "web-1", at(1)).await.is_ok();
                winners.fetch_add(usize::from(won), Ordering::SeqCst);
                Ok(())
            });
        }
        drop(tasks);
        assert!(
            running
                .failed()
                .await
                .unwrap_err()
                .to_string()
                .contains("all tasks have ended")
        );
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn what_other_rooms_have_open_about_a_host_ends_when_it_is_revoked_or_replaced() {
    for mut room in rooms().await {
        room.hosts = room.hosts.on_revoke(|tx, host, now| {
            Box::pin(async move { alerting::resolve(tx, &host.to_string(), "revoked", now).await })
        });
        for second in 1..=2 {
            let secret = room.token("web-1", at(900)).await;
            room.enrol(&secret, "web-1", at(second)).await.unwrap();
            let host = room.only_host().await;
            let mut alert = judge::silent(&judge::Seen { host, last: at(0) }, at(1));
            alert.key = room.only_host().await.id.to_string();
            let mut tx = room.store.begin().await.unwrap();
            alerting::raise(&mut tx, &alert, at(1)).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(room.ends().await, [Some("revoked".to_owned()), None]);
        room.hosts.revoke("web-1", at(3)).await.unwrap();
        assert!(room.ends().await.iter().all(Option::is_some));
    }
}

#[tokio::test]
async fn without_a_token_nobody_has_the_collector_sign_or_write() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        let busy = room.store.begin().await.unwrap();
        let long = "x".repeat(15_000);
        for (name, secret) in [
            ("web-1", vec![0; 32]),
            ("web-2", secret.clone()),
            ("web-1", secret[..31].to_vec()),
            (&long, secret.clone()),
            ("we\0b\x1b", secret.clone()),
        ] {
            let asked = room.enrol(&secret, name, at(1));
            let asked = tokio::time::timeout(Duration::from_secs(8), asked).await;
            let answer = asked.expect("it waited for who writes");
            assert!(answer.unwrap_err().0.contains("token"));
        }
        let ask = Enrol {
            name: "web-1".to_owned(),
            secret: vec![0; 32],
            request: b"no request".to_vec(),
            from: None,
        };
        let answer = room.hosts.enrol(ask, at(1)).await.unwrap();
        assert!(answer.unwrap_err().0.contains("token"));
        drop(busy);
        assert!(room.enrol(&secret, "web-1", at(1)).await.is_ok());
    }
}

#[tokio::test]
async fn a_token_is_kept_only_as_a_hash() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        let kept: String = sqlx::query_scalar("SELECT hash FROM host_token")
            .fetch_one(room.store.read())
            .await
            .unwrap();
        assert_eq!(kept, registry::hash(&secret));
    }
}

#[tokio::test]
async fn a_revoked_host_is_not_admitted_and_its_name_is_free_again() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(1)).await.unwrap();
        let first = room.only_host().await;
        assert_eq!(
            room.hosts.admit(first.id).await.unwrap(),
            Some(first.clone())
        );

        let revoked = room.hosts.revoked();
        assert!(room.hosts.revoke("web-1", at(2)).await.unwrap());
        assert!(
            revoked.has_changed().unwrap(),
            "open conversations hear nothing of it"
        );
        assert_eq!(room.hosts.admit(first.id).await.unwrap(), None);
        assert!(!room.hosts.revoke("web-1", at(3)).await.unwrap());

        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(4)).await.unwrap();
        assert_ne!(
            room.only_host().await.id,
            first.id,
            "an identity was used again"
        );
    }
}

#[tokio::test]
async fn enrolling_a_name_again_revokes_the_host_that_had_it() {
    for room in rooms().await {
        for _ in 0..2 {
            let secret = room.token("web-1", at(900)).await;
            room.enrol(&secret, "web-1", at(1)).await.unwrap();
        }
        let revocations = rows::revocations(&room.store).await.unwrap();
        assert_eq!(revocations.0, 1);
    }
}

#[tokio::test]
async fn tokens_are_listed_with_when_they_were_used() {
    for room in rooms().await {
        let used = room.token("web-1", at(900)).await;
        room.enrol(&used, "web-1", at(1)).await.unwrap();
        room.token("web-2", at(100)).await;
        let listed = rows::token::known(&room.store).await.unwrap();
        let listed = serde_json::to_value(listed).unwrap();
        let mut listed: Vec<_> = listed.as_array().unwrap().iter().collect();
        listed.sort_by_key(|one| one["host"].to_string());
        let used: Vec<_> = listed.iter().map(|one| one["used_at"].as_i64()).collect();
        assert_eq!(used, [Some(at(1).as_micros()), None], "{listed:?}");
    }
}

#[tokio::test]
async fn who_is_revoked_is_listed_only_when_asked_and_nothing_is_open_about_it() {
    for room in rooms().await {
        for name in ["web-1", "web-2"] {
            let secret = room.token(name, at(900)).await;
            room.enrol(&secret, name, at(0)).await.unwrap();
            let mut tx = room.store.begin().await.unwrap();
            let alert = alerting::Alert {
                key: format!("access.brute-force {name}"),
                severity: alerting::Severity::Critical,
                host: Some(name.to_owned()),
                title: format!("{name}: sshd brute force"),
                detail: String::new(),
                advice: String::new(),
                since: at(0),
            };
            alerting::raise(&mut tx, &alert, at(0)).await.unwrap();
            tx.commit().await.unwrap();
        }
        room.hosts.revoke("web-1", at(10)).await.unwrap();
        assert_eq!(
            room.ends().await,
            [Some("the host was revoked".to_owned()), None]
        );
        let listed = async |which: rows::Which| {
            let all = rows::hosts(&room.store, None).await.unwrap().into_iter();
            let names = all.filter(|host| which.has(host)).map(|host| host.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(listed(rows::Which::Watched).await, ["web-2"]);
        assert_eq!(listed(rows::Which::Revoked).await, ["web-1"]);
        assert!(!is_known(&room.store, "web-1").await.unwrap());
        assert!(is_known(&room.store, "web-2").await.unwrap());
    }
}

#[tokio::test]
async fn a_host_that_was_revoked_is_remembered_for_long_and_not_for_ever() {
    for room in rooms().await {
        let secret = room.token("web-1", at(900)).await;
        room.enrol(&secret, "web-1", at(0)).await.unwrap();
        let secret = room.token("web-2", at(900)).await;
        room.enrol(&secret, "web-2", at(0)).await.unwrap();
        room.hosts.revoke("web-1", at(10)).await.unwrap();
        let names = async || {
            let all = rows::hosts(&room.store, None).await.unwrap();
            all.into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        let year = 400 * 86_400;
        assert!(room.hosts.forget(at(10 + year)).await.unwrap());
        assert_eq!(names().await, ["web-1", "web-2"]);
        assert!(
            !room.hosts.forget(at(11 + year)).await.unwrap(),
            "there may be more"
        );
        assert!(room.hosts.forget(at(11 + year)).await.unwrap());
        assert_eq!(names().await, ["web-2"], "whoever is not revoked stays");
    }
}
