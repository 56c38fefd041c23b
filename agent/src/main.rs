//! `watchward-agent`: watches this host and tells the collector.

mod arguments;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use watchward_agent::access::parse::{Summary, parse_command};
use watchward_agent::config::Config;
use watchward_agent::hosts;
use watchward_agent::uplink::Token;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config } => watchward_daemon::logging::start()
            .and_then(|()| runtime()?.block_on(watchward_agent::run(&config))),
        Command::Keys { config } => watchward_daemon::logging::start()
            .and_then(|()| runtime()?.block_on(watchward_agent::read_keys(&config))),
        Command::Check { config } => watchward_daemon::config::read::<Config>(&config)
            .map(drop)
            .map_err(Into::into),
        Command::Enroll {
            config,
            name,
            token,
        } => enroll(&config, name, token),
        Command::Parse { file, json } => parse(&file, json),
    };
    watchward_daemon::service::exit(done)
}

/// One thread is enough for an agent; what blocks has threads of its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().max_blocking_threads(8).build()?)
}

fn enroll(config: &Path, name: Option<String>, token: String) -> anyhow::Result<()> {
    let config: Config = watchward_daemon::config::read(config)?;
    let token = match token.as_str() {
        "-" => io::read_to_string(io::stdin())?,
        _ => token,
    };
    let token: Token = token.parse()?;
    let name = name.map_or_else(hosts::name, Ok)?;
    runtime()?.block_on(config.hosts.enrol(&config.uplink, &token, &name))
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
