//! `watchward-manuals`: writes man pages and shell completions of the programs into a folder.
//!
//! The command lines are read from the programs' own sources, so that the programs need not carry
//! what writes a manual.

#[path = "../../agent/src/arguments.rs"]
mod agent;
#[path = "../../collector/src/arguments.rs"]
mod collector;
#[expect(
    dead_code,
    unused_imports,
    reason = "a command line that is described and not used"
)]
#[path = "../../cli/src/args/mod.rs"]
mod command;
#[path = "../../agent/enforcer/src/arguments.rs"]
mod enforcer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;

/// Writes the manuals of Watchward's programs.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder: man pages go below man/, completions below completions/
    folder: PathBuf,
}

fn main() -> ExitCode {
    watchward_daemon::service::exit(write(&Arguments::parse().folder))
}

fn write(folder: &Path) -> anyhow::Result<()> {
    let programs = [
        ("watchward", "1", command::Args::command()),
        ("watchward-agent", "8", agent::Arguments::command()),
        ("watchward-enforcer", "8", enforcer::Arguments::command()),
        ("watchward-collector", "8", collector::Arguments::command()),
    ];
    for (name, section, command) in programs {
        let command = command.name(name).bin_name(name);
        let pages = make(folder.join("man").join(format!("man{section}")))?;
        describe(&pages, section, command.clone())?;
        complete(&make(folder.join("completions").join(name))?, name, command)?;
    }
    Ok(())
}

/// One page for a program and one for each of its commands.
fn describe(folder: &Path, section: &str, command: Command) -> anyhow::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = vec![command];
    while let Some(page) = pages.pop() {
        let parts = page.get_subcommands().filter(|part| !part.is_hide_set());
        pages.extend(parts.cloned());
        clap_mangen::Man::new(page)
            .section(section)
            .manual("Watchward")
            .generate_to(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
    }
    Ok(())
}

fn complete(folder: &Path, name: &str, mut command: Command) -> anyhow::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, name, folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
    }
    Ok(())
}

fn make(folder: PathBuf) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for page in [
            "man1/watchward.1",
            "man1/watchward-token-create.1",
            "man8/watchward-agent-enroll.8",
            "man8/watchward-collector.8",
            "man8/watchward-enforcer-run.8",
        ] {
            let text = fs::read_to_string(folder.path().join("man").join(page)).unwrap();
            assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
        }
        for file in [
            "watchward/watchward.bash",
            "watchward-agent/_watchward-agent",
            "watchward-collector/watchward-collector.fish",
        ] {
            assert!(
                folder.path().join("completions").join(file).exists(),
                "{file}"
            );
        }
    }
}
