//! Installing without packages as `docs/install.md` says, to the letter.
//!
//! As it stands it packs the programs that are built for tests. `WATCHWARD_TARBALL=FILE` takes what
//! `make tarball` has made, and `WATCHWARD_SUITE=bullseye` hosts with an older Debian and its glibc.

use anyhow::{Context, Result, ensure};
use watchward_tests::host::Host;
use watchward_tests::packages;
use watchward_tests::page;
use watchward_tests::ready::scenario;
use watchward_tests::ssh;
use watchward_tests::wait::{SOON, until};

use super::ground::{AGENT, COLLECTOR, Ground};

/// Where an agent's programs are, its unit, its man page, and what stays when they are removed.
const PLACES: &str = "ls -d /usr/local/bin/* /etc/systemd/system/watchward* \
    /usr/local/share/man/man8/watchward-agent.8 /etc/watchward/agent.toml \
    /var/lib/watchward-agent/identity.json 2>/dev/null || true";

#[test]
fn the_tarball_installs_upgrades_and_removes() -> Result<()> {
    scenario("docs/install.md without packages, to the letter", || {
        let ground = Ground::new()?;
        let tarball = std::fs::read(packages::tarball()?)?;
        for host in [&ground.centre, &ground.host] {
            host.write("/root/watchward-0-x86_64.tar.gz", &tarball, 0o644)?;
        }
        let follow = |host: &Host, place: &str, number: usize| -> Result<()> {
            let steps = page::steps("install.md")?;
            let mut steps = steps.iter().filter(|step| step.place == place);
            let step = steps.nth(number).context("no such step")?;
            let done = host.sh(&format!("cd /root; {}", step.script));
            done.with_context(|| ground.logs()).map(drop)
        };
        follow(&ground.centre, "tarball-collector", 0)?;
        follow(&ground.host, "tarball-host", 0)?;
        ground.paste(&ground.centre.sh("watchward token create web-1")?)?;
        ground.heard().with_context(|| ground.logs())?;

        ground
            .host
            .sh("echo '# ours' >> /etc/watchward/agent.toml")?;
        follow(&ground.centre, "tarball-collector", 0)?;
        follow(&ground.host, "tarball-host", 0)?;
        let ours = "grep -q '# ours' /etc/watchward/agent.toml";
        ensure!(ground.host.try_sh(ours)?, "an upgrade takes ours away");
        ssh::password(&ground.centre, &ground.host, "nobody-here", "wrong")?;
        until("the failed login is there", SOON * 2, || {
            Ok((ground.failures()? > 0).then_some(()))
        })
        .with_context(|| ground.logs())?;
        for (host, unit) in [
            (&ground.host, AGENT),
            (&ground.host, "watchward-agent-keys"),
            (&ground.centre, COLLECTOR),
        ] {
            let state = host.sh(&format!(
                "systemctl show -P ActiveState {unit}; systemctl show -P NRestarts {unit}; \
                 systemctl is-enabled {unit}"
            ))?;
            let state: Vec<_> = state.split_whitespace().collect();
            assert_eq!(state, ["active", "0", "enabled"], "{unit}");
        }

        follow(&ground.host, "tarball-host", 1)?;
        let left = ground.host.sh(PLACES)?;
        assert_eq!(
            left.lines().collect::<Vec<_>>(),
            [
                "/etc/watchward/agent.toml",
                "/var/lib/watchward-agent/identity.json"
            ]
        );
        let running = "pgrep -f '[w]atchward-agent'";
        ensure!(!ground.host.try_sh(running)?, "it is running still");
        Ok(())
    })
}
