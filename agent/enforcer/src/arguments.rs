//! What `watchward-enforcer` can be asked: its command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Holds the bans and gates that the agent is ordered to hold, as far as this host's guard file lets it.
#[derive(Debug, Parser)]
#[command(name = "watchward-enforcer", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hold them until told to stop; what is in the kernel stays there.
    Run {
        /// The guard file.
        #[arg(long, default_value = "/etc/watchward/guard.toml")]
        guard: PathBuf,
        /// Where confirmed gates are kept.
        #[arg(long, default_value = "/var/lib/watchward-enforcer")]
        state: PathBuf,
        /// Where the agent comes to.
        #[arg(long, default_value = "/run/watchward-enforcer/socket")]
        socket: PathBuf,
        /// The agent's user; root may come as well.
        #[arg(long)]
        peer: Option<String>,
    },
    /// Tell sshd which keys it has to refuse, until told to stop; sshd goes on refusing them. Needs
    /// to be root.
    Keys {
        /// The guard file.
        #[arg(long, default_value = "/etc/watchward/guard.toml")]
        guard: PathBuf,
        /// Where the agent comes to.
        #[arg(long, default_value = "/run/watchward-enforcer-keys/socket")]
        socket: PathBuf,
        /// The agent's user; root may come as well.
        #[arg(long)]
        peer: Option<String>,
    },
    /// Say whether the guard file is right, and what it says.
    Check {
        /// The guard file.
        #[arg(long, default_value = "/etc/watchward/guard.toml")]
        guard: PathBuf,
    },
}
