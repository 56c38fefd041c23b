//! What is given to whom, on both databases, as ssh-keygen reads it.

mod hosts;
mod logins;
mod revoked;
mod rotated;
mod steps;

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde::Deserialize;
use watchward_protocol::span::Span;

use super::certificate::Certifiable;
use super::issue::{Person, Refused};
use super::*;
use crate::keys::proof::Offered;
use crate::keys::rows::certificate as given;
use crate::people::Role;
use crate::people::Roles;
use crate::people::deed::Wanted;
use crate::policy::Groups;
use crate::store::testing::{self, Fresh};

const LAPTOP: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIJ6aPrjGHqGkXqPu0OZ1dWy0QhPsOmWmDVbzH2kUQ2Hf ada@laptop";
const POLICY: &str = "[networks]\noffice = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n\
    [[keys.certificates]]\nroles = [\"operator\"]\nfrom = [\"office\"]\nlife = \"4h\"\n\
    [[keys.certificates]]\npeople = [\"zoe\"]\nfrom = [\"office\"]\nforwarding = true\n";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

fn policy(text: &str) -> Result<Policy, String> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        networks: crate::policy::Networks,
        #[serde(default)]
        groups: Groups,
        keys: Policy,
    }
    let place = std::path::Path::new("policy.toml");
    let read = watchward_daemon::config::parse::<Whole>(text, place, |whole| {
        whole.networks.join()?;
        whole.keys.join(&whole.groups, &whole.networks)
    });
    read.map(|whole| whole.keys)
        .map_err(|error| error.to_string())
}

async fn authorities() -> Vec<(Fresh, Authority)> {
    let mut all = Vec::new();
    for fresh in testing::stores(&[crate::keys::SCHEMA, crate::alerting::SCHEMA]).await {
        let authority = of(&fresh, POLICY).await;
        all.push((fresh, authority));
    }
    all
}

async fn of(store: &Store, text: &str) -> Authority {
    let policy = Live::fixed(policy(text).unwrap());
    let (revocations, _) = Revocations::open(store).await.unwrap();
    Authority::new(store.clone(), Sealing::fleeting(), policy, revocations)
}

fn ada<'a>(roles: &'a Roles, address: &str) -> Person<'a> {
    Person {
        name: "ada",
        roles,
        address: Some(address.parse().unwrap()),
        unfinished: None,
    }
}

