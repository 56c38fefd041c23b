//! How the tables are read, and what is refused.

use std::net::Ipv4Addr;

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
            "\"192.0.2.0/24\" has no name here: write name = [\"192.0.2.0/24\"] under [networks]",
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
            "say that name",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
        assert!(error.contains(expected) && error.contains('^'), "{error}");
    }
}

#[test]
fn what_needs_a_name_is_told_where_it_gets_one() {
    for (text, line, expected) in [
        (
            OFFICE.replace("\"ssh\"", "\"tcp/22\""),
            "line 9, column 16",
            "write name = [\"tcp/22\"] under [restriction.services]",
        ),
        (
            OFFICE.replace("[\"office\", \"vpn\"]", "[\"10.0.0.0/8\"]"),
            "line 10, column 12",
            "write name = [\"10.0.0.0/8\"] under [networks], and say that name",
        ),
        (
            OFFICE.replace("[\"web\"]", "[\"web-1\"]"),
            "line 8, column 15",
            "\"web-1\" is a host's name, in the group \"web\"",
        ),
        (
            OFFICE.replace("[\"web\"]", "[\"db-1\"]"),
            "line 8, column 15",
            "there is no group \"db-1\"; [groups] has: all, web",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
        assert!(error.contains(expected) && error.contains('^'), "{error}");
    }
}

#[test]
fn more_than_a_host_takes_is_refused_where_it_is_too_much() {
    let nets = |count: u32| -> String {
        let apart =
            (0..count).map(|it| format!("\"{}\"", Ipv4Addr::from_bits(0x0a00_0000 | it << 1)));
        apart.collect::<Vec<_>>().join(", ")
    };
    let policy = |rules: u32, exceptions: u32, other: &str| {
        let about =
            |group: &str| format!("groups = [\"{group}\"]\nservices = [\"ssh\", \"openvpn\"]\n");
        format!(
            "[groups]\nweb = [\"web-*\"]\ndb = [\"db-*\"]\n[networks]\nmany = [{}]\nfew = [{}]\n\
             [[restriction.rules]]\n{}from = [\"many\"]\n[[restriction.rules]]\n{}from = [\"few\"]\n\
             [[restriction.exceptions]]\n{}from = [\"few\"]\nuntil = \"2030-01-01\"\nreason = \"x\"\n",
            nets(rules),
            nets(exceptions),
            about("web"),
            about(other),
            about("web"),
        )
    };
    assert!(read(&policy(8_064, 128, "web")).is_ok());
    assert!(
        read(&policy(8_100, 128, "db")).is_ok(),
        "no host is of both"
    );
    for (rules, exceptions, line, expected) in [
        (8_065, 128, "line 12,", "let in 16386 networks up to here"),
        (8_193, 1, "line 8,", "let in 16386 networks up to here"),
        (1, 129, "line 16,", "have 258 networks up to here"),
    ] {
        let said = read(&policy(rules, exceptions, "web"))
            .unwrap_err()
            .to_string();
        assert!(said.contains(line) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_service_that_is_not_known_is_refused() {
    let unknown = OFFICE.replace("\"ssh\"", "\"shh\"");
    let error = read(&unknown).unwrap_err().to_string();
    let expected = "there is no service \"shh\"; [restriction.services] has: openvpn, ssh";
    assert!(error.contains(expected), "{error}");
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

#[test]
fn what_overlaps_or_contradicts_is_shown_with_both_places() {
    let rules = |head: &str, one: &str, other: &str| {
        format!(
            "[groups]\nweb = [\"web-*\"]\none = [\"web-1\"]\ndb = [\"db-1\"]\nnobody = []\n\
             [networks]\noffice = [\"192.0.2.0/24\"]\n{head}\
             [[restriction.rules]]\nfrom = [\"office\"]\n{one}\n\
             [[restriction.rules]]\nfrom = [\"office\"]\n{other}\n"
        )
    };
    let web = "groups = [\"web\"]\nservices = [\"ssh\"]";
    let enforced =
        "groups = [\"one\", \"db\"]\nservices = [\"openvpn\", \"ssh\"]\nmode = \"enforce\"";
    for (text, places, expected) in [
        (
            "[networks]\na = [\"10.1.0.0/16\", \"192.0.2.1\", \"10.0.0.0/8\"]\n".to_owned(),
            ["line 2, column 6", "                      ^^^^^^^^^^^^"],
            "10.1.0.0/16 is in 10.0.0.0/8, which is in the list too",
        ),
        (
            "[restriction.services]\nadmin = [\"tcp/20-23\"]\nssh = [\"tcp/22\"]\n".to_owned(),
            ["line 3, column 1", "2 | admin"],
            "\"tcp/22\" of \"ssh\" is a port of \"admin\" too",
        ),
        (
            rules("", web, enforced),
            ["line 15, column 24", "11 | services = [\"ssh\"]"],
            "a gate is either shut to others or watched",
        ),
        (
            rules("", web, "groups = [\"nobody\"]\nservices = [\"ssh\"]"),
            ["line 14, column 11", "^^^^^^^^"],
            "no host is in any of these groups",
        ),
        (
            "[restriction.services]\nadmin = [\"tcp/0\"]\n".to_owned(),
            ["line 2, column 9", "^^^^^^^"],
            "expected ports such as",
        ),
        (
            "[restriction.services]\nadmin = []\n".to_owned(),
            ["line 2, column 9", "^^"],
            "at least one port",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        for place in places {
            assert!(error.contains(place), "{place:?}: {error}");
        }
        assert!(error.contains(expected), "{error}");
    }
    // The same where the hosts are others, or the mode is the same, is right.
    let apart = enforced.replace("\"one\", ", "");
    read(&rules("", web, &apart)).unwrap();
    let both = format!("{web}\nmode = \"enforce\"");
    read(&rules("", &both, enforced)).unwrap();
}

#[test]
fn exceptions_say_why_and_end() {
    let exception = |until: &str, reason: &str, service: &str| {
        format!(
            "{OFFICE}[[restriction.exceptions]]\ngroups = [\"web\"]\nservices = [\"{service}\"]\n\
             from = [\"vpn\"]\nuntil = \"{until}\"\nreason = \"{reason}\"\n"
        )
    };
    for (until, reason) in [("2027-13-01", "x"), ("2027-01-01", " ")] {
        read(&exception(until, reason, "ssh")).unwrap_err();
    }
    let notices = |text: &str, now: i64| read(text).unwrap().table.notices(at(now));
    // The tests' beginning of time is in January 2027.
    let over = notices(&exception("2026-12-31", "the move", "ssh"), 0);
    assert!(
        over[0].contains("(\"the move\") ended with 2026-12-31"),
        "{over:?}"
    );
    let wide = |ports: &str| {
        let services = format!("[restriction.services]\nwide = [\"tcp/80\", \"{ports}\"]\n");
        let text = OFFICE.replace("\"ssh\"", "\"wide\"") + &services;
        notices(&text, 0)
    };
    for ports in ["tcp/32768-60999", "udp/51820", "tcp/60000-65535"] {
        let said = wide(ports);
        assert!(
            said[0].contains(&format!("\"wide\" is {ports}, ")),
            "{said:?}"
        );
    }
    assert_eq!(wide("tcp/2000-32767"), Vec::<String>::new());
    let idle = notices(&exception("2027-12-31", "the move", "openvpn"), 0);
    assert!(idle[0].contains("excepts nothing"), "{idle:?}");
    assert_eq!(
        notices(&exception("2027-12-31", "the move", "ssh"), 0),
        Vec::<String>::new()
    );
}
