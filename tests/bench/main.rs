//! `make bench`: what Watchward costs, in CPU time, beside what nobody can do with less, and how soon it
//! acts. `FIGURES=ban` measures one of `parse`, `pipeline`, `ban`, `certificates` and `list` alone.

mod ban;
mod certificates;
mod cpu;
mod list;
mod log;
mod pipeline;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use watchward_agent::access::sshd;
use watchward_agent::access::syslog::{self, Clock};
use watchward_protocol::access::Service;
use watchward_protocol::time::Timestamp;

/// How long the log is.
const LINES: usize = 1_000_000;

/// What somebody would look for by hand.
const PATTERN: &str =
    r"sshd\[[0-9]+\]: (Failed password for|Invalid user) .* from [0-9a-f.:]+ port [0-9]+";

fn main() -> Result<()> {
    let programs = programs()?;
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|it| it == name);
    let folder = tempfile::tempdir()?;
    if wants("parse") {
        let file = folder.path().join("auth.log");
        say(&format!("Writing an auth.log of {LINES} lines ..."))?;
        log::write(&file, LINES)?;
        parsing(&programs, &file)?;
    }
    if wants("pipeline") {
        pipeline::measure(&programs, folder.path())?;
    }
    if wants("ban") {
        ban::measure(&programs)?;
    }
    if wants("certificates") {
        certificates::measure(folder.path())?;
    }
    if wants("list") {
        list::measure()?;
    }
    Ok(())
}

/// The first figure: lines parsed per CPU second.
fn parsing(programs: &Path, file: &Path) -> Result<()> {
    let parse = programs.join("watchward-agent");
    let parse = format!("'{}' parse --json \"$FILE\" >/dev/null", parse.display());
    // Not to /dev/null: grep would notice, and stop at the first match.
    let grep = format!("grep -cE '{PATTERN}' \"$FILE\"");
    let base = cpu::of_command("wc -l \"$FILE\"", file, 20)?;
    say(&format!(
        "\n{:<34} {:>9} {:>14} {:>9}",
        "lines of an auth.log", "CPU s", "lines/CPU s", "x wc -l"
    ))?;
    for (name, spent) in [
        ("wc -l", base),
        ("LC_ALL=C grep -cE", cpu::of_command(&grep, file, 5)?),
        ("pure parsing", pure(file)?),
        (
            "watchward-agent parse --json",
            cpu::of_command(&parse, file, 3)?,
        ),
    ] {
        let ratio = spent.as_secs_f64() / base.as_secs_f64();
        let figure = figure(LINES, spent);
        say(&format!("{name:<34} {figure} {ratio:>9.1}"))?;
    }
    Ok(())
}

/// The parser alone: the log is in memory, and what is understood is dropped.
fn pure(file: &Path) -> Result<Duration> {
    const RUNS: u32 = 3;
    let log = std::fs::read(file)?;
    let clock = Clock {
        now: Timestamp::from_micros(0),
        ahead: 0,
    };
    let before = cpu::own();
    for _ in 0..RUNS {
        for line in log.split(|byte| *byte == b'\n') {
            let line = syslog::read(line, clock);
            if line.program.is_none_or(is_sshd) {
                std::hint::black_box(sshd::parse(line.message));
            }
        }
    }
    Ok((cpu::own() - before) / RUNS)
}

fn is_sshd(program: &[u8]) -> bool {
    syslog::service(program) == Some(Service::Sshd)
}

/// CPU seconds and things per CPU second, as columns.
fn figure(things: usize, spent: Duration) -> String {
    let seconds = spent.as_secs_f64();
    let things = u32::try_from(things).map_or(f64::MAX, f64::from);
    format!("{seconds:>9.3} {:>14.0}", things / seconds)
}

/// The folder where the release binaries lie: this program's own is one below.
fn programs() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("no such folder")?;
    Ok(folder.to_owned())
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
