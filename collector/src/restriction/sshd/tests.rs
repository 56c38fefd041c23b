//! What is told of whom sshd lets in, on both databases.

use axum::extract::State;
use watchward_protocol::record::{Epoch, Lane};
use watchward_protocol::restriction::Setting;

use super::*;
use crate::alerting::Severity;
use crate::alerting::testing::{raised, told};
use crate::people;
use crate::restriction::tests::read;
use crate::restriction::{BANS, HELD, SCHEMA, activate};
use crate::store::testing::{self, Fresh};
use crate::web::testing::Browser;
use crate::web::{Pages, Visitor};
use judge::{Change, accept_ordered, beside, changes, doors, gate, lines};

const POLICY: &str = "[groups]\nweb = [\"web-*\"]\n[networks]\noffice = [\"192.0.2.0/24\"]\n\
    [[restriction.rules]]\ngroups = [\"web\"]\nservices = [\"ssh\"]\nfrom = [\"office\"]\n";

async fn stores() -> Vec<Fresh> {
    testing::stores(&[SCHEMA, BANS, HELD, alerting::SCHEMA, people::SCHEMA]).await
}

/// So many seconds after the tests' beginning of time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_800_000_000 + seconds) * 1_000_000)
}

/// From lines such as `PermitRootLogin no`, and of a block: `User git: ForceCommand /bin/x`.
fn sshd(text: &str) -> Sshd {
    let setting = |line: &str| {
        let (block, line) = match line.split_once(": ") {
            Some((block, line)) => (Some(block.into()), line),
            None => (None, line),
        };
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        Setting {
            block,
            name: name.to_owned(),
            value: value.into(),
        }
    };
    Sshd {
        settings: text.lines().map(setting).collect(),
        omitted: 0,
    }
}

