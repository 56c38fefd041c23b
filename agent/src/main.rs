//! `watchward-agent`: watches this host and tells the collector.

mod arguments;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use watchward_agent::access::parse::{Summary, parse_command};
use watchward_agent::config::Config;
use watchward_agent::health::keep_plugin;
use watchward_agent::hosts;
use watchward_agent::uplink::{Address, Token};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    watchward_daemon::secret::keep_out_of_dumps();
    let done = match Arguments::parse().command {
        Command::Run { config } => {
            watchward_daemon::logging::start().and_then(|()| run(watchward_agent::run(&config)))
        }
        Command::Keys { config } => watchward_daemon::logging::start()
            .and_then(|()| run(watchward_agent::read_keys(&config))),
        Command::Identities { config } => watchward_daemon::logging::start()
            .and_then(|()| run(watchward_agent::keep_identities(&config))),
        Command::Check { config } => watchward_daemon::config::read::<Config>(&config)
            .map(drop)
            .map_err(Into::into),
        Command::Enroll {
            config,
            name,
            collector,
            enrolment,
            token,
        } => Enrolment {
            config,
            name,
            collector,
            enrolment,
        }
        .run(token),
        Command::Plugin { command } => plugin(&command),
        Command::Parse { file, json } => parse(&file, json),
    };
    watchward_daemon::service::exit(done)
}

/// How many threads may wait for name servers and file systems. Twice as many as checks may hold
/// (`health::look`); each is there only while it is needed.
const BLOCKING_THREADS: usize = 32;

/// One thread is enough for an agent; what blocks has threads of its own, for which the end does not
/// wait: a file system that has gone may hold them for ever.
fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS);
    let runtime = builder.build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// What `watchward-agent enroll` was told.
struct Enrolment {
    config: PathBuf,
    name: Option<String>,
    collector: Option<String>,
    enrolment: Option<String>,
}

impl Enrolment {
    fn run(self, token: String) -> anyhow::Result<()> {
        let mut config: Config = watchward_daemon::config::read(&self.config)?;
        if let Some(given) = self.collector {
            let given: Address = given.try_into().map_err(anyhow::Error::msg)?;
            let file = self.config.display();
            if let Some(said) = config.uplink.collector.filter(|said| *said != given) {
                bail!(
                    "{file} says that the collector is at {said}: change that first, or remove it"
                );
            }
            let apart = self.enrolment.map(Address::try_from).transpose();
            config.uplink.enrolment = apart.map_err(anyhow::Error::msg)?;
            config.uplink.collector = Some(given);
        }
        let token = match token.as_str() {
            "-" => io::read_to_string(io::stdin())?,
            _ => token,
        };
        let token: Token = token.parse()?;
        let name = self.name.map_or_else(hosts::name, Ok)?;
        run(config.hosts.enrol(&config.uplink, &token, &name))?;
        writeln!(
            io::stdout(),
            "This host is enrolled as {name}; a running agent begins at once."
        )?;
        Ok(())
    }
}

fn plugin(command: &[OsString]) -> anyhow::Result<()> {
    let (program, words) = command.split_first().context("no program is named")?;
    Ok(keep_plugin(program, words)?)
}

fn parse(file: &Path, json: bool) -> anyhow::Result<()> {
    let log: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?)
    };
    let log = BufReader::with_capacity(256 * 1024, log);
    let summary = parse_command(log, io::stdout().lock(), json)?;
    if !json {
        let Summary {
            lines,
            understood,
            unparsed,
        } = summary;
        writeln!(
            io::stderr(),
            "{lines} lines, {understood} understood, {unparsed} not"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_waits_for_no_file_system() {
        let (_stuck, held) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            let done = run(async {
                let (began, begun) = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    began.send(()).unwrap();
                    let _ = held.recv();
                });
                begun.await?;
                Ok(())
            });
            let _ = ended.send(done);
        });
        end.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
    }
}
