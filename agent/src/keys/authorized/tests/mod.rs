//! What is taken for a key and what is not: examples, and what holds for any line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

/// A key of each type, with its size and fingerprint as `ssh-keygen -l` of OpenSSH 9.2 says them.
const KEYS: &str = include_str!("keys.txt");
const CERTIFICATE: &str = include_str!("certificate.txt");

fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn ed25519() -> &'static str {
    written("ssh-ed25519")
}

fn written(kind: &str) -> &'static str {
    let mut keys = KEYS.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap());
    keys.find(|key| key.starts_with(kind)).unwrap()
}

fn read(text: impl AsRef<[u8]>) -> Line {
    line(text.as_ref(), &berlin())
}

fn taken(text: impl AsRef<[u8]>) -> Authorized {
    let Line::Key(key) = read(&text) else {
        panic!(
            "{}: {:?}",
            String::from_utf8_lossy(text.as_ref()),
            read(&text)
        );
    };
    *key
}

fn why(text: impl AsRef<[u8]>) -> String {
    let Line::Refused(refusal) = read(&text) else {
        panic!(
            "{}: {:?}",
            String::from_utf8_lossy(text.as_ref()),
            read(&text)
        );
    };
    refusal.why
}

#[test]
fn every_type_has_the_size_and_the_fingerprint_that_ssh_keygen_says() {
    for entry in KEYS.lines() {
        let mut words = entry.splitn(3, ' ');
        let (bits, fingerprint) = (words.next().unwrap(), words.next().unwrap());
        let text = words.next().unwrap();
        let key = taken(text).key;
        assert_eq!(
            (key.bits.to_string().as_str(), key.fingerprint.as_str()),
            (bits, fingerprint)
        );
        assert_eq!(key.kind, text.split(' ').next().unwrap());
    }
}

#[test]
fn options_are_split_as_sshd_splits_them() {
    let key = ed25519();
    for options in [
        r#"restrict,command="echo a,b # c",no-pty"#,
        r#"COMMAND="say \"hi there\"",From="192.0.2.0/24,!192.0.2.7""#,
        r#"environment="A_1=x y",permitopen="[2001:db8::1]:22",permitlisten="8080",tunnel="any""#,
        "no-X11-forwarding,No-Port-Forwarding,verify-required",
        ",restrict,,pty,",
    ] {
        let found = taken(format!(" \t{options} \t{key} alice @ home \r\n"));
        assert_eq!(found.options.as_bytes(), options.as_bytes());
        assert_eq!(found.comment.as_bytes(), b"alice @ home");
        assert!(!found.authority);
    }
}

#[test]
fn what_sshd_refuses_is_refused_and_says_why() {
    let key = ed25519();
    let blob = key.split(' ').nth(1).unwrap();
    for (text, expected) in [
        (format!("restric {key}"), "unknown"),
        (format!("no-restrict {key}"), "unknown"),
        (format!("command=\"x {key}"), "quote"),
        (format!("command=x {key}"), "not in quotes"),
        (format!("command=\"a\",command=\"b\" {key}"), "twice"),
        (format!("command=\"a\"x {key}"), "unknown"),
        (format!("expiry-time=\"2026-01-01\" {key}"), "no time"),
        (format!("principals=\"a\" {key}"), "cert-authority"),
        (format!("permitopen=\"host\" {key}"), "host and port"),
        (format!("environment=\"A-B=c\" {key}"), "variable"),
        (format!("ssh-ed25519 {blob}AA"), "Base64"),
        (format!("ssh-ed25519 {}", &blob[..40]), "cut off"),
        (format!("ssh-ed25519 {blob}AAAA"), "behind"),
        (format!("ssh-rsa {blob}"), "another type"),
        (format!("SSH-ED25519 {blob}"), "type"),
        ("ssh-ed25519".to_owned(), "nothing stands after"),
        (CERTIFICATE.to_owned(), "certificate"),
        (format!("{}\0{}", &key[..20], &key[20..]), "cut off"),
    ] {
        assert!(why(&text).contains(expected), "{text}: {}", why(&text));
    }
    for nothing in [
        "",
        "\n",
        "  \t\n",
        "# ssh-ed25519 AAAA",
        " #\r\n",
        "\r\n",
        "\0ssh-rsa",
    ] {
        assert_eq!(read(nothing), Line::Nothing, "{nothing:?}");
    }
}

