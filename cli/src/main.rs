//! `watchward`: the operator's command, which talks with the collector on this machine.

mod access;
mod args;
mod audit;
mod authority;
mod backup;
mod bans;
mod client;
mod config;
mod health;
mod hosts;
mod incidents;
mod keys;
mod live;
mod login;
mod named;
mod networks;
mod people;
mod policy;
mod reach;
mod receipt;
mod report;
mod revoke;
mod rotation;
mod row;
mod screen;
mod silences;
mod token;
mod up;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use args::{Args, Command, Incidents};
use client::Client;
use screen::Screen;

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(run(args)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has read enough: `watchward access | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = screen::safe_lines(&format!("{error:#}"));
            // Where standard error is gone too, the exit code still tells.
            let _ = writeln!(io::stderr(), "watchward: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let mut screen = Screen::new(args.json);
    let collector = Client::new(&socket(args.socket))?;
    match args.command {
        Command::Token(command) => token::run(&collector, command, &mut screen).await,
        Command::Hosts(asked) => hosts::run(&collector, asked, &mut screen).await,
        Command::Access(filter) => access::run(&collector, filter, &mut screen).await,
        Command::Can(asked) => reach::run(&collector, asked, &mut screen).await,
        Command::Networks => networks::run(&collector, &mut screen).await,
        Command::Bans(asked) => bans::list(&collector, asked, &mut screen).await,
        Command::Ban(command) => bans::run(&collector, command, &mut screen).await,
        Command::Health(asked) => health::run(&collector, asked, &mut screen).await,
        Command::Incidents {
            command:
                Some(Incidents::Route {
                    severity,
                    room,
                    host,
                }),
            ..
        } => incidents::route(&collector, (severity, room, host), &mut screen).await,
        Command::Incidents {
            command: Some(Incidents::Ack { code, note }),
            ..
        } => incidents::acknowledge(&collector, &code, note, &mut screen).await,
        Command::Incidents {
            code: Some(code), ..
        } => incidents::one(&collector, &code, &mut screen).await,
        Command::Incidents {
            open, host, limit, ..
        } => incidents::list(&collector, (open, host, limit), &mut screen).await,
        Command::Login(asked) => login::run(asked, &mut screen).await,
        Command::Authority(asked) => authority::run(&collector, asked, &mut screen).await,
        Command::Rotation(asked) => rotation::run(&collector, asked, &mut screen).await,
        Command::Silences { all } => silences::list(&collector, all, &mut screen).await,
        Command::Silence(command) => silences::run(&collector, command, &mut screen).await,
        Command::Audit(filter) => audit::run(&collector, &filter, &mut screen).await,
        Command::People { command } => people::run(&collector, command, &mut screen).await,
        Command::Keys(asked) => keys::run(&collector, asked, &mut screen).await,
        Command::Revoke(asked) => revoke::run(&collector, asked, &mut screen).await,
        Command::Receipt(asked) => receipt::run(&collector, asked, &mut screen).await,
        Command::Report => report::run(&collector, &mut screen).await,
        Command::Verify(asked) => receipt::verify(&asked, &mut screen),
        Command::Backup { file } => backup::run(&collector, &file, &mut screen).await,
        Command::Live => live::run(&collector, &mut screen).await,
        Command::Config(command) => config::run(command, &mut screen),
        Command::Policy(command) => policy::run(&collector, command, &mut screen).await,
        Command::Up(place) => up::run(place, &mut screen).await,
    }
}

/// Where the collector listens. What the environment says is read here, because clap would show it in
/// every usage.
fn socket(given: Option<PathBuf>) -> PathBuf {
    let told = || std::env::var_os("WATCHWARD_SOCKET").filter(|told| !told.is_empty());
    let socket = given.or_else(|| told().map(PathBuf::from));
    socket.unwrap_or_else(|| PathBuf::from("/run/watchward/collector.sock"))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
