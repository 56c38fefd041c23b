//! Runs a command to its end and says what it said when it fails.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// What the command wrote to its standard output; an error shows what it wrote to both.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("{}", complaint(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How the command ended and what it wrote. It reads nothing from standard input.
pub fn output(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// A program with its arguments, ready to run.
pub fn program<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut words = words.into_iter();
    let mut command = words
        .next()
        .map_or_else(|| Command::new("true"), Command::new);
    command.args(words);
    command
}

/// One text for a person about a command that failed.
pub fn complaint(command: &Command, output: &Output) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for word in command.get_args() {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    format!(
        "`{line}` ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
