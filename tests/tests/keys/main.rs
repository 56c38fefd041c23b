//! What opens each account of a host: an agent without any privilege and its reader tell it as it changes.

mod client;
mod hostkeys;
mod hostkeys_under_fire;
mod identities;
mod lost;
mod managed;
mod managed_under_fire;
mod origin;
mod proof;
mod releases;
mod revocation;
mod revoke;
mod rotation;
mod silent;
mod survivors;
mod vantage;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::ready::notice;
use watchward_tests::root::Release;
use watchward_tests::site::{Site, play};
use watchward_tests::wait::{SOON, until, until_seen};
use watchward_tests::{agent, ssh};

/// So soon is a key seen that somebody adds or removes by hand.
const SEEN: Duration = Duration::from_secs(2);

/// So often it is tried: while others use the machine, one try may take longer.
const TRIES: usize = 5;

#[test]
fn a_key_added_by_hand_is_seen_within_two_seconds() -> Result<()> {
    play("keys on a host", "", |site| {
        let web = watched(site)?;
        ssh::add_user(&web, "alice", "correct")?;
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for number in 0..TRIES {
            let key = new_key(&web, &format!("alice-{number}"))?;
            append(&web, "alice", &format!("restrict {} alice@home", key.text))?;
            seen(site, &key, |found| found.len() == 1)?;
            let found = openings(site, &["--fingerprint", &key.fingerprint])?;
            let [one] = &found[..] else {
                anyhow::bail!("{found:#?}");
            };
            assert_eq!(one["account"], "alice");
            assert_eq!(one["means"], "authorized-key");
            assert_eq!(one["file"], "/home/alice/.ssh/authorized_keys");
            assert_eq!(one["comment"], "alice@home");
            added.push(since_changed(&web, &one["first_at"])?);

            // As an editor does it: another file takes the place of the first.
            web.sh("cd ~alice/.ssh; cp -p authorized_keys new; : > new; mv new authorized_keys")?;
            seen(site, &key, <[Value]>::is_empty)?;
            let gone = openings(
                site,
                &["--state", "gone", "--fingerprint", &key.fingerprint],
            )?;
            let gone = gone.first().context("it is not known any more")?;
            removed.push(since_changed(&web, &gone["gone_at"])?);
        }
        notice(&format!(
            "a key added by hand was seen after {added:?}, one removed after {removed:?}"
        ));
        for all in [&added, &removed] {
            assert!(all.iter().any(|took| *took <= SEEN), "{all:?}");
        }

        // Who has no home with a `.ssh` yet is watched too, and so is who comes only now.
        let key = new_key(&web, "bob")?;
        web.sh("useradd -m bob")?;
        append(&web, "bob", &key.text)?;
        seen(site, &key, |found| {
            found.iter().any(|it| it["account"] == "bob")
        })?;
        Ok(())
    })
}

/// How long after the last change of alice's file something was, in microseconds of UTC.
fn since_changed(host: &Host, at: &Value) -> Result<Duration> {
    let changed = host.sh("stat -c %.6Z ~alice/.ssh/authorized_keys")?;
    let changed: f64 = changed.trim().parse()?;
    let at = Duration::from_micros(at.as_u64().context("no time")?);
    Ok(at.saturating_sub(Duration::from_secs_f64(changed)))
}

