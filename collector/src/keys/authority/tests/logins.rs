//! What the tables of logins are on a host.

use watchward_protocol::instruments::{Managed, Opens};

use super::*;

const LOGINS: &str = "[groups]\nweb = [\"web-*\"]\n\
    [[keys.logins]]\ngroups = [\"web\"]\naccounts = [\"deploy\", \"www-data\"]\nroles = [\"operator\"]\n\
    [[keys.logins]]\ngroups = [\"all\"]\naccounts = [\"deploy\"]\npeople = [\"ada\", \"zoe\"]\n";

fn said(lines: &[Managed]) -> Vec<(String, String)> {
    let one = |line: &Managed| {
        assert!(line.sound(), "{line:?}");
        let Opens::Authority { key, principals } = &line.opens else {
            panic!("{line:?}");
        };
        let key = key.last().copied().unwrap_or_default();
        (
            line.account.clone(),
            format!("{key}: {}", principals.join(",")),
        )
    };
    lines.iter().map(one).collect()
}

#[test]
fn each_account_is_opened_for_whom_the_tables_name_by_every_authority() {
    let policy = policy(LOGINS).unwrap();
    let keys = [7_u8, 8].map(|last| certificate::ed25519(&[last; 32]));
    let of = |host: &str, keys: &[Vec<u8>]| said(&managed(host, &policy.logins, keys));
    let line = |account: &str, text: &str| (account.to_owned(), text.to_owned());
    assert_eq!(
        of("web-1", &keys),
        [
            line("deploy", "7: person:ada,person:zoe,role:operator"),
            line("deploy", "8: person:ada,person:zoe,role:operator"),
            line("www-data", "7: role:operator"),
            line("www-data", "8: role:operator"),
        ]
    );
    assert_eq!(
        of("db", &keys[..1]),
        [line("deploy", "7: person:ada,person:zoe")]
    );
    assert_eq!(of("db", &[]), []);
}

#[test]
fn of_many_people_there_are_several_lines() {
    let people: Vec<_> = (0..130).map(|n| format!("\"p{n}\"")).collect();
    let text = format!(
        "[[keys.logins]]\ngroups = [\"all\"]\naccounts = [\"deploy\"]\npeople = [{}]\n",
        people.join(", ")
    );
    let policy = policy(&text).unwrap();
    let lines = managed("web", &policy.logins, &[certificate::ed25519(&[7; 32])]);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(Managed::sound));
}

#[test]
fn a_table_that_opens_nothing_or_no_account_is_refused_at_its_place() {
    let all: Vec<_> = (0..501).map(|n| format!("\"a{n}\"")).collect();
    let many = format!("accounts = [{}]\nroles = [\"operator\"]", all.join(", "));
    for (table, why) in [
        ("accounts = [\"deploy\"]", "for whom?"),
        (
            "accounts = []\nroles = [\"operator\"]",
            "for which accounts?",
        ),
        (
            "accounts = [\"Deploy\"]\nroles = [\"operator\"]",
            "expected an account's name",
        ),
        (
            "accounts = [\"../root\"]\nroles = [\"operator\"]",
            "expected an account's name",
        ),
        (
            "accounts = [\"deploy\"]\npeople = [\"a,b\"]",
            "expected the name of a person",
        ),
        (
            "accounts = [\"deploy\"]\nroles = [\"king\"]",
            "unknown variant `king`",
        ),
        (&many, "may name 500 accounts"),
    ] {
        let text = format!("[[keys.logins]]\ngroups = [\"all\"]\n{table}\n");
        let error = policy(&text).unwrap_err();
        assert!(error.contains(why), "{table}: {error}");
    }
    let error =
        policy("[[keys.logins]]\ngroups = [\"shop\"]\naccounts = [\"deploy\"]\n").unwrap_err();
    assert!(error.contains("there is no group \"shop\""), "{error}");
}
