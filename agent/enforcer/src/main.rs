//! `watchward-enforcer`: holds bans and gates in the kernel; in its second role, tells sshd which keys to refuse.

mod arguments;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run {
            guard,
            state,
            socket,
            peer,
        } => watchward_enforcer::run(&guard, &state, &socket, peer.as_deref()),
        Command::Keys {
            guard,
            socket,
            peer,
        } => watchward_enforcer::keys::run(&guard, &socket, peer.as_deref()),
        Command::Check { guard } => watchward_enforcer::check(&guard)
            .and_then(|found| io::stdout().write_all(found.as_bytes())),
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    // Standard error may be closed; there is nowhere else to say it.
    let _ = writeln!(io::stderr(), "watchward-enforcer: {error}");
    ExitCode::FAILURE
}
