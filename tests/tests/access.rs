//! Room `access`: who fails to get in, who gets in, and a log that rotates while nobody listens.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use watchward_tests::agent;
use watchward_tests::host::Host;
use watchward_tests::site::play;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

#[test]
fn ten_failed_logins_are_ten_events_one_incident_one_email_and_one_sms() -> Result<()> {
    play("ten failed logins", "", |site| {
        let (web, office) = (site.watched("web", "")?, site.boot("office")?);
        ssh::add_user(&web, "alice", "correct")?;
        for _ in 0..10 {
            assert!(!ssh::password(&office, &web, "alice", "wrong")?);
        }
        let from = office.address().to_string();
        let query = ["--address", &from, "--outcome", "failure"];
        let events =
            site.access_until("ten failures", &query, |seen| attempts(seen).len() >= 10)?;
        let events = attempts(&events);
        assert_eq!(events.len(), 10, "{events:#?}");
        for event in &events {
            let said = [
                &event["host"],
                &event["user"],
                &event["address"],
                &event["method"],
            ];
            assert_eq!(
                said,
                [
                    &json!("web"),
                    &json!("alice"),
                    &json!(from),
                    &json!("password")
                ]
            );
        }
        assert_eq!(
            ports(&events),
            logged_ports(&web, "Failed password for alice")?
        );

        let first = site.told_until("an email and an SMS", |told| told.of(&[&from]) == (1, 1))?;
        assert_eq!(site.collector.incidents()?.len(), 1);

        // A repeat joins the incident. What another address does is told after it, were it told.
        assert!(!ssh::password(&office, &web, "alice", "wrong")?);
        let cafe = site.boot("cafe")?;
        for _ in 0..10 {
            assert!(!ssh::password(&cafe, &web, "alice", "wrong")?);
        }
        let other = cafe.address().to_string();
        let told = site.told_until("the other address", |told| told.of(&[&other]) == (1, 1))?;
        assert_eq!(
            told.of(&[&from]),
            (1, 1),
            "told again: {told:#?} after {first:#?}"
        );
        Ok(())
    })
}

#[test]
fn good_logins_name_the_key_and_the_method() -> Result<()> {
    play("good logins", "", |site| {
        let (web, office) = (site.watched("web", "")?, site.boot("office")?);
        ssh::add_user(&web, "alice", "correct")?;
        let fingerprint = ssh::add_key(&office, "alice", &web)?;
        assert!(ssh::key(&office, &web, "alice")?);
        assert!(ssh::password(&office, &web, "alice", "correct")?);

        let query = ["--user", "alice", "--outcome", "success"];
        let events = site.access_until("two logins", &query, |seen| attempts(seen).len() >= 2)?;
        let events = attempts(&events);
        assert_eq!(events.len(), 2, "{events:#?}");
        let by = |method: &str| {
            let found = events.iter().find(|it| it["method"] == method);
            found.with_context(|| format!("no login by {method}: {events:#?}"))
        };
        assert_eq!(by("publickey")?["key_fingerprint"], fingerprint);
        assert_eq!(by("password")?["address"], office.address().to_string());
        assert!(by("password")?["key_fingerprint"].is_null());
        Ok(())
    })
}

#[test]
fn a_log_that_rotates_while_the_network_is_cut_is_read_exactly_once() -> Result<()> {
    play("a log rotates while the network is cut", "", |site| {
        let from_files = "[access]\nsource = \"files\"\n";
        let (files, journal) = (
            site.watched("files", from_files)?,
            site.watched("journal", "")?,
        );
        let (office, collector) = (site.boot("office")?, site.network.outside().to_string());
        let fail = |user: &str| -> Result<()> {
            for host in [&files, &journal] {
                assert!(!ssh::password(&office, host, user, "wrong")?);
            }
            Ok(())
        };
        let come_once = |users: &[&str]| -> Result<()> {
            for (user, host) in users
                .iter()
                .flat_map(|user| [(*user, "files"), (*user, "journal")])
            {
                let query = ["--user", user, "--host", host];
                let events = site.access_until(user, &query, |seen| !attempts(seen).is_empty())?;
                assert_eq!(attempts(&events).len(), 1, "{user} on {host}: {events:#?}");
            }
            Ok(())
        };
        // Only the way to the collector is cut: the strangers still come.
        let cut = || -> Result<()> {
            [&files, &journal]
                .into_iter()
                .try_for_each(|host| block_collector(host, &collector))
        };
        let heal = || -> Result<()> {
            [&files, &journal]
                .into_iter()
                .try_for_each(|it| it.sh("nft delete table inet cut").map(drop))
        };
        fail("before")?;
        come_once(&["before"])?;

        cut()?;
        fail("during")?;
        logged(&files, "invalid user during")?;
        rotate(&files, &journal)?;
        fail("rotated")?;
        logged(&files, "invalid user rotated")?;
        agent::kill(&files)?;
        agent::kill(&journal)?;
        heal()?;
        come_once(&["during", "rotated"])?;

        // Now the oldest is packed, and what the agent has read is not read again.
        cut()?;
        rotate(&files, &journal)?;
        files.sh("ls /var/log/auth.log.2.gz")?;
        fail("twice")?;
        heal()?;
        fail("after")?;
        come_once(&["before", "during", "rotated", "twice", "after"])
    })
}

