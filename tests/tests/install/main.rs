//! Installing as `docs/install.md` says, to the letter, on hosts that boot; upgrading, backing up,
//! removing, and the units as they are shipped.

mod backup;
mod enforcer;
mod ground;
mod shipped;
mod tarball;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchward_tests::packages::Packages;
use watchward_tests::page;
use watchward_tests::ready::scenario;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

use ground::{AGENT, COLLECTOR, Ground, USERS};

#[test]
fn a_new_user_follows_the_page() -> Result<()> {
    scenario("docs/install.md, to the letter", || {
        let ground = Ground::new()?;
        let packages = Packages::built()?;
        packages.copy(&ground.centre, &["watchward", COLLECTOR])?;
        packages.copy(&ground.host, &[AGENT])?;
        let before = traces(&ground)?;
        for step in page::steps("install.md")? {
            let said = ground
                .follow(&step)
                .with_context(|| format!("{step:?}"))
                .with_context(|| ground.logs())?;
            if step.script.contains("install -y ./watchward-agent") {
                waits_calmly(&ground)?;
            }
            if step.script.contains("token create") {
                ground.paste(&said)?;
                ground.heard()?;
            }
            if step.script.contains("remove -y watchward-agent") {
                ground
                    .host
                    .sh("test -s /var/lib/watchward-agent/identity.json")?;
                ground
                    .host
                    .sh("test -s /etc/watchward/agent.toml; id watchward-agent")?;
            }
        }
        assert_eq!(traces(&ground)?, before, "what purging leaves on the host");
        Ok(())
    })
}

#[test]
fn an_upgrade_loses_no_event() -> Result<()> {
    scenario("an upgrade while strangers try to log in", || {
        let ground = Ground::enrolled()?;
        ssh::allow_many_tries(&ground.host)?;
        let attack = ssh::Attack {
            users: 20,
            connections: 15,
            tries: 2,
        };
        let expected = attack.users * attack.connections * attack.tries;
        let next = Packages::of_next_version()?;
        next.copy(&ground.host, &[AGENT])?;
        next.copy(&ground.centre, &["watchward", COLLECTOR])?;
        let mut running = attack.begin(&ground.centre, &ground.host)?;
        until("some are there", SOON, || {
            Ok((ground.failures()? > 30).then_some(()))
        })?;
        for step in page::steps("upgrade.md")? {
            let so_far = ground.failures()?;
            ground.follow(&step).with_context(|| format!("{step:?}"))?;
            until("more came after it", SOON, || {
                Ok((ground.failures()? > so_far).then_some(()))
            })
            .with_context(|| ground.logs())?;
        }
        ensure!(!running.ended()?, "the attack was over before the upgrade");
        ground.all_come(&mut running, expected)?;
        for (host, package) in [(&ground.host, AGENT), (&ground.centre, COLLECTOR)] {
            let version = host.sh(&format!("dpkg-query -W -f '${{Version}}' {package}"))?;
            assert_eq!(version, "999.0");
            host.sh(&format!("systemctl is-active {package}"))?;
        }
        Ok(())
    })
}

#[test]
fn a_program_that_is_stuck_is_started_again() -> Result<()> {
    scenario("the watchdog", || {
        let ground = Ground::enrolled()?;
        for (host, unit) in [(&ground.host, AGENT), (&ground.centre, COLLECTOR)] {
            let settings = "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=2s\n";
            let place = format!("/etc/systemd/system/{unit}.service.d/tests.conf");
            host.write(&place, settings.as_bytes(), 0o644)?;
            host.sh(&format!(
                "systemctl daemon-reload; systemctl restart {unit}"
            ))?;
        }
        let restarts = |host: &watchward_tests::host::Host, unit: &str| -> Result<u32> {
            Ok(host
                .sh(&format!("systemctl show -P NRestarts {unit}"))?
                .trim()
                .parse()?)
        };
        ground.heard()?;
        ground.idle_for(Duration::from_secs(8))?;
        assert_eq!(restarts(&ground.host, AGENT)?, 0, "idle is not stuck");
        assert_eq!(restarts(&ground.centre, COLLECTOR)?, 0, "idle is not stuck");

        let ended = |host: &watchward_tests::host::Host, unit: &str| {
            until("systemd has ended it", SOON * 2, || {
                let log = host.sh(&format!("journalctl -u {unit} --no-pager -o cat"))?;
                let ended = log.contains("Watchdog timeout") && restarts(host, unit)? > 0;
                Ok(ended.then_some(()))
            })
            .with_context(|| ground.logs())
        };
        // Its database is locked by somebody else, so what commits is stuck, and nothing else is.
        let lock = ground.lock_database()?;
        ended(&ground.centre, COLLECTOR)?;
        drop(lock);
        ground.host.sh(
            "pid=$(systemctl show -P MainPID watchward-agent); test $pid -gt 1; kill -STOP $pid",
        )?;
        ended(&ground.host, AGENT)?;
        ground.heard().with_context(|| ground.logs())
    })
}

/// An agent that nobody has enrolled: it runs, says what to do, and is not started again and again.
fn waits_calmly(ground: &Ground) -> Result<()> {
    let said = ground
        .host
        .sh("systemctl status watchward-agent --no-pager")?;
    ensure!(said.contains("This host is not enrolled"), "{said}");
    let show = "systemctl show -P NRestarts -P SubState watchward-agent";
    assert_eq!(
        ground.host.sh(show)?.split_whitespace().collect::<Vec<_>>(),
        ["0", "running"]
    );
    Ok(())
}

/// What packages could leave on a host: files, users and groups. The copies that userdel makes of its
/// own files are not theirs.
fn traces(ground: &Ground) -> Result<String> {
    ground.host.sh(&format!(
        "find / -xdev -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/*' \
         -not -path '/tmp/*' -not -path '/etc/sub?id-' -not -path '/var/tmp/*' -not -path '/var/log/*' \
         -not -path '/var/cache/*' -not -path '/root/*' -not -path '/home/*' \
         -not -path '/var/lib/apt/*' -not -path '/var/lib/dpkg/*-old' | sort; {USERS}"
    ))
}
