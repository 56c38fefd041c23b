//! What the table takes, and what it says of a key.

use super::*;

fn key(kind: &str, bits: u32) -> PublicKey {
    PublicKey {
        kind: kind.to_owned(),
        bits,
        fingerprint: format!("SHA256:{}", "a".repeat(43)),
        wire: Vec::new(),
    }
}

#[test]
fn old_types_and_short_keys_are_weak() {
    let policy = Policy::default();
    for (kind, bits, weakness) in [
        ("ssh-ed25519", 256, None),
        ("ssh-ed25519-cert-v01@openssh.com", 256, None),
        ("sk-ssh-ed25519@openssh.com", 256, None),
        ("ecdsa-sha2-nistp256", 256, None),
        ("ssh-rsa", 3072, None),
        ("ssh-rsa", 2048, Some("2048 bits, and 3072 are needed")),
        (
            "ssh-rsa",
            0,
            Some("its size cannot be told, and 3072 bits are needed"),
        ),
        (
            "ssh-dss",
            1024,
            Some("keys of the type ssh-dss are not allowed"),
        ),
        (
            "ssh-rsa1",
            4096,
            Some("keys of the type ssh-rsa1 are not allowed"),
        ),
    ] {
        let found = policy.weakness(&key(kind, bits));
        assert_eq!(found.as_deref(), weakness, "{kind} {bits}");
    }
}

#[test]
fn an_exception_holds_through_its_last_day() {
    let fingerprint = key("", 0).fingerprint;
    let policy: Policy = toml::from_str(&format!(
        "[[exceptions]]\nfingerprint = \"{fingerprint}\"\nreason = \"a robot\"\nuntil = \"2027-01-31\""
    ))
    .unwrap();
    let at = |text: &str| {
        let moment: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_micros(moment.as_microsecond())
    };
    let key = key("ssh-dss", 1024);
    assert!(policy.excepts(&key, at("2027-01-31T23:59:59Z")));
    assert!(!policy.excepts(&key, at("2027-02-01T00:00:00Z")));
    assert_eq!(
        policy.next(at("2027-01-01T00:00:00Z")),
        Some(at("2027-02-01T00:00:00Z"))
    );
}

#[test]
fn a_rule_holds_for_the_hosts_of_its_groups() {
    #[derive(Deserialize)]
    struct Sample {
        groups: Groups,
        keys: Policy,
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "[groups]\ndb = [\"db-*\"]\n[keys]\nmax_age = \"100d\"\n\
        [[keys.rules]]\ngroups = [\"db\"]\nmax_age = \"10d\"\n\
        [[keys.rules]]\ngroups = [\"all\"]\nmax_age = \"20d\"\nprivileged = [\"ada\"]\n";
    std::fs::write(file.path(), text).unwrap();
    let sample = watchward_daemon::config::read_whole::<Sample>(file.path(), |sample| {
        sample.keys.join(&sample.groups, &Networks::default())
    });
    let policy = sample.unwrap().keys;
    let (db, web) = (policy.of("db-1"), policy.of("web-1"));
    assert_eq!((db.max_age, web.max_age), (Span::days(10), Span::days(20)));
    assert_eq!(db.privileged, ["ada"]);
    assert_eq!(db.warn_ahead, policy.warn_ahead);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for wrong in [
        "allowed = [\"rsa >= many\"]",
        "allowed = [\"\"]",
        "[[exceptions]]\nfingerprint = \"MD5:00\"\nreason = \"x\"",
        "[[exceptions]]\nfingerprint = \"SHA256:short\"\nreason = \"x\"",
        "max_agee = \"1d\"",
    ] {
        assert!(
            toml::from_str::<Policy>(wrong).is_err(),
            "{wrong:?} was taken"
        );
    }
    let text = toml::to_string(&Policy::default()).unwrap();
    assert_eq!(toml::from_str::<Policy>(&text).unwrap(), Policy::default());
}
