//! A client that was broken into: whatever key it names, that of nobody else goes.

use watchward_protocol::identities::Identity;
use watchward_protocol::keys::{Holder, Keys, Means, Opening, PublicKey};
use watchward_protocol::text::Foreign;

use super::stage::Stage;
use super::*;
use crate::keys::rows::claim::{Other, other};
use crate::policy::{Groups, Networks};

/// What makes somebody else's of a key.
#[derive(Clone, Copy, Debug)]
enum Made {
    Authority,
    Owned,
    Canary,
    Another,
    Given,
    Revoked,
    Listed,
}

const ALL: [Made; 7] = [
    Made::Authority,
    Made::Owned,
    Made::Canary,
    Made::Another,
    Made::Given,
    Made::Revoked,
    Made::Listed,
];

impl Made {
    async fn happen(self, stage: &mut Stage<'_>, key: &[u8]) {
        let (store, name) = (stage.store, fingerprint(key));
        match self {
            Self::Owned => rule(
                stage,
                &format!("[[owners]]\nperson = \"ann\"\nkeys = [\"{name}\"]"),
            ),
            Self::Canary => rule(
                stage,
                &format!("[[canaries]]\nname = \"decoy\"\nfingerprint = \"{name}\""),
            ),
            Self::Listed => list(store, key).await,
            Self::Authority => {
                run(
                    store,
                    "INSERT INTO keys_authority (id, public, sealed, made_at, serial, ended_at) \
                     VALUES (7, $1, $1, 0, 0, 1)",
                    // The point alone, as authorities are kept.
                    &key[19..],
                )
                .await;
            }
            Self::Another => {
                run(
                    store,
                    "INSERT INTO keys_rotation (name, client, account, version, phase, since, \
                     begun_at, revoked, last, nets, gone_at, old_serial, old_key, old_at) \
                     VALUES ('other', 'web-2', 'x', 1, 0, 0, 0, 0, 1, '[]', 9000000000000000, 1, \
                     $1, 0)",
                    key,
                )
                .await;
            }
            Self::Given => {
                let sql = format!(
                    "INSERT INTO keys_certificate (at, person, fingerprint, kind, wire, serial, \
                     name, principals) VALUES (0, 'ann', '{name}', 'ssh-ed25519', $1, 1, '', '')"
                );
                run(store, &sql, key).await;
            }
            Self::Revoked => {
                let sql = format!(
                    "INSERT INTO keys_revoked (fingerprint, kind, wire, reason, author, at) \
                     VALUES ('{name}', 'ssh-ed25519', $1, '', 'ann', 0)"
                );
                run(store, &sql, key).await;
            }
        }
    }
}

async fn run(store: &Fresh, sql: &str, key: &[u8]) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    let made = sqlx::query(sql).bind(key.to_vec());
    made.execute(store.read()).await.unwrap();
}

fn rule(stage: &mut Stage<'_>, text: &str) {
    let mut policy: Policy = toml::from_str(text).unwrap();
    policy
        .join(&Groups::default(), &Networks::default())
        .unwrap();
    policy.machines = stage.policy.machines.clone();
    stage.policy = policy;
}

/// Somebody put it where nobody ordered it.
async fn list(store: &Fresh, key: &[u8]) {
    let opening = Opening {
        means: Means::AuthorizedKey,
        key: Some(PublicKey {
            kind: "ssh-ed25519".into(),
            bits: 256,
            fingerprint: fingerprint(key),
            wire: key.to_vec(),
        }),
        file: "/root/.ssh/authorized_keys".into(),
        line: Some(1),
        comment: Foreign::default(),
        options: "".into(),
        principals: Vec::new(),
        not_before: None,
        not_after: None,
        condition: None,
    };
    let keys = Keys {
        at: clock::now(),
        holder: Holder::Account("root".into()),
        openings: vec![opening],
        omitted: 0,
        troubles: Vec::new(),
    };
    let mut tx = store.begin().await.unwrap();
    let policy = Policy::default();
    crate::keys::absorb(&mut tx, &[heard(2, keys)], &policy, clock::now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn claims(store: &Fresh) -> usize {
    let of_it = |it: &alerting::Alert| it.key.starts_with("keys.rotation-claim");
    raised(store).await.iter().filter(|it| of_it(it)).count()
}

async fn revoked_by_rotation(store: &Fresh) -> usize {
    let all = revoked::revoked(store).await.unwrap();
    all.iter().filter(|it| it.author == "rotation").count()
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_learnt() {
    for made in ALL {
        for store in stores().await {
            let mut stage = stage(&store, "page").await;
            made.happen(&mut stage, &wire(9)).await;
            stage.until("making").await;
            let identity = stage.looked.owned["web-1"].identities[0].clone();
            stage.client_says(&identity, |_| wire(9)).await;
            stage.look().await;
            assert_eq!(stage.phase(), "making", "{made:?}");
            assert_eq!(stage.lines(2).await, [], "{made:?}");
            assert_eq!(claims(&store).await, 1, "{made:?}");
            let why = &stage.looked.stands[0].pending[0].why;
            assert!(why.starts_with("it says that the key SHA256:"), "{why}");
            stage.until("adding").await;
        }
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_is_not_taken_over() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        list(&store, &wire(9)).await;
        let identity = Identity {
            name: "backup".to_owned(),
            account: "store".to_owned(),
            serials: vec![4],
            using: 4,
        };
        stage.client_says(&identity, |_| wire(9)).await;
        stage.look().await;
        let rotation = &stage.looked.stands[0].rotation;
        assert_eq!((&rotation.old, stage.phase()), (&None, "idle"));
        assert_eq!(claims(&store).await, 1);
    }
}

#[tokio::test]
async fn a_key_that_turned_out_to_be_somebody_elses_is_not_revoked() {
    for missed in ["page", "revoke"] {
        for store in stores().await {
            let mut stage = stage(&store, missed).await;
            stage.until("adding").await;
            stage.until("idle").await;
            list(&store, &wire(1)).await;
            assert_eq!(
                other(&store, &fingerprint(&wire(1))).await.unwrap(),
                Some(Other::Stands("web-2".to_owned()))
            );
            stage.age(if missed == "page" { 31 } else { 60 }).await;
            if missed == "page" {
                stage.until("shadow").await;
            }
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                stage.look().await;
            }
            assert_eq!(revoked_by_rotation(&store).await, 0, "{missed}");
            assert_eq!(claims(&store).await, 1, "{missed}");
        }
    }
}

#[tokio::test]
async fn what_is_no_plain_key_is_none() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        stage.until("making").await;
        let identity = stage.looked.owned["web-1"].identities[0].clone();
        let longer = |_| [wire(1), vec![0]].concat();
        stage.client_says(&identity, longer).await;
        stage.look().await;
        assert_eq!(stage.phase(), "making");
    }
}

#[tokio::test]
async fn the_key_for_emergencies_does_not_rotate() {
    for store in stores().await {
        let mut stage = stage(&store, "revoke").await;
        stage.until("adding").await;
        stage.until("idle").await;
        let name = fingerprint(&wire(1));
        let text = format!("[[break_glass]]\nname = \"safe\"\nfingerprint = \"{name}\"");
        rule(&mut stage, &text);
        stage.age(60).await;
        stage.look().await;
        assert_eq!(stage.phase(), "idle");
        let why = &stage.looked.stands[0].pending[0].why;
        assert!(why.contains("break-glass key safe"), "{why}");
        assert_eq!(revoked_by_rotation(&store).await, 0);
    }
}