#[test]
fn another_spelling_of_a_key_is_no_other_key() {
    let plain = taken(written("ssh-rsa"));
    let blob = STANDARD
        .decode(written("ssh-rsa").split(' ').nth(1).unwrap())
        .unwrap();
    // The name of a signature and a short one, and a zero before a number that needs none.
    for name in ["rsa", "RSA", "rsa-sha2-512"] {
        let mut other = u32::try_from(name.len()).unwrap().to_be_bytes().to_vec();
        other.extend_from_slice(name.as_bytes());
        other.extend_from_slice(&[0, 0, 0, 4, 0, 1, 0, 1]);
        other.extend_from_slice(&blob[11 + 7..]);
        let text = format!("rsa-sha2-256 {}", STANDARD.encode(other));
        assert_eq!(taken(text).key, plain.key);
    }
    let (kind, blob) = ed25519().split_once(' ').unwrap();
    let broken = format!("{kind} {}\r{} x", &blob[..9], &blob[9..]);
    assert_eq!(taken(broken).key, taken(ed25519()).key);
}

#[test]
fn authorities_have_principals_and_an_end() {
    let key = ed25519();
    let until = |time: &str| {
        let text = format!("expiry-time=\"{time}\",cert-authority,principals=\"web,db\" {key}");
        let found = taken(text);
        assert!(found.authority);
        assert_eq!(found.principals, Some(vec!["web".into(), "db".into()]));
        found.not_after.unwrap().to_string()
    };
    assert_eq!(until("20260101Z"), "2026-01-01T00:00:00Z");
    assert_eq!(until("202601011200utc"), "2026-01-01T12:00:00Z");
    assert_eq!(until("20260101120005"), "2026-01-01T11:00:05Z");
    assert_eq!(
        until("202607011200"),
        "2026-07-01T11:00:00Z",
        "as C's mktime without summer"
    );
    assert_eq!(until("20260231Z"), "2026-03-03T00:00:00Z", "days run over");
    for never in [
        "19700101Z",
        "19691231Z",
        "20261301Z",
        "202601012400Z",
        "2026010Z",
        "Z",
        "",
    ] {
        assert!(
            why(format!("expiry-time=\"{never}\" {key}")).contains("no time"),
            "{never}"
        );
    }
}

#[test]
fn principals_are_read_as_sshd_reads_them() {
    let name = |line: &str| principal(line.as_bytes(), &berlin());
    let found = |line: &str| name(line).unwrap().unwrap();
    assert_eq!(found(" web-admin \t\n").name, "web-admin".into());
    let limited = found("from=\"192.0.2.1\",restrict  db # x\n");
    assert_eq!(
        (limited.name, limited.options),
        ("db".into(), "from=\"192.0.2.1\",restrict".into())
    );
    for nothing in ["", "\n", " # web\n", "#"] {
        assert_eq!(name(nothing), Ok(None), "{nothing:?}");
    }
    assert!(name("cert-authority web").is_err());
    assert!(name("web admin").is_err(), "web is no option");
}

#[test]
fn a_certificate_says_whom_it_is_for() {
    let found = certificate(CERTIFICATE.as_bytes()).unwrap();
    assert_eq!(found.principals, ["web".into(), "db".into()]);
    assert_eq!(found.id, "id x".into());
    assert_eq!(found.key, taken(written("ecdsa-sha2-nistp256")).key);
    let times = [found.not_before, found.not_after].map(|time| time.unwrap().to_string());
    assert_eq!(times, ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    assert_eq!(certificate(ed25519().as_bytes()), None);
}

/// An option that sshd takes, with anything in its quotes.
fn option() -> impl Strategy<Value = String> {
    let value = "[^\"\\\\\0\n]{0,20}";
    prop_oneof![
        Just("restrict".to_owned()),
        Just("no-PTY".to_owned()),
        value.prop_map(|it| format!("environment=\"X={it}\"")),
        (value, value).prop_map(|(a, b)| format!("environment=\"X={a}\\\"{b}\"")),
    ]
}

proptest! {
    #[test]
    fn no_bytes_bring_it_down(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _any = (read(&text), bare(&text), certificate(&text), principal(&text, &berlin()));
    }

    #[test]
    fn no_damaged_key_brings_it_down(at in 0_usize..400, byte: u8, entry in 0_usize..8) {
        let text = KEYS.lines().nth(entry % KEYS.lines().count()).unwrap().splitn(3, ' ').nth(2);
        let (kind, blob) = text.unwrap().split_once(' ').unwrap();
        let mut blob = STANDARD.decode(blob).unwrap();
        let at = at % blob.len();
        blob[at] = byte;
        let _any = read(format!("{kind} {}", STANDARD.encode(&blob)));
        let _any = read(format!("{kind} {}", STANDARD.encode(&blob[..at])));
    }

    #[test]
    fn whatever_stands_in_quotes_the_key_is_found(
        options in proptest::collection::vec(option(), 1..5), comment in "[^\0\n]{0,30}"
    ) {
        let options = options.join(",");
        let found = taken(format!("{options} {} {comment}\n", ed25519()));
        prop_assert_eq!(found.options.as_bytes(), options.as_bytes());
        prop_assert_eq!(found.key, taken(ed25519()).key);
    }
}
