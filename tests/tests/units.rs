//! A real server, set up as the README says: the units and configurations that are shipped.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use watchward_tests::host::Host;
use watchward_tests::network::Network;
use watchward_tests::programs;
use watchward_tests::ready::scenario;
use watchward_tests::wait::{SOON, until_seen};

#[test]
fn what_is_shipped_runs_on_a_real_server() -> Result<()> {
    scenario("the shipped units and configurations", || {
        let network = Network::new()?;
        let centre = Host::boot(&network, "centre")?;
        install(&centre)?;
        let said = |unit: &str| {
            let log = centre.sh(&format!(
                "systemctl status -n 30 --no-pager -l {unit} || true"
            ));
            format!("{unit}: {}", log.unwrap_or_default())
        };
        centre
            .sh("systemctl enable -q --now watchward-collector")
            .with_context(|| said("watchward-collector"))?;
        let token = ask(&centre, "token create centre")?;
        let token = token["token"].as_str().context("no token")?.to_owned();
        centre.sh(&format!("watchward-agent enroll - <<< '{token}'"))?;
        centre
            .sh("systemctl enable -q --now watchward-agent")
            .with_context(|| said("watchward-agent"))?;

        let journal = |hosts: &Value| {
            let findings = hosts[0]["findings"].as_array().cloned().unwrap_or_default();
            findings.iter().any(|finding| {
                finding["subject"] == "access: journal" && finding["state"] == "watched"
            })
        };
        until_seen(
            "the journal is watched",
            SOON,
            || ask(&centre, "hosts"),
            journal,
        )
        .with_context(|| said("watchward-agent"))?;
        let health = |checks: &Value| checks.as_array().is_some_and(|list| list.len() > 2);
        until_seen(
            "the host itself is checked",
            SOON,
            || ask(&centre, "health"),
            health,
        )?;
        centre.sh("systemctl reload watchward-collector watchward-agent")?;
        centre.sh("systemctl stop watchward-agent watchward-collector")?;
        let left = centre.sh("systemctl --failed --no-legend | grep watchward || true")?;
        assert_eq!(
            left,
            "",
            "{} {}",
            said("watchward-agent"),
            said("watchward-collector")
        );
        Ok(())
    })
}

/// As the README says, but for the collector's address.
fn install(host: &Host) -> Result<()> {
    for name in [programs::COLLECTOR, programs::AGENT, programs::COMMAND] {
        let program = fs::read(programs::path(name)?)?;
        host.write(&format!("/usr/local/bin/{name}"), &program, 0o755)?;
    }
    for name in [programs::COLLECTOR, programs::AGENT] {
        let unit = format!("{name}.service");
        let text = shipped("systemd", &unit)?;
        host.write(
            &format!("/etc/systemd/system/{unit}"),
            text.as_bytes(),
            0o644,
        )?;
        let users = format!("{name}.conf");
        let text = shipped("systemd", &users)?;
        host.write(
            &format!("/usr/lib/sysusers.d/{users}"),
            text.as_bytes(),
            0o644,
        )?;
    }
    for name in ["collector.toml", "agent.toml"] {
        let text = shipped("config", name)?.replace("collector.example.net", "127.0.0.1");
        host.write(&format!("/etc/watchward/{name}"), text.as_bytes(), 0o644)?;
    }
    host.sh("systemd-sysusers && systemctl daemon-reload")
        .map(drop)
}

fn shipped(folder: &str, name: &str) -> Result<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = top.join(folder).join(name);
    fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))
}

fn ask(host: &Host, words: &str) -> Result<Value> {
    Ok(serde_json::from_str(
        &host.sh(&format!("watchward --json {words}"))?,
    )?)
}
