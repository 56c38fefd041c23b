//! A report is one screen, and believed as it was signed.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::receipt;
use crate::time::Timestamp;

fn at(second: i64) -> Moment {
    Timestamp::from_micros((1_800_000_000 + second) * 1_000_000).into()
}

fn glass(host: &str, is_proven: bool) -> BreakGlass {
    BreakGlass {
        name: "the safe".into(),
        host: host.into(),
        opened_at: is_proven.then(|| at(1)),
        is_proven,
        why: if is_proven {
            ""
        } else {
            "not root: sshd refuses it"
        }
        .into(),
    }
}

fn report(signer: String) -> Report {
    let revoked = |number: i64| Revoked {
        receipt: number,
        key: format!("SHA256:{}", "a".repeat(43)),
        of: "backup of db-1".into(),
        at: at(5),
        by: "rotation".into(),
    };
    let retired = |asked: i64, unasked: &[&str]| Retired {
        key: format!("SHA256:{}", "b".repeat(43)),
        doors: 2,
        refused: 2,
        opens: Vec::new(),
        asked_at: Some(at(asked)),
        unasked: unasked.iter().map(|it| (*it).to_owned()).collect(),
    };
    Report {
        format: FORMAT.into(),
        version: VERSION,
        made_at: at(0),
        from: at(0),
        to: at(604_800),
        hosts: Hosts {
            watched: 3,
            silent: vec!["backup".into()],
        },
        access: Access::default(),
        bans: Bans::default(),
        keys: Keys {
            rotated: (1..9).map(revoked).collect(),
            retired: "2 revoked keys, 4 doors, none is known to open".into(),
            doors: vec![retired(7, &[]), retired(3, &["web-7: no sshd"])],
            break_glass: vec![glass("db", true), glass("web", false)],
            ..Keys::default()
        },
        unknown: vec!["backup is silent".into()],
        signer,
    }
}

#[test]
fn a_week_is_one_screen_and_says_what_is_not_known() {
    let lines = report(String::new()).lines();
    assert!(lines.len() <= 24, "{}", lines.len());
    let text: Vec<_> = lines
        .iter()
        .map(|(name, said)| format!("{name}|{said}"))
        .collect();
    let text = text.join("\n");
    for expected in [
        "Hosts|3 watched, 1 silent: backup",
        "receipt 1\n",
        "|and 3 more",
        "Late|none",
        "Doors|2 revoked keys, 4 doors, none is known to open",
        "each asked last between 2027-01-15T08:00:03Z and 2027-01-15T08:00:07Z",
        "Not asked|SHA256:bbbbbbbbbbbb: web-7: no sshd",
        "the safe: proven on 1 of 2 hosts, not on web (not root: sshd refuses it)",
        "Not known|backup is silent",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

#[test]
fn it_is_believed_as_it_was_signed_and_is_no_receipt() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let public = Public(pair.public_key().as_ref().try_into().unwrap());
    let sign = |body: &[u8]| pair.sign(body).as_ref().try_into().unwrap();
    let report = report(public.to_string());
    let text = receipt::signed(&report, sign).unwrap();
    assert_eq!(verify(text.as_bytes(), &public), Ok(report));
    assert_eq!(
        receipt::verify(text.as_bytes(), &public),
        Err(Untrusted::NotOne)
    );
    let changed = text.replace("\"watched\": 3", "\"watched\": 4");
    assert_eq!(
        verify(changed.as_bytes(), &public),
        Err(Untrusted::Changed(public))
    );
}
