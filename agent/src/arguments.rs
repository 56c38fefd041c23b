//! What `watchward-agent` can be asked: its command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Watches this host's services, and every attempt to get in, and tells the collector.
#[derive(Debug, Parser)]
#[command(name = "watchward-agent", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch this host until told to stop.
    Run {
        /// The configuration file.
        #[arg(long, default_value = "/etc/watchward/agent.toml")]
        config: PathBuf,
    },
    /// Read what opens the accounts of this host, for an agent that may not: tells it on a socket.
    Keys {
        /// The configuration file.
        #[arg(long, default_value = "/etc/watchward/agent.toml")]
        config: PathBuf,
    },
    /// Keep the keys that programs of this host log in elsewhere with, for an agent that may not.
    Identities {
        /// The configuration file.
        #[arg(long, default_value = "/etc/watchward/agent.toml")]
        config: PathBuf,
    },
    /// Say whether the configuration is right.
    Check {
        /// The configuration file.
        #[arg(long, default_value = "/etc/watchward/agent.toml")]
        config: PathBuf,
    },
    /// Make this host known to the collector, with a token from `watchward token create HOST`.
    Enroll {
        /// The configuration file.
        #[arg(long, default_value = "/etc/watchward/agent.toml")]
        config: PathBuf,
        /// The name that the token was made for; this host's own name unless given.
        #[arg(long)]
        name: Option<String>,
        /// Where the collector listens for agents, such as collector.example.net:7443; not needed where
        /// the configuration says so.
        #[arg(long, value_name = "ADDRESS")]
        collector: Option<String>,
        /// Where it listens for enrolment; port 7444 of the same machine unless given.
        #[arg(long, value_name = "ADDRESS", requires = "collector")]
        enrolment: Option<String>,
        /// The token; `-` reads it from standard input, where no other user can see it.
        token: String,
    },
    /// Run one plugin for the agent itself, and end with it all that it started.
    #[command(hide = true)]
    Plugin {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Show what is understood of an access log, line by line.
    Parse {
        /// The log; `-` reads standard input.
        file: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}
