//! Room `restriction`: who attacks a host is shut out by it, and whoever must not be is not.

use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use watchward_tests::agent;
use watchward_tests::enforcer;
use watchward_tests::host::Host;
use watchward_tests::ready::notice;
use watchward_tests::shut_out::Watch;
use watchward_tests::site::{Site, play};
use watchward_tests::ssh::{self, Attack};
use watchward_tests::wait::{SOON, until};

#[test]
fn an_attacker_is_cut_off_and_who_is_guarded_or_came_in_by_key_is_not() -> Result<()> {
    play("an attacker is cut off", "", |site| {
        let (web, cafe) = (site.boot("web")?, site.boot("cafe")?);
        let (office, home) = (site.boot("office")?, site.boot("home")?);
        ssh::add_user(&web, "alice", "correct")?;
        ssh::allow_many_tries(&web)?;
        ssh::add_key(&home, "alice", &web)?;
        enforcer::start(&web, &format!("never = [\"{}/32\"]\n", office.address()))?;
        site.watch(&web, "")?;
        let log = || agent::log(&web);

        let _held = Held::begin(&cafe, &web)?;
        until("the connection stands", SOON, || {
            Ok((connections(&web, &cafe)? == 1).then_some(()))
        })?;
        assert!(ssh::key(&home, &web, "alice")?);
        let vouched = format!(
            "nft list set inet watchward vouched4 | grep -qF {}",
            home.address()
        );
        until("home is vouched for", SOON, || {
            Ok(web.try_sh(&vouched)?.then_some(()))
        })
        .with_context(log)?;

        for from in [&office, &home, &cafe] {
            let attack = Attack {
                users: 1,
                connections: 1,
                tries: 6,
            };
            let mut attack = attack.begin(from, &web)?;
            until("all tries are made", SOON, || {
                Ok(attack.ended()?.then_some(()))
            })?;
        }
        until("the attacker is shut out", SOON, || {
            Ok((!ssh::reaches(&cafe, &web)?).then_some(()))
        })
        .with_context(log)?;
        assert_eq!(connections(&web, &cafe)?, 0, "what stood is cut, too");
        for friend in [&office, &home] {
            assert!(ssh::reaches(friend, &web)?, "{}: {}", friend.name(), log());
        }
        assert!(ssh::key(&home, &web, "alice")?);
        Ok(())
    })
}

#[test]
fn whoever_attacks_one_host_is_shut_out_of_another_until_the_ban_is_lifted() -> Result<()> {
    play("a ban holds on all hosts", "", |site| {
        let (web, db) = (guarded(site, "web")?, guarded(site, "db")?);
        let (cafe, office) = (site.boot("cafe")?, site.boot("office")?);
        ssh::allow_many_tries(&web)?;
        assert!(ssh::reaches(&cafe, &db)?);
        let attack = Attack {
            users: 1,
            connections: 1,
            tries: 6,
        };
        let watch = Watch::begin(&db)?;
        let _running = attack.begin(&cafe, &web)?;
        let logs = || format!("{}\n{}", agent::log(&web), enforcer::log(&db));
        let held = watch.wait_for(&cafe.address().to_string(), SOON)?;
        let held = held.context("the other host does not hold it");
        let took = held.with_context(logs)?.saturating_sub(fifth_try(&web)?);
        notice(&format!(
            "from the line that was one too many to the ban on another host: {took:?}"
        ));
        for host in [&web, &db] {
            assert!(!ssh::reaches(&cafe, host)?, "{}", host.name());
            assert!(ssh::reaches(&office, host)?, "{}", host.name());
        }
        let bans = site.collector.list(&["bans"])?;
        assert_eq!(bans.len(), 1, "{bans:#?}");
        assert_eq!(bans[0]["net"], format!("{}/32", cafe.address()));
        assert_eq!(bans[0]["hosts"], json!(["web"]));

        let whom = cafe.address().to_string();
        let lift = ["ban", "lift", &whom, "--reason", "our own scanner"];
        site.collector.ask(&lift)?;
        for host in [&web, &db] {
            until("it is let in again", SOON, || {
                Ok(ssh::reaches(&cafe, host)?.then_some(()))
            })
            .with_context(logs)?;
        }
        Ok(())
    })
}

/// When the journal took the line of the fifth failed try, by the clock that never jumps.
fn fifth_try(host: &Host) -> Result<Duration> {
    let lines = host.sh(
        "journalctl -t sshd -t sshd-session -o json --output-fields=MESSAGE | grep 'Failed password'",
    )?;
    let fifth = lines.lines().nth(4).context("there is no such line")?;
    let fifth: serde_json::Value = serde_json::from_str(fifth)?;
    let at = fifth
        .get("__MONOTONIC_TIMESTAMP")
        .and_then(|at| at.as_str());
    Ok(Duration::from_micros(at.context("no time")?.parse()?))
}

/// A watched host that shuts out whom it should.
fn guarded(site: &Site, name: &str) -> Result<Host> {
    let host = site.boot(name)?;
    enforcer::start(&host, "never = []\n")?;
    site.watch(&host, "")?;
    Ok(host)
}

/// A connection to sshd that says no word, until it is dropped.
struct Held(Child);

impl Held {
    fn begin(from: &Host, to: &Host) -> Result<Self> {
        let script = format!("exec 3<>/dev/tcp/{}/22; sleep 240", to.address());
        let mut command = from.command(&["bash", "-c", &script])?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self(child.spawn()?))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// How many connections stand between two hosts, as the first one sees it.
fn connections(host: &Host, with: &Host) -> Result<usize> {
    let seen = host.sh(&format!(
        "ss -Htn state established dst {} sport = :22",
        with.address()
    ))?;
    Ok(seen.lines().count())
}
