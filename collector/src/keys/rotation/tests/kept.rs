//! What is kept of what hosts say of themselves, and for how long.

use watchward_protocol::identities::Made;

use super::stage::policy;
use super::*;
use crate::keys::rows::{prune, reached};

const DAY: i64 = 86_400_000_000;

#[tokio::test]
async fn only_clients_are_heard_and_only_of_keys_that_rotate() {
    for store in stores().await {
        let policy = policy("page");
        let holding = |name: &str, key: Vec<u8>| Holding {
            at: clock::now(),
            name: name.to_owned(),
            keys: vec![Made { serial: 1, key }],
            using: 1,
            trouble: None,
        };
        let told = [
            heard(1, holding("backup", vec![1; 5000])),
            heard(1, holding("another", wire(1))),
            heard(2, holding("backup", wire(1))),
        ];
        let mut tx = store.begin().await.unwrap();
        hear(&mut tx, &told, &policy, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
        let sql = "SELECT host_name, name, keys FROM keys_identity";
        let kept: Vec<(String, String, String)> =
            sqlx::query_as(sql).fetch_all(store.read()).await.unwrap();
        let only = ("web-1".to_owned(), "backup".to_owned(), "{}".to_owned());
        assert_eq!(kept, [only]);
    }
}

#[test]
fn a_client_that_wanders_is_followed_only_so_often() {
    let mut machine = policy("page").machines.remove(0);
    let (noon, net) = (clock::now(), |text: &str| vec![text.parse().unwrap()]);
    let mut rotation = Rotation::new(&machine, noon);
    assert!(rotation.move_to(net("192.0.2.1/32"), &machine, noon));
    let soon = noon + Duration::from_secs(599);
    assert!(!rotation.move_to(net("192.0.2.2/32"), &machine, soon));
    assert_eq!(rotation.from, net("192.0.2.1/32"));
    let later = noon + Duration::from_secs(600);
    assert!(!rotation.move_to(Vec::new(), &machine, later), "not known");
    assert!(rotation.move_to(net("192.0.2.2/32"), &machine, later));
    let said = "name = \"b\"\nclient = \"web-1\"\nuser = \"store\"\ngroups = [\"all\"]\n\
        accounts = [\"b\"]\nfrom = [\"trusted\"]";
    machine.from = toml::from_str::<Machine>(said).unwrap().from;
    let at_once = rotation.move_to(net("192.0.2.3/32"), &machine, later);
    assert!(at_once, "the policy is followed at once");
}

#[tokio::test]
async fn only_what_shows_something_is_kept_for_long() {
    for store in stores().await {
        let now = clock::now();
        let at = |days: i64| now.as_micros() + days * DAY;
        for (generation, held) in [
            (-99, true),
            (-98, true),
            (-97, true),
            (-96, false),
            (-1, true),
        ] {
            let sql = "INSERT INTO keys_reached (host, generation, host_name, said_at, held_at) \
                VALUES ($1, $2, 'web-1', $2, $3)";
            sqlx::query(sql)
                .bind(vec![1; 16])
                .bind(at(generation))
                .bind(held.then(|| at(generation)))
                .execute(store.read())
                .await
                .unwrap();
        }
        for sql in [
            "INSERT INTO keys_revoked (fingerprint, kind, wire, reason, author, at, generation) \
             VALUES ('SHA256:x', '', $1, '', 'ann', 0, $2 - 1)",
            "INSERT INTO keys_rotation_phase (name, begun_at, at, what, old) \
             VALUES ('backup', LENGTH($1), $2, 'done', '')",
        ] {
            let made = sqlx::query(sql).bind(Vec::<u8>::new()).bind(at(-98));
            made.execute(store.read()).await.unwrap();
        }
        let mut tx = store.begin().await.unwrap();
        let oldest = now - Duration::from_secs(30 * 86_400);
        prune(&mut tx, oldest).await.unwrap();
        tx.commit().await.unwrap();
        let all = reached::since(&store, 0).await.unwrap();
        let kept: Vec<_> = all.iter().map(|it| it.generation.cast_signed()).collect();
        let why = "the first with which it held what is revoked, and the last";
        assert_eq!(kept, [at(-98), at(-1)], "{why}");
        assert_eq!(rows::events(&store, "backup").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_client_is_told_how_the_hosts_are_known_that_its_programs_log_in_to() {
    for store in stores().await {
        let mut stage = stage(&store, "page").await;
        stage.until("adding").await;
        assert_eq!(stage.looked.owned["web-1"].known_hosts, [""; 0]);
        let mut tx = store.begin().await.unwrap();
        for sql in [
            "INSERT INTO keys_authority (id, public, sealed, made_at, signs_at, serial, of_hosts) \
             VALUES (7, $1, $1, 0, 0, 0, 1)",
            "INSERT INTO keys_host_certificate (host_name, fingerprint, authority, serial, \
             principals, since, until, wire) VALUES ('web-2', 'x', 7, 1, 'web-2', 0, 1, $1)",
        ] {
            let made = sqlx::query(sql).bind(vec![7_u8; 32]);
            made.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        stage.look().await;
        let lines = &stage.looked.owned["web-1"].known_hosts;
        assert!(
            lines[0].starts_with("@cert-authority web-2 ssh-ed25519 AAAA"),
            "{lines:?}"
        );
    }
}
