//! How the tables are read, and what is refused.

use super::*;

#[test]
fn what_makes_no_sense_is_shown_with_its_place() {
    let rule = |from: &str| {
        format!(
            "[networks]\noffice = [\"192.0.2.0/24\"]\n[[restriction.rules]]\n\
             groups = [\"all\"]\nservices = [\"ssh\"]\nfrom = {from}\n"
        )
    };
    for (text, line, expected) in [
        (
            "[networks]\noffice = [\"192.0.2.7/24\"]\n".into(),
            "line 2, column 10",
            "192.0.2.7 is an address in 192.0.2.0/24: write \"192.0.2.0/24\" for the network, or \
             \"192.0.2.7\"",
        ),
        (
            "[networks]\noffice = [\"::ffff:192.0.2.7/120\"]\n".into(),
            "line 2, column 10",
            "192.0.2.7 is an address in 192.0.2.0/24",
        ),
        (
            "[networks]\noffice = [\"192.0.2.0/33\"]\n".into(),
            "line 2, column 10",
            "\"192.0.2.0/33\" is neither a network",
        ),
        (
            "[networks]\noffice = []\n".into(),
            "line 2, column 10",
            "at least one network",
        ),
        (
            "[networks]\noffice = [\"vpn\"]\n".into(),
            "line 2, column 11",
            "there is no network \"vpn\"; [networks] has: office",
        ),
        (
            "[networks]\na = [\"b\"]\nb = [\"c\"]\nc = [\"10.0.0.0/8\", \"b\"]\n".into(),
            "line 4, column 20",
            "the network \"b\" would hold itself",
        ),
        (
            "[networks]\n\"192.0.2.0/24\" = [\"10.0.0.0/8\"]\n".into(),
            "line 2, column 1",
            "a network's is a letter",
        ),
        (
            rule("[\"offcie\"]"),
            "line 6, column 9",
            "there is no network \"offcie\"",
        ),
        (rule("[]"), "line 6, column 8", "nobody can come from none"),
        (
            rule("[\"192.0.2.0/24\"]"),
            "line 6, column 8",
            "a network's is a letter",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
        assert!(error.contains(expected) && error.contains('^'), "{error}");
    }
}

#[test]
fn a_service_that_is_not_known_is_refused() {
    let unknown = OFFICE.replace("\"ssh\"", "\"shh\"");
    let error = read(&unknown).unwrap_err().to_string();
    assert!(error.contains("unknown variant `shh`"), "{error}");
}

#[test]
fn networks_hold_what_they_say() {
    let policy = read(
        "[networks]\n\
         office = [\"192.0.2.0/25\", \"192.0.2.128/25\", \"::ffff:198.51.100.0/120\"]\n\
         home = [\"203.0.113.7\", \"::ffff:203.0.113.8\"]\n\
         trusted = [\"office\", \"home\", \"2001:db8::/32\"]\n\
         anywhere6 = [\"::/0\"]\n",
    )
    .unwrap();
    let holds = |name: &str| {
        let mut all = policy.networks.all();
        let (_, set) = all.find(|(one, _)| one.as_str() == name).unwrap();
        let nets: Vec<_> = set.nets().iter().map(ToString::to_string).collect();
        nets.join(" ")
    };
    assert_eq!(holds("office"), "192.0.2.0/24 198.51.100.0/24");
    assert_eq!(holds("home"), "203.0.113.7/32 203.0.113.8/32");
    assert_eq!(
        holds("trusted"),
        "192.0.2.0/24 198.51.100.0/24 203.0.113.7/32 203.0.113.8/32 2001:db8::/32"
    );
    let (_, set) = policy.networks.all().next().unwrap();
    assert!(set.has("2001:db8::1".parse().unwrap()), "all of IPv6");
    assert!(
        !set.has("::ffff:192.0.2.1".parse().unwrap()),
        "that is an IPv4 address"
    );
}