#[test]
fn what_was_packed_before_the_agent_read_it_is_a_gap_and_told() -> Result<()> {
    play("a log is packed while the agent is off", "", |site| {
        let web = site.watched("web", "[access]\nsource = \"files\"\n")?;
        let office = site.boot("office")?;
        let fail = |user: &str| -> Result<()> {
            assert!(!ssh::password(&office, &web, user, "wrong")?);
            Ok(())
        };
        fail("before")?;
        site.access_until("it", &["--user", "before"], |seen| {
            !attempts(seen).is_empty()
        })?;

        web.sh("systemctl stop watchward-agent")?;
        for user in ["lost", "between"] {
            fail(user)?;
            logged(&web, &format!("invalid user {user}"))?;
            web.sh("logrotate -f /etc/logrotate.d/rsyslog")?;
        }
        web.sh("ls /var/log/auth.log.2.gz; systemctl start watchward-agent")?;
        fail("after")?;
        for user in ["between", "after"] {
            site.access_until(user, &["--user", user], |seen| attempts(seen).len() == 1)?;
        }
        site.told_until("people know of the gap", |told| {
            told.of(&["web", "gap"]) == (1, 1)
        })?;
        Ok(())
    })
}

#[test]
fn sudo_and_su_are_seen_and_whoever_fails_again_and_again_is_told() -> Result<()> {
    play("sudo and su", "", |site| {
        let web = site.watched("web", "")?;
        let files = site.watched("files", "[access]\nsource = \"files\"\n")?;
        for host in [&web, &files] {
            ssh::add_user(host, "alice", "correct")?;
            ssh::add_user(host, "bob", "correct")?;
            host.sh("usermod -aG sudo alice")?;
            let run = |user: &str, script: &str| -> Result<bool> {
                host.try_sh(&format!("runuser -u {user} -- sh -c '{script}'"))
            };
            assert!(run("alice", "echo correct | sudo -S -k /usr/bin/id -u")?);
            assert!(!run("alice", "echo wrong | sudo -S -k /usr/bin/id -u")?);
            assert!(!run("bob", "echo correct | sudo -S -k /usr/bin/id -u")?);
            assert!(run("alice", "echo correct | su bob -c id")?);
            assert!(!run("alice", "echo wrong | su root -c id")?);
        }
        for (host, trust) in [("web", "not text"), ("files", "text")] {
            let by = |service| ["--host", host, "--service", service];
            let sudo = site.access_until("sudo", &by("sudo"), |seen| attempts(seen).len() >= 3)?;
            let tried: Vec<_> = attempts(&sudo).iter().map(summary).collect();
            let expected = [
                "alice sudo success root /usr/bin/id -u",
                "alice sudo-wrong-password failure root /usr/bin/id -u",
                "bob sudo-not-in-sudoers failure root /usr/bin/id -u",
            ];
            assert_eq!(tried, expected, "{sudo:#?}");
            let su = site.access_until("su", &by("su"), |seen| attempts(seen).len() >= 2)?;
            let tried: Vec<_> = attempts(&su).iter().map(summary).collect();
            assert_eq!(
                tried,
                ["alice su success bob -", "alice su-failed failure root -"]
            );
            for event in sudo.iter().chain(&su) {
                assert_ne!(event["form"], "unrecognised", "{event:#}");
                assert_eq!(event["trust"] == "text", trust == "text", "{event:#}");
            }
        }
        assert!(
            site.collector.incidents()?.is_empty(),
            "single mistakes are no incident"
        );
        for _ in 0..3 {
            web.try_sh("runuser -u alice -- sh -c 'echo wrong | su root -c id'")?;
        }
        site.told_until("people know of alice", |told| {
            told.of(&["web", "alice failed 5 times", "root"]) == (1, 1)
        })?;
        Ok(())
    })
}

/// Who, why, how it ended, as whom, and what.
fn summary(event: &Value) -> String {
    let cell = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
    ["user", "form", "outcome", "target", "command"]
        .map(cell)
        .join(" ")
}

fn rotate(files: &Host, journal: &Host) -> Result<()> {
    files.sh("logrotate -f /etc/logrotate.d/rsyslog; test -s /var/log/auth.log.1")?;
    journal.sh("journalctl --rotate").map(drop)
}

/// Cuts the host off from the collector alone.
fn block_collector(host: &Host, collector: &str) -> Result<()> {
    host.sh(&format!(
        "nft add table inet cut
         nft add chain inet cut out '{{ type filter hook output priority 0; }}'
         nft add chain inet cut in '{{ type filter hook input priority 0; }}'
         nft add rule inet cut out ip daddr {collector} drop
         nft add rule inet cut in ip saddr {collector} drop"
    ))
    .map(drop)
}

/// Waits until the host's text log has it.
fn logged(host: &Host, text: &str) -> Result<()> {
    until("the syslog daemon has written the line", SOON, || {
        Ok(host
            .try_sh(&format!("grep -q '{text}' /var/log/auth.log"))?
            .then_some(()))
    })
}

/// The events that are tries of their own.
fn attempts(events: &[Value]) -> Vec<Value> {
    events
        .iter()
        .filter(|it| it["attempt"] == true)
        .cloned()
        .collect()
}

/// How many events came from each port.
fn ports(events: &[Value]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for port in events.iter().filter_map(|it| it["port"].as_u64()) {
        *counts.entry(port).or_default() += 1;
    }
    counts
}

/// The same by sshd's own journal, for the lines that begin so.
fn logged_ports(host: &Host, start: &str) -> Result<BTreeMap<u64, usize>> {
    let mut counts = BTreeMap::new();
    for line in host.sh("journalctl -u ssh -o cat --no-pager")?.lines() {
        if let Some((_, port)) = line
            .strip_prefix(start)
            .and_then(|rest| rest.split_once(" port "))
        {
            let port = port.split(' ').next().unwrap_or_default().parse()?;
            *counts.entry(port).or_default() += 1;
        }
    }
    Ok(counts)
}
