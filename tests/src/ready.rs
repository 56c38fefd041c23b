//! Whether this machine can boot hosts; where it cannot, scenarios are skipped and counted.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

use crate::network::Network;
use crate::root::{self, Release};
use crate::run::run;

/// Runs a scenario that needs booted hosts, or says that it was skipped and why.
pub fn scenario(name: &str, play: impl FnOnce() -> Result<()>) -> Result<()> {
    match obstacle() {
        None => play(),
        Some(why) => {
            skip(name, why);
            Ok(())
        }
    }
}

/// Runs a scenario that needs no host but networks of its own, or says that it was skipped and why.
pub fn with_networks(name: &str, play: impl FnOnce() -> Result<()>) -> Result<()> {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    let obstacle = OBSTACLE.get_or_init(|| try_networks().err().map(|error| one_line(&error)));
    match obstacle {
        None => play(),
        Some(why) => {
            skip(name, why);
            Ok(())
        }
    }
}

fn try_networks() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "not root");
    let script = "command -v ip && unshare -n nft list ruleset";
    let able = run(Command::new("bash").args(["-ec", script]));
    able.context("no networks of their own, or no nftables; `make test` installs it")?;
    Ok(())
}

/// Says something to the person who runs the tests, past the capture of the test harness.
pub fn notice(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "watchward-tests: {text}");
}

/// The file with one line for each scenario that was skipped; `make test` counts them.
pub fn skipped() -> PathBuf {
    root::target().join("skipped-scenarios")
}

fn skip(name: &str, why: &str) {
    notice(&format!(
        "skipped, as this machine cannot boot hosts: {name} ({why})"
    ));
    let file = OpenOptions::new().create(true).append(true).open(skipped());
    if let Ok(mut file) = file {
        let _only_a_count = writeln!(file, "{name}: {why}");
    }
}

/// Why this machine cannot boot hosts, if it cannot; found out once.
fn obstacle() -> Option<&'static str> {
    static OBSTACLE: OnceLock<Option<String>> = OnceLock::new();
    OBSTACLE
        .get_or_init(|| try_out().err().map(|error| one_line(&error)))
        .as_deref()
}

fn try_out() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "not root");
    for program in ["systemd-nspawn", "ip", "nsenter", "unshare", "setsid"] {
        let found = run(Command::new("bash").args(["-c", &format!("command -v {program}")]));
        ensure!(found.is_ok(), "no {program}; `make test` installs it");
    }
    run(Command::new("unshare").args(["-muinpf", "true"])).context("no namespaces")?;
    Network::new().context("no bridge")?;
    root::base(Release::Usual)?;
    Ok(())
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}
