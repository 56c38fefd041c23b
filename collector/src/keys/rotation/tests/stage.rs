//! Hosts that say what they would say, and what comes of it.

use watchward_protocol::hosts::HostId;
use watchward_protocol::identities::{Identity, Made};
use watchward_protocol::instruments::{self, Managed, Told};
use watchward_protocol::record::{Epoch, Lane};

use super::super::turn::{Looked, look};
use super::super::*;
use crate::intake::{Host, Watched};
use crate::keys::revocation::absorb;
use crate::keys::rows::managed::{self, Held};
use crate::keys::rows::revoked;
use crate::keys::rows::rotation::{self as rows, Known as Place};
use crate::policy::{Groups, Networks};
use crate::store::testing::Fresh;

pub(super) fn host(number: u8) -> Host {
    Host {
        id: HostId::from_bytes([number; 16]),
        name: format!("web-{number}"),
    }
}

/// The client is web-1; web-3 is silent.
pub(super) fn three(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    Box::pin(async {
        let watched = |number: u8| Watched {
            host: host(number),
            is_silent: number == 3,
        };
        Ok((1..=3).map(watched).collect())
    })
}

pub(super) fn sites(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Site>>> {
    Box::pin(async {
        let site = |number: u8| Site {
            name: host(number).name,
            // It says of itself what it likes.
            addresses: vec![[198, 51, 100, 1].into(), [192, 0, 2, number].into()],
            seen: vec![IpAddr::from([192, 0, 2, number])],
            ssh: vec![22],
        };
        Ok((1..=3).map(site).collect())
    })
}

pub(super) const ROOMS: Rooms = Rooms {
    inventory: three,
    sites,
};

pub(super) fn policy(missed: &str) -> Policy {
    let text = format!(
        "[[machines]]\nname = \"backup\"\nclient = \"web-1\"\nuser = \"store\"\ngroups = [\"all\"]\n\
         accounts = [\"backup\"]\noverlap = \"1ms\"\nshadow = \"1ms\"\nmissed = \"{missed}\"\n"
    );
    let mut policy: Policy = toml::from_str(&text).unwrap();
    policy
        .join(&Groups::default(), &Networks::default())
        .unwrap();
    policy
}

/// A key as it is on the wire, of this number.
pub(super) fn wire(number: u8) -> Vec<u8> {
    let kind = b"ssh-ed25519";
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let point = [number; 32];
    [&length(kind)[..], kind, &length(&point), &point].concat()
}

pub(super) fn heard<T>(number: u8, report: T) -> Heard<T> {
    Heard {
        host: host(number),
        lane: Lane::Access,
        epoch: Epoch(1),
        seq: 1,
        kept_at: clock::now(),
        boot: [9; 16],
        report,
    }
}

/// Hosts, and what is looked at.
pub(super) struct Stage<'a> {
    pub(super) store: &'a Fresh,
    pub(super) policy: Policy,
    pub(super) renewal: Renewal,
    pub(super) looked: Looked,
}

impl Stage<'_> {
    pub(super) async fn look(&mut self) {
        let mut looked = look(self.store, (&self.policy, &ROOMS)).await.unwrap();
        let facts = looked.facts.take().unwrap();
        let stands = Stands {
            rotations: facts.running(),
            authorities: Vec::new(),
        };
        let with = (&facts.hosts[..], &self.policy, &stands);
        self.renewal
            .renew(self.store, with, clock::now())
            .await
            .unwrap();
        self.looked = looked;
    }

    pub(super) fn phase(&self) -> &'static str {
        self.looked.stands[0].rotation.phase.word()
    }

    /// The client has the keys that it was told to have, and says so.
    pub(super) async fn client_obeys(&self) {
        let [identity] = &self.looked.owned["web-1"].identities[..] else {
            panic!("{:?}", self.looked.owned);
        };
        assert_eq!(identity.account, "store");
        self.client_says(identity, |serial| wire(u8::try_from(serial).unwrap()))
            .await;
    }

    /// The client says that these keys are the ones that it was told to have.
    pub(super) async fn client_says(&self, identity: &Identity, key: impl Fn(u32) -> Vec<u8>) {
        let made = |serial: &u32| Made {
            serial: *serial,
            key: key(*serial),
        };
        let holding = Holding {
            at: clock::now(),
            name: identity.name.clone(),
            keys: identity.serials.iter().map(made).collect(),
            using: identity.using,
            trouble: None,
        };
        let mut tx = self.store.begin().await.unwrap();
        hear(&mut tx, &[heard(1, holding)], &self.policy, clock::now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Hosts that are heard hold what they were ordered last.
    pub(super) async fn hosts_obey(&self) {
        let generation = revoked::generation(self.store).await.unwrap();
        let told = [1, 2].map(|number| {
            heard(
                number,
                Told::Holding(instruments::Holding {
                    at: clock::now(),
                    generation: Some(generation),
                    revoked: 0,
                    digest: None,
                    managed: 1,
                    unmanaged: None,
                    trouble: None,
                    ..instruments::Holding::default()
                }),
            )
        });
        let mut tx = self.store.begin().await.unwrap();
        absorb(&mut tx, &told, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Whatever the client is to try comes out as it should.
    pub(super) async fn tries_work(&self) {
        let mut tx = self.store.begin().await.unwrap();
        for one in &self.looked.tries {
            let (serial, now) = match (&one.old, one.refusal) {
                (Some((serial, _)), true) => (*serial, Some(clock::now())),
                _ => (one.new.0, Some(clock::now())),
            };
            let known = Place {
                proven_at: now.filter(|_| !one.refusal),
                refused_at: now.filter(|_| one.refusal),
                tries: 0,
                ..Place::default()
            };
            rows::keep_place(&mut tx, (&one.name, &one.at, serial), &known)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Looks and has everybody do what they are told, until it is in this phase.
    pub(super) async fn until(&mut self, phase: &str) {
        for _ in 0..30 {
            self.look().await;
            if self.phase() == phase {
                return;
            }
            if !self.looked.owned.is_empty() {
                self.client_obeys().await;
            }
            self.hosts_obey().await;
            self.look().await;
            if self.phase() == phase {
                return;
            }
            self.tries_work().await;
        }
        panic!("{:?}", self.looked.stands);
    }

    pub(super) async fn lines(&self, number: u8) -> Vec<Managed> {
        let all = managed::all(self.store).await.unwrap();
        let own = |one: &Held| one.host == host(number).name;
        all.into_iter().filter(own).map(|one| one.line).collect()
    }

    /// As if this had been so long ago.
    pub(super) async fn age(&self, days: i64) {
        for column in ["old_at", "since", "begun_at"] {
            let sql = format!("UPDATE keys_rotation SET {column} = {column} - $1");
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(days * 86_400_000_000)
                .execute(self.store.read())
                .await
                .unwrap();
        }
    }
}

pub(super) async fn stage<'a>(store: &'a Fresh, missed: &str) -> Stage<'a> {
    let mut stage = Stage {
        store,
        policy: policy(missed),
        renewal: Renewal::default(),
        looked: Looked::default(),
    };
    stage.look().await;
    assert_eq!(
        stage.phase(),
        "idle",
        "it is waited whether the client has a key"
    );
    assert!(stage.looked.owned.is_empty());
    stage.age(1).await;
    stage
}
