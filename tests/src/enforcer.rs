//! Runs an enforcer on a booted host, beside an agent that is root's.

use std::fs;

use anyhow::Result;

use crate::host::Host;
use crate::programs;

const UNIT: &str = "[Service]
Type=notify
ExecStart=/usr/local/bin/watchward-enforcer run
RuntimeDirectory=watchward-enforcer
StateDirectory=watchward-enforcer
";

/// Puts it on a host and starts it, with this guard file.
pub fn start(host: &Host, guard: &str) -> Result<()> {
    run(host, UNIT, guard)
}

/// The same as it is shipped, for the agent that [`crate::agent::start_unprivileged`] starts.
pub fn start_unprivileged(host: &Host, guard: &str) -> Result<()> {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../systemd/watchward-enforcer.service"
    );
    let unit = fs::read_to_string(unit)?.replace("=/usr/bin/", "=/usr/local/bin/");
    host.sh(
        "printf 'u watchward-enforcer - - /var/lib/watchward-enforcer\n' | systemd-sysusers -",
    )?;
    run(host, &unit, guard)
}

/// Its second role, which tells sshd what is revoked, as it is shipped.
pub fn start_keys(host: &Host, guard: &str) -> Result<()> {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../systemd/watchward-enforcer-keys.service"
    );
    let unit = fs::read_to_string(unit)?.replace("=/usr/bin/", "=/usr/local/bin/");
    let program = fs::read(programs::path(programs::ENFORCER)?)?;
    host.write("/usr/local/bin/watchward-enforcer", &program, 0o755)?;
    let place = "/etc/systemd/system/watchward-enforcer-keys.service";
    host.write(place, unit.as_bytes(), 0o644)?;
    host.write("/etc/watchward/guard.toml", guard.as_bytes(), 0o644)?;
    host.sh("systemctl daemon-reload; systemctl enable -q --now watchward-enforcer-keys")
        .map(drop)
}

fn run(host: &Host, unit: &str, guard: &str) -> Result<()> {
    let program = fs::read(programs::path(programs::ENFORCER)?)?;
    host.write("/usr/local/bin/watchward-enforcer", &program, 0o755)?;
    let place = "/etc/systemd/system/watchward-enforcer.service";
    host.write(place, unit.as_bytes(), 0o644)?;
    host.write("/etc/watchward/guard.toml", guard.as_bytes(), 0o644)?;
    host.sh("systemctl daemon-reload; systemctl start watchward-enforcer")
        .map(drop)
}

/// What it has logged, and what it has in the kernel.
pub fn log(host: &Host) -> String {
    let words = "journalctl -u watchward-enforcer --no-pager -o cat -n 60
        nft list table inet watchward || true";
    format!(
        "the enforcer's log on {} ends with, and the kernel has:\n{}",
        host.name(),
        host.sh(words).unwrap_or_default()
    )
}
