//! `watchward config check` and `watchward policy check`: whether a file is right, before a program has
//! to live with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};
use serde_json::json;

use crate::args::Config;
use crate::screen::{Screen, safe};

/// A program, how it is asked, and where its configuration lies.
const PROGRAMS: [(&str, &[&str], &str); 2] = [
    (
        "watchward-collector",
        &["--check", "--config"],
        "/etc/watchward/collector.toml",
    ),
    (
        "watchward-agent",
        &["check", "--config"],
        "/etc/watchward/agent.toml",
    ),
];

pub(crate) fn run(command: Config, screen: &mut Screen) -> anyhow::Result<()> {
    let Config::Check { collector, agent } = command;
    let named = collector.is_some() || agent.is_some();
    let mut checked = Vec::new();
    for ((program, words, usual), given) in PROGRAMS.into_iter().zip([collector, agent]) {
        let usual = Path::new(usual);
        let Some(file) = given.or_else(|| (!named && usual.exists()).then(|| usual.to_owned()))
        else {
            continue;
        };
        check(program, words, &file)?;
        checked.push(file);
    }
    ensure!(
        !checked.is_empty(),
        "there is nothing to check: neither /etc/watchward/collector.toml nor \
         /etc/watchward/agent.toml exists; --collector and --agent name other files"
    );
    checked.iter().try_for_each(|file| right(file, screen))
}

/// Says whether a policy is right in itself.
pub(crate) fn policy(file: &Path) -> anyhow::Result<()> {
    check("watchward-collector", &["--check-policy"], file)
}

pub(crate) fn right(file: &Path, screen: &mut Screen) -> anyhow::Result<()> {
    let file = file.display().to_string();
    if screen.is_for_programs() {
        return Ok(screen.json(&json!({"file": file, "right": true}))?);
    }
    Ok(screen.line(&format!("{} is right", safe(&file)))?)
}

/// Asks the program itself: no other knows as well.
fn check(program: &str, words: &[&str], file: &Path) -> anyhow::Result<()> {
    let output = ask(program, words, file)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim_end();
        bail!(
            "{}",
            said.strip_prefix(&format!("{program}: ")).unwrap_or(said)
        );
    }
    Ok(())
}

fn ask(program: &str, words: &[&str], file: &Path) -> anyhow::Result<Output> {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.with_file_name(program);
    let path = if beside.exists() {
        beside
    } else {
        PathBuf::from(program)
    };
    Command::new(path)
        .args(words)
        .arg(file)
        .output()
        .with_context(|| format!("cannot ask {program}, which checks its own configuration"))
}
