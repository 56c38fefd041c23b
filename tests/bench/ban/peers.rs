//! Those that are measured, and how each is started on a host.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use watchward_tests::host::Host;
use watchward_tests::run::run;
use watchward_tests::wait::{SOON, until};

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
            let script = "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -qE 'auth.log|inotify'";
            Ok(host.try_sh(script)?.then_some(()))
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

const WATCHWARD: &str = r#"
    mkdir -p /etc/watchward /srv/ww /run/watchward-enforcer
    : > /etc/watchward/guard.toml
    cat > /srv/ww/collector.toml <<'EOF'
[store]
database = "sqlite:///srv/ww/collector.db"
[hosts]
authority = "/srv/ww/authority.pem"
[admin]
socket = "/srv/ww/collector.sock"
[web]
listen = "127.0.0.1:0"
[alerting]
folder = "/srv/ww/messages"
[intake]
listen = "127.0.0.1:7443"
enrolment = "127.0.0.1:7444"
EOF
    cat > /srv/ww/agent.toml <<'EOF'
[uplink]
collector = "127.0.0.1:7443"
[spool]
directory = "/srv/ww/spool"
[hosts]
identity = "/srv/ww/identity.json"
[access]
source = "files"
files = ["/var/log/auth.log"]
[restriction]
trust_text = true
EOF
    run() { systemd-run -q --unit="$1" "${@:2}"; }
    ask() { watchward --socket /srv/ww/collector.sock "$@"; }
    run ww-collector watchward-collector --config /srv/ww/collector.toml
    for turn in $(seq 100); do ask hosts > /dev/null && break; sleep 0.1; done
    token=$(ask token create web-1 --json | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
    watchward-agent enroll --config /srv/ww/agent.toml --name web-1 "$token"
    systemctl stop ww-collector
    run ww-enforcer watchward-enforcer run --state /srv/ww
    for turn in $(seq 100); do [ -S /run/watchward-enforcer/socket ] && break; sleep 0.1; done
    run ww-agent watchward-agent run --config /srv/ww/agent.toml
    for turn in $(seq 100); do
        # Twice: for the judge, who reads ahead once the enforcer is there, and for the spool.
        [ "$(ls -l /proc/[0-9]*/fd | grep -c auth.log)" -ge 2 ] && exit
        sleep 0.1
    done
    exit 1
"#;