/// What ssh-keygen says of a certificate.
fn read(certificate: &str) -> String {
    let mut child = Command::new("ssh-keygen")
        .args(["-L", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .env("TZ", "UTC")
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{certificate}").unwrap();
    drop(input);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{certificate}");
    String::from_utf8(said.stdout).unwrap()
}

#[tokio::test]
async fn who_fits_is_given_what_the_policy_says() {
    for (_fresh, authority) in authorities().await {
        let roles = Roles::from(Role::Operator);
        let key = Offered::read(LAPTOP).unwrap();
        let person = ada(&roles, "192.0.2.7");
        let issued = authority
            .issue(&person, &key, at(0))
            .await
            .unwrap()
            .unwrap();
        let said = read(&issued.certificate);
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        for expected in [
            "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
            "Key ID: \"ada watchward-1-1\"",
            "Serial: 1",
            "Valid: from 2027-01-15T07:55:00 to 2027-01-15T12:00:00",
            "role:operator",
            "person:ada",
            "source-address 192.0.2.0/24,2001:db8::/32",
            "permit-pty",
        ] {
            assert!(lines.contains(&expected), "no {expected} in {said}");
        }
        assert!(!said.contains("permit-port-forwarding"), "{said}");
        let live = rows::live(authority.store.read(), Whose::People)
            .await
            .unwrap();
        let key = rows::signing(live).unwrap().wire();
        let by = fingerprint(&key);
        assert!(
            said.contains(&format!("Signing CA: ED25519 {by}")),
            "{said}"
        );
        let line = authority.lines(at(1)).await.unwrap().remove(0);
        assert_eq!(
            Offered::read(&line).unwrap().fingerprint,
            Some(by),
            "hosts trust that key"
        );
    }
}

#[tokio::test]
async fn whoever_does_not_fit_is_refused_and_both_are_kept() {
    for (_fresh, authority) in authorities().await {
        let key = Offered::read(LAPTOP).unwrap();
        let (operator, access) = (Roles::from(Role::Operator), Roles::from(Role::Access));
        let ask = async |person: Person<'_>| authority.issue(&person, &key, at(0)).await.unwrap();
        let why = ask(ada(&access, "192.0.2.7")).await.unwrap_err();
        assert_eq!(why, Refused::Nobody);
        let why = ask(ada(&operator, "203.0.113.7")).await.unwrap_err();
        assert_eq!(why.to_string().lines().count(), 1);
        assert!(matches!(why, Refused::Elsewhere(_, names) if names == "office"));
        let zoe = Person {
            name: "zoe",
            roles: &access,
            address: None,
            unfinished: None,
        };
        let given = ask(zoe).await.unwrap();
        assert!(read(&given.certificate).contains("permit-port-forwarding"));

        let mut tx = authority.store.begin().await.unwrap();
        let revoke = "INSERT INTO keys_revoked (fingerprint, kind, wire, reason, author, at) \
            VALUES ($1, 'ssh-ed25519', $2, 'lost', 'root', 0)";
        sqlx::query(revoke)
            .bind(key.fingerprint.clone())
            .bind(key.wire.clone())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            ask(ada(&operator, "192.0.2.7")).await.unwrap_err(),
            Refused::Revoked
        );

        let wanted = Wanted {
            since: at(-1),
            before: at(1),
            who: String::new(),
            limit: 10,
        };
        let deeds = given::deeds(&authority.store, &wanted).await.unwrap();
        let told: Vec<_> = deeds
            .iter()
            .map(|deed| (deed.who.as_str(), deed.what.as_str()))
            .collect();
        let refused = ("ada", "was refused a certificate");
        assert_eq!(
            told,
            [
                refused,
                ("zoe", "was given a certificate"),
                refused,
                refused
            ]
        );
    }
}

#[tokio::test]
async fn every_serial_is_used_once_and_another_master_key_opens_nothing() {
    for (_fresh, authority) in authorities().await {
        let roles = Roles::from(Role::Operator);
        let key = Offered::read(LAPTOP).unwrap();
        let mut serials = Vec::new();
        for _ in 0..3 {
            let person = ada(&roles, "2001:db8::7");
            let issued = authority
                .issue(&person, &key, at(0))
                .await
                .unwrap()
                .unwrap();
            serials.push(issued.serial);
        }
        assert_eq!(serials, [1, 2, 3]);
        let still = async |person, now| {
            given::still(&authority.store, given::Whose::Person(person), now)
                .await
                .unwrap()
        };
        let found = still("ada", at(60)).await;
        assert!(
            found.len() == 3
                && found
                    .iter()
                    .all(|one| Some(&one.fingerprint) == key.fingerprint.as_ref())
        );
        assert!(
            still("zoe", at(60)).await.is_empty() && still("ada", at(4 * 3600)).await.is_empty()
        );
        let other = Authority {
            sealing: Sealing::fleeting(),
            ..authority.clone()
        };
        let person = ada(&roles, "192.0.2.7");
        let error = other.issue(&person, &key, at(0)).await.unwrap_err();
        assert!(error.to_string().contains("master key"), "{error:#}");
    }
}

#[test]
fn a_table_that_makes_no_sense_is_refused_at_its_place() {
    for (table, why) in [
        (
            "roles = [\"operator\"]\nfrom = [\"home\"]",
            "there is no network \"home\"",
        ),
        ("from = [\"office\"]", "for whom?"),
        ("roles = [\"operator\"]", "missing field `from`"),
        (
            "people = [\"ada\"]\nfrom = [\"office\"]\nlife = \"2d\"",
            "\"1m\" to \"1d\"",
        ),
        (
            "roles = [\"king\"]\nfrom = [\"office\"]",
            "unknown variant `king`",
        ),
    ] {
        let text =
            format!("[networks]\noffice = [\"192.0.2.0/24\"]\n[[keys.certificates]]\n{table}\n");
        let error = policy(&text).unwrap_err();
        assert!(error.contains(why), "{table}: {error}");
    }
    assert_eq!(
        policy(POLICY).unwrap().certificates[1].life(),
        Span::minutes(480)
    );
}

proptest! {
    /// Whatever a person sends as a key, a certificate is made for a whole one or none at all.
    #[test]
    fn a_key_that_is_cut_or_changed_is_no_key_or_another(at in 0_usize..51, byte: u8, cut in 0_usize..51) {
        let mut key = Offered::read(LAPTOP).unwrap();
        prop_assert!(Certifiable::of(&key).is_some());
        let whole = key.wire.clone();
        key.wire.truncate(cut);
        prop_assert!(Certifiable::of(&key).is_none());
        key.wire.clone_from(&whole);
        key.wire[at] = byte;
        let has_kind = key.wire.starts_with(&whole[..19]);
        prop_assert_eq!(Certifiable::of(&key).is_some(), has_kind);
    }
}
