//! Those that are measured, and how each is started on a host.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::wait::{SOON, until};

use super::LOG;

/// One that is measured.
#[derive(Clone, Copy)]
pub(super) enum Peer {
    Fail2ban,
    Sshguard,
    Watchward,
}

const FAIL2BAN: &str = "
    cat > /etc/fail2ban/jail.local <<'EOF'
[DEFAULT]
banaction = nftables
banaction_allports = nftables[type=allports]
backend = pyinotify
[sshd]
enabled = true
logpath = /var/log/auth.log
EOF
    systemctl start fail2ban
    for turn in $(seq 100); do fail2ban-client status sshd && exit; sleep 0.1; done
    exit 1
";

const SSHGUARD: &str = "
    cat > /etc/sshguard/sshguard.conf <<'EOF'
BACKEND=\"/usr/libexec/sshguard/sshg-fw-nft-sets\"
FILES=\"/var/log/auth.log\"
THRESHOLD=30
BLOCK_TIME=120
DETECTION_TIME=1800
WHITELIST_FILE=/etc/sshguard/whitelist
EOF
    systemctl start sshguard
";

impl Peer {
    pub(super) const ALL: [Self; 3] = [Self::Fail2ban, Self::Sshguard, Self::Watchward];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fail2ban => "fail2ban (pyinotify, nftables)",
            Self::Sshguard => "sshguard (nft sets)",
            Self::Watchward => "watchward (text log)",
        }
    }

    /// Whether this line of `/proc/PID/stat` is of one of its programs.
    pub(super) fn runs(self, stat: &str) -> bool {
        let name = stat.split_once('(').map_or("", |(_, rest)| rest);
        let starts: &[&str] = match self {
            Self::Fail2ban => &["fail2ban"],
            Self::Sshguard => &["sshg", "sshguard"],
            Self::Watchward => &["watchward"],
        };
        starts.iter().any(|start| name.starts_with(start))
    }

    /// Starts it, and waits until it watches the log.
    pub(super) fn start(self, host: &Host, programs: &Path) -> Result<()> {
        match self {
            Self::Fail2ban => {
                install(host, "fail2ban python3-pyinotify")?;
                host.sh(FAIL2BAN)?;
            }
            Self::Sshguard => {
                install(host, "sshguard")?;
                host.sh(SSHGUARD)?;
            }
            Self::Watchward => watchward(host, programs)?,
        }
        until("it watches the log", SOON * 2, || {
            let watching = host.try_sh(&format!(
                "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -qE '{LOG}|inotify'"
            ))?;
            Ok(watching.then_some(()))
        })
    }
}

/// Installs from Debian what no other test needs: with the network of this machine, for the host has none.
fn install(host: &Host, packages: &str) -> Result<()> {
    let root = host.outside_path("")?;
    let resolver = std::fs::read("/etc/resolv.conf").unwrap_or_default();
    host.write("/etc/resolv.conf", &resolver, 0o644)?;
    host.write("/usr/sbin/policy-rc.d", b"#!/bin/sh\nexit 101\n", 0o755)?;
    let script = format!(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
         apt-get install -y -qq --no-install-recommends {packages}"
    );
    run(Command::new("chroot").arg(root).args(["sh", "-c", &script]))
        .context("Debian's packages cannot be installed")?;
    Ok(())
}

/// The three programs, enrolled; then the collector goes away: a host bans by itself.
fn watchward(host: &Host, programs: &Path) -> Result<()> {
    for name in [
        "watchward",
        "watchward-agent",
        "watchward-collector",
        "watchward-enforcer",
    ] {
        let program = std::fs::read(programs.join(name))?;
        host.write(&format!("/usr/local/bin/{name}"), &program, 0o755)?;
    }
    host.sh(WATCHWARD)?;
    Ok(())
}

const WATCHWARD: &str = "false";