#[test]
fn what_sshd_is_told_of_an_account_is_what_is_read() -> Result<()> {
    play("keys where sshd looks for them", "", |site| {
        let web = watched(site)?;
        web.sh("useradd -m deploy; useradd -m alice; mkdir /etc/ssh/keys /etc/ssh/names")?;
        let (key, authority) = (new_key(&web, "deploy")?, new_key(&web, "authority")?);
        append(&web, "deploy", &key.text)?;
        seen(site, &key, |found| found.len() == 1)?;

        // From now on the file in the home counts for nothing.
        let only = "Match User deploy\n  AuthorizedKeysFile /etc/ssh/keys/%u\n";
        web.write("/etc/ssh/sshd_config.d/deploy.conf", only.as_bytes(), 0o644)?;
        seen(site, &key, <[Value]>::is_empty)?;
        web.write("/etc/ssh/keys/deploy", key.text.as_bytes(), 0o644)?;
        seen(site, &key, |found| {
            found.len() == 1 && found.iter().all(|it| it["file"] == "/etc/ssh/keys/deploy")
        })?;

        web.write("/etc/ssh/ca.pub", authority.text.as_bytes(), 0o644)?;
        let trust =
            "TrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedPrincipalsFile /etc/ssh/names/%u\n";
        web.write(
            "/etc/ssh/sshd_config.d/0-trust.conf",
            trust.as_bytes(),
            0o644,
        )?;
        web.write("/etc/ssh/names/alice", b"web-admin\n", 0o644)?;
        seen(site, &authority, |found| {
            let accounts: Vec<_> = found.iter().map(|it| &it["account"]).collect();
            accounts == ["alice"] && found.iter().all(|it| it["means"] == "authority")
        })?;
        let names = |found: &Vec<Value>| {
            let principals = found.iter().filter(|it| it["means"] == "principals");
            principals
                .map(|it| &it["principals"])
                .eq([&serde_json::json!(["web-admin"])])
        };
        let look = || openings(site, &["--account", "alice"]);
        until_seen("alice's principals", SOON, look, names)?;
        Ok(())
    })
}

#[test]
fn a_hostile_user_harms_nothing() -> Result<()> {
    play("hostile authorized_keys files", "", |site| {
        let web = watched(site)?;
        web.sh("useradd -m alice; useradd -m mallory; install -d -o mallory -m 700 ~mallory/.ssh")?;
        let key = new_key(&web, "alice")?;
        let as_mallory = |script: &str| {
            let script = format!("cd ~mallory/.ssh; rm -rf authorized_keys; {script}");
            web.sh(&format!("runuser -u mallory -- bash -c '{script}'"))
        };
        for (number, script) in HOSTILE.iter().enumerate() {
            as_mallory(script).with_context(|| (*script).to_owned())?;
            // What comes after it is seen all the same.
            append(&web, "alice", &format!("{} after {number}", key.text))?;
            let comment = format!("after {number}");
            seen(site, &key, |found| {
                found
                    .iter()
                    .any(|it| it["comment"].as_str() == Some(&comment))
            })
            .with_context(|| agent::log(&web))?;
            web.sh("sed -i '/after/d' ~alice/.ssh/authorized_keys")?;
            seen(site, &key, <[Value]>::is_empty)?;
        }
        as_mallory(&format!(
            "echo {} > authorized_keys; chmod 666 authorized_keys",
            key.text
        ))?;
        append(&web, "alice", &key.text)?;
        seen(site, &key, |found| {
            found.len() == 1 && found.iter().all(|it| it["account"] == "alice")
        })?;
        let state =
            "for it in agent agent-keys; do systemctl show -P NRestarts watchward-$it; done";
        assert_eq!(web.sh(state)?, "0\n0\n", "{}", agent::log(&web));
        Ok(())
    })
}

const HOSTILE: [&str; 8] = [
    "mkfifo authorized_keys",
    "ln -s authorized_keys authorized_keys",
    "ln -s /dev/zero authorized_keys",
    "ln -s /proc/kmsg authorized_keys",
    "mkdir authorized_keys",
    "yes x | tr -d \"\\n\" | head -c 70000 > authorized_keys",
    "yes x | tr -d \"\\n\" | head -c 20000000 > authorized_keys",
    "yes ssh-ed25519 AAAA | head -c 30000000 > authorized_keys",
];

