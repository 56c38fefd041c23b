//! Who asks whom from where, about which accounts, and what is said of it.

use std::collections::BTreeMap;

use watchward_protocol::proof::Control;

use super::*;

fn door(account: &str, at: &str, said: Said) -> Door {
    Door {
        key: 0,
        account: account.into(),
        at: at.parse().unwrap(),
        said,
        control: Control::None,
        note: String::new(),
    }
}

fn answer(doors: Vec<Door>) -> Answer {
    Answer {
        doors,
        ..Answer::default()
    }
}

#[test]
fn the_nearest_host_that_is_there_asks() {
    let site = |name: &str, addresses: &[&str]| {
        let addresses = addresses.iter().map(|it| it.parse().unwrap());
        (name.to_owned(), addresses.collect())
    };
    let sites = [
        site("web", &["10.0.1.5", "2001:db8::5"]),
        site("far", &["192.0.2.9"]),
        site("near", &["203.0.113.1", "10.0.1.9"]),
        site("away", &["10.0.1.6"]),
        site("nowhere", &[]),
    ];
    let found = pairs(&sites, "web", |name| name != "away");
    let names: Vec<_> = found.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, ["near", "far"]);
    let (_, from, to) = found[0];
    assert_eq!(
        (from.to_string(), to.to_string()),
        ("10.0.1.9".into(), "10.0.1.5".into())
    );
    assert!(pairs(&sites, "unknown", |_| true).is_empty());
}

#[test]
fn what_listens_everywhere_is_found_at_the_hosts_address() {
    let to = "10.0.1.5".parse().unwrap();
    let own = answer(vec![
        door("zoe", "127.0.0.1:22", Said::Refused),
        door("root", "127.0.0.1:22", Said::Refused),
        door("zoe", "10.0.1.5:2222", Said::Refused),
        door("zoe", "10.9.9.9:23", Said::Refused),
    ]);
    let places: Vec<_> = places(&own, to).iter().map(ToString::to_string).collect();
    assert_eq!(places, ["10.0.1.5:22", "10.0.1.5:2222"]);
}

#[test]
fn the_accounts_that_matter_are_asked_about() {
    let at = "127.0.0.1:22";
    let names = ["ada", "bob", "eve", "root", "zoe"];
    let of_key = |key| {
        names.map(|it| Door {
            key,
            ..door(it, at, Said::Refused)
        })
    };
    let mut own = answer([of_key(0), of_key(1)].concat());
    own.doors[2].said = Said::Accepted;
    let known = Known {
        stands: vec![
            BTreeMap::from([
                ("zoe".into(), String::new()),
                ("gone".into(), String::new()),
            ]),
            BTreeMap::from([("ada".into(), String::new())]),
        ],
        controls: HashMap::from([("bob".into(), vec![vec![1]])]),
        host_keys: Vec::new(),
    };
    let asked = wanted(&own, &known);
    let asked: Vec<_> = asked
        .iter()
        .map(|it| (it.account.to_string(), &it.keys[..]))
        .collect();
    let expected: [(String, &[u32]); 5] = [
        ("zoe".into(), &[0]),
        ("eve".into(), &[0]),
        ("root".into(), &[0, 1]),
        ("bob".into(), &[0, 1]),
        ("ada".into(), &[1]),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn what_is_said_of_some_keys_is_told_of_the_right_ones() {
    let key = |wire: u8| Offered {
        kind: "ssh-ed25519".to_owned(),
        fingerprint: None,
        wire: vec![wire],
    };
    let known = Known {
        controls: HashMap::from([("zoe".into(), vec![vec![9]])]),
        ..Known::default()
    };
    let next = Wanted {
        account: "zoe".into(),
        keys: vec![1, 3],
    };
    let asked = next.door(&[key(0), key(1), key(2), key(3)], &known);
    assert_eq!(
        (asked.keys, asked.controls),
        (vec![vec![1], vec![3]], vec![vec![9]])
    );
    let said = |key| Door {
        key,
        ..door("zoe", "10.0.1.5:22", Said::Refused)
    };
    let heard = |number| next.heard(said(number)).map(|door| door.key);
    assert_eq!([heard(0), heard(1), heard(2)], [Some(1), Some(3), None]);
    let seen = each(3, "web-2", &[said(1)]);
    assert!(seen[1].seen.is_some() && seen[0].seen.is_none());
    assert_eq!(seen[2].why, "web-2 had no time for it");
}

#[test]
fn a_line_for_some_addresses_says_so() {
    let known = Known {
        stands: vec![
            BTreeMap::new(),
            BTreeMap::from([("zoe".into(), "10.0.0.0/8".to_owned())]),
        ],
        ..Known::default()
    };
    let mut zoe = [0, 1].map(|key| Door {
        key,
        ..door("zoe", "10.0.1.5:22", Said::Refused)
    });
    zoe.iter_mut()
        .for_each(|it| limits(it, &known, "192.0.2.1".parse().unwrap()));
    let [other, zoe] = zoe;
    assert!(zoe.note.contains("from 10.0.0.0/8 alone") && zoe.note.contains("192.0.2.1"));
    assert_eq!(other.note, "");
}

#[test]
fn it_is_said_from_where_it_was_asked_or_why_from_nowhere() {
    let from = |doors: Vec<Door>| Elsewhere {
        seen: Some(("web-2".to_owned(), doors)),
        why: String::new(),
    };
    let refused = door("zoe", "10.0.1.5:22", Said::Refused);
    let said = from(vec![refused]).sentence();
    assert_eq!(
        said,
        "1 door was asked from web-2, too, and 1 refused it there"
    );
    let none = Elsewhere::of_none("nobody else is there").sentence();
    assert!(
        none.contains("by the host itself alone: nobody else"),
        "{none}"
    );
}
