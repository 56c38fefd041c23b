//! Orders mean what was configured, and what makes no sense is refused in words.

use super::*;

/// One of each kind, with every key.
const ALL: &str = include_str!("tests.toml");

fn order(kind: &str, name: &str, settings: &str) -> Ordered {
    let [kind, name, settings] = [kind, name, settings].map(str::to_owned);
    Ordered {
        kind,
        name,
        settings,
    }
}

#[test]
fn an_order_means_what_was_configured() {
    let checks: Checks = toml::from_str(ALL).unwrap();
    let ordered = checks.ordered().unwrap();
    let kinds: Vec<_> = ordered.iter().map(|one| one.kind.as_str()).collect();
    for kind in Kind::ALL {
        assert!(kinds.contains(&kind.word()), "no {kind} in {kinds:?}");
    }
    let understood: Vec<_> = ordered.iter().map(|one| one.check().unwrap()).collect();
    assert_eq!(understood, checks.all());
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    for (order, expected) in [
        (order("ssh", "a", ""), "no kind of check named \"ssh\""),
        (order("tcp", "a b", ""), "\"a b\" is no name"),
        (order("tcp", "a", ""), "missing field `address`"),
        (
            order("tcp", "a", "address = \"localhost:22\"\nadress = 1"),
            "unknown field `adress`, expected one of `address`, `interval`, `timeout`, `failures`",
        ),
        (
            order("tcp", "a", "address = \"localhost\""),
            "expected host and port",
        ),
        (
            order("tcp", "a", "address = \"a:1\"\ninterval = \"1ms\""),
            "at least \"1s\"",
        ),
        (order("tcp", "a", &"#".repeat(LONGEST + 1)), "16385 bytes"),
    ] {
        let error = order.check().unwrap_err().to_string();
        assert!(error.contains(expected), "{order:?}: {error}");
    }
}
