//! What hosts are ordered to show of themselves, from what they were seen to show.

use std::process::{Command, Stdio};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use watchward_protocol::host_keys::HostKeys;

use super::*;
use crate::intake::Watched;
use crate::keys::host_keys::Room;
use crate::policy::{Groups, Networks};
use crate::sealing::Sealing;

pub(super) const TABLE: &str = "[[keys.hosts]]\ngroups = [\"all\"]\nnames = [\"*.example.org\"]\n";
pub(super) const TURNING: &str = "every = \"10d\"\noverlap = \"1d\"\n";

pub(super) fn policy(text: &str) -> Result<Policy, String> {
    #[derive(Deserialize)]
    struct Whole {
        keys: Policy,
    }
    let place = std::path::Path::new("policy.toml");
    let read = watchward_daemon::config::parse::<Whole>(text, place, |whole| {
        whole.keys.join(&Groups::default(), &Networks::default())
    });
    read.map(|whole| whole.keys)
        .map_err(|error| error.to_string())
}

pub(super) fn hosts(_: &Store) -> BoxFuture<'_, sqlx::Result<Vec<Watched>>> {
    let one = |number| Watched {
        host: host(number),
        is_silent: number == 2,
    };
    Box::pin(async move { Ok(vec![one(1), one(2)]) })
}

/// An Ed25519 key that sshd shows.
pub(super) fn own(byte: u8, file: &str) -> Opening {
    let wire = [&b"\0\0\0\x0bssh-ed25519\0\0\0\x20"[..], &[byte; 32]].concat();
    Opening {
        key: Some(PublicKey {
            kind: "ssh-ed25519".into(),
            bits: 256,
            fingerprint: proof::fingerprint(&wire),
            wire,
        }),
        file: file.to_owned(),
        ..means(Means::HostKey, key('h'))
    }
}

/// The same key's certificate, as sshd shows it.
pub(super) fn certified(key: &Opening, until: i64) -> Opening {
    let number = key.key.as_ref().unwrap().wire[50];
    Opening {
        means: Means::HostCertificate,
        file: format!("{}now/host/{number}-cert.pub", HostKeys::FOLDER),
        not_after: Some(at(until)),
        ..key.clone()
    }
}

pub(super) struct Stage {
    pub(super) store: Fresh,
    room: Room,
    seq: u64,
}

impl Stage {
    pub(super) async fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for store in stores().await {
            let (revocations, _) = Revocations::open(&store).await.unwrap();
            let policy = Live::fixed(Policy::default());
            let sealing = Sealing::fleeting();
            let authority = Authority::new(store.clone(), sealing, policy, revocations);
            let room = Room::new(store.clone(), authority);
            let seq = 0;
            all.push(Self { store, room, seq });
        }
        all
    }

    /// What host 1 says that it shows.
    pub(super) async fn shows(&mut self, seconds: i64, openings: &[Opening]) {
        self.seq += 1;
        let told = itself(self.seq, seconds, &["root"], openings);
        hear(&self.store, &[told], at(seconds)).await;
    }

    /// What host 1 is ordered then.
    pub(super) async fn ordered(&mut self, text: &str, seconds: i64) -> Option<HostKeys> {
        let policy = policy(text).unwrap();
        let looked = self.room.look(hosts, &policy, at(seconds)).await.unwrap();
        looked.0.of("web-1").map(|all| HostKeys::clone(&all))
    }
}

