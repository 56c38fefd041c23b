//! Installs an agent in a booted host, enrols it, and runs it as a service there.

use std::fs;

use anyhow::{Context, Result};

use crate::collector::{Collector, ENROLMENT_PORT, STREAM_PORT};
use crate::host::Host;
use crate::network::Network;
use crate::programs;
use crate::wait::{SOON, until};

const UNIT: &str = "[Unit]
Description=Watchward's agent, under test
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=/usr/local/bin/watchward-agent run --config /etc/watchward/agent.toml
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
StateDirectory=watchward-agent
[Install]
WantedBy=multi-user.target
";

/// Puts program, unit and configuration in place; `settings` are tables that a scenario adds.
pub fn install(host: &Host, network: &Network, settings: &str) -> Result<()> {
    let program = fs::read(programs::path(programs::AGENT)?)?;
    host.write("/usr/local/bin/watchward-agent", &program, 0o755)?;
    host.write(
        "/etc/systemd/system/watchward-agent.service",
        UNIT.as_bytes(),
        0o644,
    )?;
    host.write(
        "/etc/watchward/agent.toml",
        configuration(network, settings).as_bytes(),
        0o644,
    )?;
    host.sh("mkdir -p -m 700 /var/lib/watchward-agent; systemctl daemon-reload")
        .map(drop)
}

/// Enrols the host with this token, under its own name or another.
pub fn enrol(host: &Host, token: &str, name: Option<&str>) -> Result<()> {
    let name = name
        .map(|name| format!("--name {name}"))
        .unwrap_or_default();
    host.sh(&format!(
        "watchward-agent enroll --config /etc/watchward/agent.toml {name} - <<< '{token}'"
    ))
    .map(drop)
}

/// Installs, enrols and starts it; it starts again with the host.
pub fn start(host: &Host, network: &Network, collector: &Collector, settings: &str) -> Result<()> {
    install(host, network, settings)?;
    enrol(host, &collector.token(host.name())?, None)?;
    let start = host
        .sh("systemctl enable -q --now watchward-agent")
        .map(drop);
    start.with_context(|| log(host))
}

/// The same as it is shipped: without any privilege, and with the reader of keys and the keeper of
/// identities beside it.
pub fn start_unprivileged(
    host: &Host,
    network: &Network,
    collector: &Collector,
    settings: &str,
) -> Result<()> {
    install(host, network, settings)?;
    for unit in ["agent", "agent-keys", "agent-identities"] {
        let unit = format!("watchward-{unit}.service");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/");
        let text = fs::read_to_string(format!("{path}{unit}"))?;
        let text = text.replace("=/usr/bin/", "=/usr/local/bin/");
        host.write(
            &format!("/etc/systemd/system/{unit}"),
            text.as_bytes(),
            0o644,
        )?;
    }
    host.sh(
        "printf 'u watchward-agent - - /var/lib/watchward-agent\nu watchward-agent-keys - - /\n' \
            | systemd-sysusers -
         systemctl daemon-reload",
    )?;
    enrol(host, &collector.token(host.name())?, None)?;
    let start = host.sh(
        "chown -R watchward-agent: /var/lib/watchward-agent
         systemctl enable -q --now watchward-agent-keys watchward-agent-identities watchward-agent",
    );
    start.map(drop).with_context(|| log(host))
}

/// Kills it without a word of warning; the host's systemd starts it again a second later.
pub fn kill(host: &Host) -> Result<()> {
    let kill = "pid=$(systemctl show -P MainPID watchward-agent); test $pid -gt 1 && kill -9 $pid";
    // It may not be back from the last time.
    until("there is an agent to be killed", SOON, || {
        Ok(host.try_sh(kill)?.then_some(()))
    })
}

/// What it has logged.
pub fn log(host: &Host) -> String {
    let said = host.sh("journalctl -u 'watchward-agent*' --no-pager -o cat -n 60");
    format!(
        "the agent's log on {} ends with:\n{}",
        host.name(),
        said.unwrap_or_default()
    )
}

fn configuration(network: &Network, settings: &str) -> String {
    let outside = network.outside();
    format!(
        "[uplink]\ncollector = \"{outside}:{STREAM_PORT}\"\n\
         enrolment = \"{outside}:{ENROLMENT_PORT}\"\nretry = \"2s\"\nbeat = \"2s\"\n{settings}"
    )
}
