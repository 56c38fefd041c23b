//! Room `restriction`: who attacks a host is shut out by it, and whoever must not be is not.

use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use watchward_tests::agent;
use watchward_tests::host::Host;
use watchward_tests::programs;
use watchward_tests::site::play;
use watchward_tests::ssh::{self, Attack};
use watchward_tests::wait::{SOON, until};

const UNIT: &str = "[Service]
Type=notify
ExecStart=/usr/local/bin/watchward-enforcer run
RuntimeDirectory=watchward-enforcer
StateDirectory=watchward-enforcer
";

#[test]
fn an_attacker_is_cut_off_and_who_is_guarded_or_came_in_by_key_is_not() -> Result<()> {
    play("an attacker is cut off", "", |site| {
        let (web, cafe) = (site.boot("web")?, site.boot("cafe")?);
        let (office, home) = (site.boot("office")?, site.boot("home")?);
        ssh::add_user(&web, "alice", "correct")?;
        ssh::allow_many_tries(&web)?;
        ssh::add_key(&home, "alice", &web)?;
        enforce(&web, &format!("never = [\"{}/32\"]\n", office.address()))?;
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
            Ok((!reaches(&cafe, &web)?).then_some(()))
        })
        .with_context(log)?;
        assert_eq!(connections(&web, &cafe)?, 0, "what stood is cut, too");
        for friend in [&office, &home] {
            assert!(reaches(friend, &web)?, "{}: {}", friend.name(), log());
        }
        assert!(ssh::key(&home, &web, "alice")?);
        Ok(())
    })
}

/// Puts the enforcer on a host and starts it, with this guard file.
fn enforce(host: &Host, guard: &str) -> Result<()> {
    let program = std::fs::read(programs::path(programs::ENFORCER)?)?;
    host.write("/usr/local/bin/watchward-enforcer", &program, 0o755)?;
    let unit = "/etc/systemd/system/watchward-enforcer.service";
    host.write(unit, UNIT.as_bytes(), 0o644)?;
    host.write("/etc/watchward/guard.toml", guard.as_bytes(), 0o644)?;
    host.sh("systemctl daemon-reload; systemctl start watchward-enforcer")
        .map(drop)
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

fn reaches(from: &Host, to: &Host) -> Result<bool> {
    from.try_sh(&format!(
        "timeout 2 bash -c '</dev/tcp/{}/22'",
        to.address()
    ))
}