/// What ssh-keygen says of a certificate.
pub(super) fn read(wire: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(wire);
    let mut child = Command::new("ssh-keygen")
        .args(["-L", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("TZ", "UTC")
        .spawn()
        .unwrap();
    let line = format!("ssh-ed25519-cert-v01@openssh.com {text}\n");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    String::from_utf8(said.stdout).unwrap()
}

#[tokio::test]
async fn a_host_is_certified_for_its_own_name_and_again_in_time() {
    for mut stage in Stage::all().await {
        let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
        let rsa = Opening {
            key: Some(PublicKey {
                kind: "ssh-rsa".into(),
                bits: 3072,
                ..own(2, "").key.unwrap()
            }),
            ..own(2, "/etc/ssh/ssh_host_rsa_key.pub")
        };
        stage.shows(0, &[first.clone(), rsa.clone()]).await;
        assert_eq!(
            stage.ordered("[keys]", 1).await,
            None,
            "nothing is configured"
        );
        let ordered = stage.ordered(TABLE, 1).await.unwrap();
        let [certificate] = &ordered.certificates[..] else {
            panic!("{ordered:?}");
        };
        let said = read(certificate);
        let lines: Vec<_> = said.lines().map(str::trim).collect();
        for expected in [
            "Type: ssh-ed25519-cert-v01@openssh.com host certificate",
            "web-1",
            "web-1.example.org",
            "Critical Options: (none)",
            "Extensions: (none)",
        ] {
            assert!(lines.contains(&expected), "no {expected} in {said}");
        }
        assert!(!said.contains("web-2"), "{said}");
        assert!(ordered.own && ordered.serials.is_empty());

        stage
            .shows(
                2,
                &[first.clone(), rsa.clone(), certified(&first, 30 * DAY)],
            )
            .await;
        let again = stage.ordered(TABLE, 20 * DAY - 60).await.unwrap();
        assert_eq!(again, ordered, "it is good for a while");
        let renewed = stage.ordered(TABLE, 20 * DAY + 60).await.unwrap();
        assert_ne!(renewed, ordered);
        assert_eq!(open(&stage.store).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn people_hear_of_a_certificate_before_it_is_over_and_another_key_needs_another() {
    for mut stage in Stage::all().await {
        let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(TABLE, 1).await.unwrap();
        stage
            .shows(2, &[first.clone(), certified(&first, 30 * DAY)])
            .await;
        let renewed = stage.ordered(TABLE, 20 * DAY + 60).await.unwrap();
        stage.ordered(TABLE, 25 * DAY + 60).await.unwrap();
        let told = open(&stage.store).await;
        let ends = "warning web-1 shows a certificate that is over at";
        assert!(told.iter().any(|it| it.starts_with(ends)), "{told:?}");
        let all = [first.clone(), certified(&first, 50 * DAY)];
        stage.shows(25 * DAY + 70, &all).await;
        stage.ordered(TABLE, 25 * DAY + 80).await.unwrap();
        assert_eq!(open(&stage.store).await, Vec::<String>::new());

        let other = own(3, "/etc/ssh/ssh_host_ed25519_key.pub");
        stage.shows(26 * DAY, &[other]).await;
        let changed = stage.ordered(TABLE, 26 * DAY + 1).await.unwrap();
        assert_eq!(
            changed.certificates.len(),
            1,
            "nothing is left of the one before"
        );
        assert_ne!(changed, renewed);
        let nothing = stage.ordered("[keys]", 26 * DAY + 2).await;
        assert_eq!(
            nothing,
            Some(HostKeys::default()),
            "the policy says nothing of it any more"
        );
    }
}

#[tokio::test]
async fn another_key_takes_a_hosts_keys_place_when_it_was_shown_for_long_enough() {
    for mut stage in Stage::all().await {
        let table = format!("{TABLE}{TURNING}");
        let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
        stage.shows(0, std::slice::from_ref(&first)).await;
        let before = stage.ordered(&table, 1).await.unwrap();
        assert!(before.serials.is_empty());
        let begun = stage.ordered(&table, 10 * DAY + 1).await.unwrap();
        assert_eq!((begun.own, &begun.serials[..]), (true, &[1][..]));

        // However long it takes, the old one stays until the new one is seen with its certificate.
        let waits = stage.ordered(&table, 15 * DAY).await.unwrap();
        assert_eq!((waits.own, &waits.serials[..]), (true, &[1][..]));
        let new = own(9, &format!("{}host/1/key.pub", HostKeys::FOLDER));
        stage.shows(15 * DAY, &[first.clone(), new.clone()]).await;
        let both = stage.ordered(&table, 15 * DAY + 1).await.unwrap();
        assert_eq!(both.certificates.len(), 2);
        let all = [
            first.clone(),
            new.clone(),
            certified(&first, 45 * DAY),
            certified(&new, 45 * DAY),
        ];
        stage.shows(15 * DAY + 2, &all).await;
        let beside = stage.ordered(&table, 15 * DAY + 3).await.unwrap();
        assert!(beside.own, "for the overlap");
        let alone = stage.ordered(&table, 16 * DAY + 4).await.unwrap();
        assert_eq!((alone.own, &alone.serials[..]), (false, &[1][..]));
        let told = open(&stage.store).await;
        assert_eq!(told, Vec::<String>::new());

        stage
            .shows(16 * DAY + 5, &[new.clone(), certified(&new, 45 * DAY)])
            .await;
        let next = stage.ordered(&table, 26 * DAY + 5).await.unwrap();
        assert_eq!((next.own, &next.serials[..]), (false, &[1, 2][..]));
    }
}

#[tokio::test]
async fn a_key_where_ours_stand_that_nobody_ordered_is_news_and_not_certified() {
    for file in ["host/1/key.pub", "now/host/key.pub"] {
        for mut stage in Stage::all().await {
            let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
            stage.shows(0, std::slice::from_ref(&first)).await;
            let before = stage.ordered(TABLE, 1).await;
            let strange = own(7, &format!("{}{file}", HostKeys::FOLDER));
            stage.shows(DAY, &[first, strange]).await;
            let told = open(&stage.store).await;
            assert!(told.iter().any(|it| it.contains("host key")), "{told:?}");
            assert_eq!(stage.ordered(TABLE, DAY + 1).await, before);
        }
    }
}

#[tokio::test]
async fn a_host_that_was_revoked_begins_anew_with_its_own_keys() {
    for mut stage in Stage::all().await {
        let table = format!("{TABLE}{TURNING}");
        let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
        stage.shows(0, std::slice::from_ref(&first)).await;
        stage.ordered(&table, 1).await.unwrap();
        let begun = stage.ordered(&table, 10 * DAY + 1).await.unwrap();
        assert_eq!(begun.serials, [1]);
        let mut tx = stage.store.begin().await.unwrap();
        forget(&mut tx, host(1).id, at(11 * DAY)).await.unwrap();
        tx.commit().await.unwrap();
        stage.shows(11 * DAY, &[first]).await;
        let anew = stage.ordered(&table, 11 * DAY + 1).await.unwrap();
        assert!(anew.own && anew.serials.is_empty());
    }
}

#[tokio::test]
async fn however_many_keys_a_host_shows_ours_is_certified_and_few_others() {
    for mut stage in Stage::all().await {
        let table = format!("{TABLE}{TURNING}");
        let name = |number| format!("/etc/ssh/{number}.pub");
        let mut all: Vec<_> = (10..40).map(|it| own(it, &name(it))).collect();
        stage.shows(0, &all).await;
        let first = stage.ordered(&table, 1).await.unwrap();
        assert_eq!(first.certificates.len(), HostKeys::MOST_CERTIFICATES);
        stage.ordered(&table, 10 * DAY + 1).await.unwrap();
        all.push(own(9, &HostKeys::public_file(1)));
        stage.shows(10 * DAY + 2, &all).await;
        let ordered = stage.ordered(&table, 10 * DAY + 3).await.unwrap();
        assert_eq!(ordered.certificates.len(), HostKeys::MOST_CERTIFICATES);
        let is_ours = |wire: &Vec<u8>| wire.windows(32).any(|it| it == [9; 32]);
        assert!(ordered.certificates.iter().any(is_ours));
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_certified_holds_up_no_other() {
    for mut stage in Stage::all().await {
        // Both begin at one moment: what comes second cannot be kept.
        let mut tx = stage.store.begin().await.unwrap();
        sqlx::query("CREATE UNIQUE INDEX one_at_a_time ON keys_host_key (since)")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let first = own(1, "/etc/ssh/ssh_host_ed25519_key.pub");
        stage.shows(0, std::slice::from_ref(&first)).await;
        let ordered = stage.ordered(TABLE, 1).await.unwrap();
        assert_eq!(ordered.certificates.len(), 1);
    }
}

#[test]
fn a_table_that_would_certify_everything_or_never_end_is_refused() {
    for wrong in [
        "names = [\"*\"]",
        "names = [\"*.*\"]",
        "names = [\"a,b\"]",
        "names = [\"!web\"]",
        "names = [\"\"]",
        "certificate = \"1s\"",
        "every = \"10d\"\noverlap = \"10d\"",
    ] {
        let text = format!("[[keys.hosts]]\ngroups = [\"all\"]\n{wrong}\n");
        assert!(policy(&text).is_err(), "{wrong}");
    }
    assert!(policy(&format!("{TABLE}{TURNING}")).is_ok());
}