async fn tell(store: &Store, text: &str, policy: &Policy, now: Timestamp) {
    let heard = Heard {
        host: Host {
            id: HostId::from_bytes([1; 16]),
            name: "web-1".to_owned(),
        },
        lane: Lane::Access,
        epoch: Epoch(7),
        seq: 1,
        kept_at: now,
        boot: [9; 16],
        report: Restriction {
            at: now,
            news: News::Sshd(sshd(text)),
        },
    };
    let mut tx = store.begin().await.unwrap();
    let rules = (policy, &Config::default());
    crate::restriction::hear(&mut tx, &[heard], rules, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// What people read on their phones of all that is open.
async fn open(store: &Store) -> Vec<String> {
    let all = raised(store).await;
    all.iter().map(|alert| alert.title.clone()).collect()
}

#[tokio::test]
async fn a_change_is_told_with_before_and_after_until_it_is_put_back() {
    let policy = Policy::default();
    for store in stores().await {
        let first = "ListenAddress 0.0.0.0:22\nPermitRootLogin no\nMaxAuthTries 6";
        tell(&store, first, &policy, at(0)).await;
        assert!(
            open(&store).await.is_empty(),
            "what is heard first is how it was"
        );

        let looser = first.replace("Login no", "Login yes");
        tell(&store, &looser, &policy, at(60)).await;
        tell(&store, &looser, &policy, at(61)).await;
        let alert = raised(&store).await.remove(0);
        assert_eq!(alert.severity, Severity::Critical);
        let [sms, _] = told(&alert);
        assert!(
            sms.starts_with("CRITICAL web-1: sshd's PermitRootLogin changed from no to yes"),
            "{sms}"
        );
        assert!(alert.detail.contains("reloaded"), "{}", alert.detail);

        let more = format!("{}\nAllowUsers zoe", looser.replace("Tries 6", "Tries 60"));
        tell(&store, &more, &policy, at(62)).await;
        let alert = raised(&store).await.remove(0);
        let expected = "web-1: sshd's PermitRootLogin changed from no to yes, and 2 more";
        assert_eq!(alert.title, expected, "what came later is told anew");
        assert!(
            alert.detail.contains("AllowUsers is zoe now\n"),
            "{}",
            alert.detail
        );

        tell(&store, first, &policy, at(63)).await;
        assert!(open(&store).await.is_empty());
    }
}

#[tokio::test]
async fn what_was_ordered_is_not_undone_unseen_while_another_change_is_open() {
    for store in stores().await {
        let policy = Policy::default();
        let list = "RevokedKeys /etc/ssh/watchward/now/revoked_keys\nMaxAuthTries 9";
        let none = "RevokedKeys none\nMaxAuthTries 9";
        tell(&store, &none.replace('9', "6"), &policy, at(0)).await;
        for (seconds, text) in [(1, none), (2, list), (3, none)] {
            tell(&store, text, &policy, at(seconds)).await;
        }
        let detail = &raised(&store).await[0].detail;
        assert!(detail.contains("RevokedKeys"), "{detail}");
    }
}

#[tokio::test]
async fn what_is_left_so_is_accepted_after_a_while() {
    let (policy, config) = (Policy::default(), Config::default());
    for store in stores().await {
        tell(&store, "MaxAuthTries 6", &policy, at(0)).await;
        tell(&store, "MaxAuthTries 9", &policy, at(1)).await;
        assert_eq!(raised(&store).await[0].severity, Severity::Warning);
        let mut tx = store.begin().await.unwrap();
        let over = at(1) + config.settle.duration();
        activate(&mut tx, &config, over).await.unwrap();
        tx.commit().await.unwrap();
        assert!(open(&store).await.is_empty());
        tell(&store, "MaxAuthTries 9", &policy, over).await;
        assert!(open(&store).await.is_empty());
        tell(&store, "MaxAuthTries 6", &policy, over).await;
        assert_eq!(
            open(&store).await,
            ["web-1: sshd's MaxAuthTries changed from 9 to 6"]
        );
    }
}

#[tokio::test]
async fn a_port_beside_the_gate_is_told_until_a_rule_is_about_it() {
    let policy = read(POLICY).unwrap();
    let enforced = read(&format!("{POLICY}mode = \"enforce\"\n")).unwrap();
    let wider = format!("{POLICY}[restriction.services]\nssh = [\"tcp/22\", \"tcp/2222\"]\n");
    let wider = read(&wider).unwrap();
    for store in stores().await {
        let both = "Port 22\nPort 2222\nListenAddress 0.0.0.0:22\nListenAddress [::]:2222\n\
            ListenAddress 127.0.0.1:2200\nListenAddress [::1]:2201";
        tell(&store, both, &Policy::default(), at(0)).await;
        assert!(open(&store).await.is_empty(), "no rule is about ssh at all");
        assert!(rule(&store, &policy, at(1)).await.unwrap());
        assert!(!rule(&store, &policy, at(1)).await.unwrap());
        let title = "web-1: sshd also listens on port 2222, which no rule is about";
        assert_eq!(open(&store).await, [title]);
        assert_eq!(raised(&store).await[0].severity, Severity::Warning);
        assert!(rule(&store, &enforced, at(2)).await.unwrap());
        let alert = raised(&store).await.remove(0);
        assert_eq!(alert.severity, Severity::Critical, "others come in there");
        assert_eq!(
            alert.detail,
            "The gate of ssh on web-1 is before tcp/22. By its configuration sshd also listens on TCP \
             port 2222, where anybody comes to the same sshd."
        );
        assert!(rule(&store, &wider, at(3)).await.unwrap());
        assert!(open(&store).await.is_empty());
        rule(&store, &policy, at(4)).await.unwrap();
        assert_eq!(open(&store).await.len(), 1);
        tell(&store, "ListenAddress 0.0.0.0:22", &policy, at(5)).await;
        let now = open(&store).await;
        assert_eq!(now.len(), 1, "only that it has changed: {now:?}");
        assert!(now[0].contains("ListenAddress"), "{now:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_revoked_is_forgotten_and_a_host_without_sshd_lets_nobody_in() {
    let policy = read(POLICY).unwrap();
    for store in stores().await {
        let (before, after) = ("Port 2222\nMaxAuthTries 6", "Port 2222\nMaxAuthTries 7");
        for text in [before, after] {
            tell(&store, text, &policy, at(0)).await;
        }
        assert_eq!(open(&store).await.len(), 2);
        tell(&store, "", &policy, at(1)).await;
        assert!(open(&store).await.is_empty());
        tell(&store, after, &policy, at(2)).await;
        assert_eq!(
            open(&store).await.len(),
            2,
            "it is back, and as it was not accepted"
        );
        let mut tx = store.begin().await.unwrap();
        let host = HostId::from_bytes([1; 16]);
        crate::restriction::forget(&mut tx, host, at(3))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(open(&store).await.is_empty());
        assert!(rows::all(&store).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_page_of_a_host_shows_what_changed() {
    let policy = read(POLICY).unwrap();
    for store in stores().await {
        let first = "ListenAddress 0.0.0.0:22\nAllowUsers root@10.0.0.*\nUser <b>: PermitTTY no";
        tell(&store, first, &policy, at(0)).await;
        tell(&store, &first.replace("10.0", "10.1"), &policy, at(1)).await;
        let own = (Store::clone(&store), policy.clone());
        let shows = async |State((store, policy)): State<(Store, Policy)>, visitor: Visitor| {
            let html = part(&store, &policy, (&visitor, "web-1")).await.unwrap();
            html.to_string()
        };
        let pages = Pages::new()
            .get("/part", people::Needs::See, shows)
            .with_state(own);
        let page = Browser::open(&store, pages).await.read("/part").await;
        for expected in [
            "Whom sshd lets in",
            ">root@10.0.0.*<",
            ">root@10.1.0.*<",
            "AllowUsers root@10.1.0.* lets in more than the policy permits.",
            "from all of 192.0.2.0/24, which the policy permits.",
            "User &#60;b&#62;",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
    }
}

#[test]
fn whether_somebody_more_may_come_in_is_known_or_feared() {
    for (before, after, widens) in [
        ("PermitRootLogin no", "PermitRootLogin yes", true),
        (
            "PermitRootLogin yes",
            "PermitRootLogin without-password",
            false,
        ),
        (
            "PasswordAuthentication no",
            "PasswordAuthentication yes",
            true,
        ),
        (
            "PasswordAuthentication yes",
            "PasswordAuthentication no",
            false,
        ),
        ("AllowUsers a\nAllowUsers b", "AllowUsers a", false),
        ("AllowUsers a", "AllowUsers a\nAllowUsers b", true),
        ("AllowUsers a", "", true),
        ("", "AllowUsers a", false),
        ("", "DenyUsers a", false),
        ("DenyUsers a", "", true),
        ("StrictModes yes", "StrictModes no", true),
        ("AuthorizedKeysFile a", "AuthorizedKeysFile b", true),
        ("RevokedKeys none", "RevokedKeys /k", true),
        ("MaxAuthTries 6", "MaxAuthTries 60", false),
        ("", "User git: PasswordAuthentication yes", true),
        ("", "User git: PasswordAuthentication no", false),
        ("User git: ForceCommand /bin/x", "", true),
    ] {
        let found = changes(&lines(&sshd(before)), &lines(&sshd(after)));
        assert_eq!(found.len(), 1, "{before} -> {after}");
        assert_eq!(found[0].widens, widens, "{before} -> {after}");
    }
}

#[test]
fn what_was_ordered_of_sshd_is_no_change_and_whatever_else_is() {
    let own = "/etc/ssh/watchward/now/keys/%u";
    let list = "RevokedKeys /etc/ssh/watchward/now/revoked_keys";
    let files = "AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2";
    let ordered = format!("{files} {own}");
    let alone = format!("AuthorizedKeysFile {own}");
    let other = format!("AuthorizedKeysFile .ssh/authorized_keys /tmp/mine {own}");
    let within = format!("User git: {list}");
    for (before, after, is_told) in [
        ("RevokedKeys none", list, false),
        (files, &*ordered, false),
        (&*ordered, files, false),
        ("AuthorizedKeysFile none", &*alone, false),
        // Somebody else's.
        (list, "RevokedKeys none", true),
        ("RevokedKeys /etc/ssh/others", list, true),
        (list, "RevokedKeys /etc/ssh/others", true),
        (&*ordered, &*other, true),
        (files, &*other, true),
        (files, &*alone, true),
        ("", &*within, true),
    ] {
        let (mut accepted, after) = (lines(&sshd(before)), lines(&sshd(after)));
        accept_ordered(&mut accepted, &after);
        let found = changes(&accepted, &after);
        assert_eq!(!found.is_empty(), is_told, "{before} -> {after:?}");
    }
}

#[test]
fn what_another_version_of_openssh_says_besides_is_no_change() {
    let found = |before: &str, after: &str| changes(&lines(&sshd(before)), &lines(&sshd(after)));
    let none: Vec<Change> = Vec::new();
    assert_eq!(
        found("MaxAuthTries 6", "MaxAuthTries 6\nRefuseConnection no"),
        none
    );
    assert_eq!(found("MaxAuthTries 6\nUseDNS no", "MaxAuthTries 6"), none);
    let mut many = sshd("AllowUsers a");
    many.omitted = 7;
    assert_eq!(
        changes(&lines(&sshd("AllowUsers a")), &lines(&many)).len(),
        1
    );
}

#[test]
fn doors_are_where_others_come_in() {
    for (text, expected) in [
        ("Port 22\nPort 2222", vec![22, 2222]),
        (
            "Port 22\nListenAddress 10.0.0.1:2200\nListenAddress [::1]:22",
            vec![2200],
        ),
        ("ListenAddress [fe80::1%eth0]:22 rdomain vrf", vec![22]),
        ("User a: ListenAddress 10.0.0.1:9", vec![]),
    ] {
        let found: Vec<_> = doors(&lines(&sshd(text))).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn users_lists_are_compared_with_the_policy_as_far_as_they_can_be() {
    let policy = read(POLICY).unwrap();
    let gates = policy.table.gates("web-1", at(0), at(0));
    let gate = gate(&gates).unwrap();
    let whole = "AllowUsers lets nobody in from all of 192.0.2.0/24, which the policy permits.";
    for (text, expected) in [
        ("", vec![]),
        ("AllowUsers root", vec![]),
        ("AllowUsers root@192.0.2.*", vec![]),
        ("AllowUsers *@192.0.2.0/25 *@192.0.2.128/25", vec![]),
        ("AllowUsers root@192.0.2.7", vec![whole]),
        (
            "AllowUsers a@192.0.2.0/24 root@10.*",
            vec!["AllowUsers root@10.* lets in more than the policy permits."],
        ),
        (
            "AllowUsers root@*.example.net",
            vec!["AllowUsers root@*.example.net cannot be compared with the policy."],
        ),
    ] {
        assert_eq!(beside(gate, &lines(&sshd(text))), expected, "{text}");
    }
}

#[tokio::test]
async fn a_port_of_sshd_that_a_guard_file_has_to_name_is_said_before_its_gate_is_shut() {
    let moved = POLICY.replacen(
        "[groups]",
        "[restriction.services]\nssh = [\"tcp/2222\"]\n[groups]",
        1,
    );
    let shut = read(&format!("{moved}mode = \"enforce\"\n")).unwrap().table;
    let (counted, usual) = (read(&moved).unwrap().table, read(POLICY).unwrap().table);
    for store in stores().await {
        let two = "ListenAddress 0.0.0.0:22\nListenAddress 0.0.0.0:2222";
        tell(&store, two, &Policy::default(), at(0)).await;
        let said = behind_gates(&store, &shut, at(1)).await.unwrap();
        let [said] = &said[..] else {
            panic!("{said:?}")
        };
        for word in ["port 2222 of web-1", "signing_in", "\"2222/tcp\""] {
            assert!(said.contains(word), "{word}: {said}");
        }
        for table in [&counted, &usual] {
            let said = behind_gates(&store, table, at(1)).await.unwrap();
            assert_eq!(said, [""; 0]);
        }
    }
}