#[test]
fn a_reader_that_dies_is_missed_and_comes_back() -> Result<()> {
    play("a reader of keys dies", "", |site| {
        let web = watched(site)?;
        web.sh("useradd -m alice")?;
        let key = new_key(&web, "alice")?;
        web.sh("systemctl stop watchward-agent-keys")?;
        finding(site, "failing", "the reader has gone")?;
        append(&web, "alice", &key.text)?;
        web.sh("systemctl start watchward-agent-keys")?;
        seen(site, &key, |found| found.len() == 1)?;
        finding(site, "watched", "accounts")?;
        let (agent, reader) = (
            capabilities(&web, "agent")?,
            capabilities(&web, "agent-keys")?,
        );
        assert_eq!(
            agent, 0,
            "what talks to the network may read nothing of others"
        );
        assert_eq!(reader, 1 << 2, "CAP_DAC_READ_SEARCH, and nothing else");
        Ok(())
    })
}

/// A host with an agent and a reader as they are shipped, once the reader has told what it watches.
fn watched(site: &Site) -> Result<Host> {
    watched_as(site, Release::Usual)
}

/// The same, of this Debian.
fn watched_as(site: &Site, release: Release) -> Result<Host> {
    let web = site.boot_as("web", release)?;
    let apart = web.try_sh("test -x /usr/lib/openssh/sshd-session")?;
    ensure!(
        apart || release == Release::Usual,
        "another OpenSSH than was meant"
    );
    agent::start_unprivileged(&web, &site.network, &site.collector, "")?;
    finding(site, "watched", "accounts").with_context(|| agent::log(&web))?;
    Ok(web)
}

fn finding(site: &Site, state: &str, words: &str) -> Result<()> {
    site.hosts_until("what is said of keys", |hosts| {
        let findings = hosts.iter().filter_map(|host| host["findings"].as_array());
        findings.flatten().any(|it| {
            let detail = it["detail"].as_str().unwrap_or_default();
            it["subject"] == "keys" && it["state"] == state && detail.contains(words)
        })
    })
}

/// The capabilities that a service runs with.
fn capabilities(host: &Host, service: &str) -> Result<u64> {
    let said = host.sh(&format!(
        "grep CapEff /proc/$(systemctl show -P MainPID watchward-{service})/status"
    ))?;
    let mask = said.split_whitespace().nth(1).context("no mask")?;
    Ok(u64::from_str_radix(mask, 16)?)
}

struct Key {
    text: String,
    fingerprint: String,
}

fn new_key(host: &Host, name: &str) -> Result<Key> {
    let text = host.sh(&format!(
        "ssh-keygen -q -t ed25519 -N '' -f /root/{name}; cut -d' ' -f1,2 /root/{name}.pub"
    ))?;
    let listed = host.sh(&format!("ssh-keygen -lf /root/{name}.pub"))?;
    let fingerprint = listed.split(' ').nth(1).context("no fingerprint")?;
    Ok(Key {
        text: text.trim().to_owned(),
        fingerprint: fingerprint.to_owned(),
    })
}

/// Adds a line to a user's file, with the folder that it needs.
fn append(host: &Host, user: &str, line: &str) -> Result<()> {
    host.sh(&format!(
        "install -d -m 700 -o {user} ~{user}/.ssh; cd ~{user}/.ssh
         echo '{line}' >> authorized_keys; chown {user} authorized_keys; chmod 600 authorized_keys"
    ))
    .map(drop)
}

fn openings(site: &Site, query: &[&str]) -> Result<Vec<Value>> {
    site.collector
        .list(&[&["keys", "--host", "web"], query].concat())
}

/// Waits until the collector shows of this key what it should, and gives how long that took.
fn seen(site: &Site, key: &Key, enough: impl Fn(&[Value]) -> bool) -> Result<Duration> {
    ensure!(key.fingerprint.starts_with("SHA256:"), "no fingerprint");
    let query = ["--fingerprint", &key.fingerprint];
    let mut last = Vec::new();
    let start = now()?;
    until("the collector shows what opens", SOON, || {
        last = openings(site, &query)?;
        Ok(enough(&last).then_some(()))
    })
    .with_context(|| format!("last seen: {last:#?}"))?;
    Ok(now()?.saturating_sub(start))
}

fn now() -> Result<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Ok(Duration::new(
        now.tv_sec.try_into()?,
        now.tv_nsec.try_into()?,
    ))
}
