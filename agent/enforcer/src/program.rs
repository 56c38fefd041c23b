//! Running other programs: at fixed places, without a shell, with nothing in their environment, and not for long.

use std::process::{Command, Output};

/// Runs another and ends it after so many seconds.
const TIMEOUT: &str = "/usr/bin/timeout";

/// What a program wrote, if it did what it was asked within so many seconds.
pub(crate) fn run(program: &str, seconds: &str, arguments: &[&str]) -> Result<String, String> {
    let done = output(program, seconds, arguments)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let why = last.map_or_else(|| done.status.to_string(), |line| line.trim().to_owned());
    Err(format!("{program}: {why}"))
}

/// All that came of it.
pub(crate) fn output(program: &str, seconds: &str, arguments: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(TIMEOUT);
    command.args(["--signal=KILL", seconds, program]);
    let command = command.args(arguments).env_clear().env("LC_ALL", "C");
    let done = command.output();
    done.map_err(|error| format!("{program} cannot be run: {error}"))
}
