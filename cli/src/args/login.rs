//! The words of `watchward login` and `watchward authority`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Signing in from one's own machine.
#[derive(Debug, Args)]
#[command(arg = super::no_socket())]
pub(crate) struct Login {
    /// The page of the collector; remembered from the last time
    #[arg(value_name = "https://...")]
    pub(crate) url: Option<String>,
    /// Your name there; remembered from the last time, else as you are called here
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Sign in with a browser, on this machine or another: with a security key, for example
    #[arg(long, conflicts_with_all = ["name", "ca"])]
    pub(crate) browser: bool,
    /// Also trust the certificates in this file for the page
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// The authorities of people's and hosts' certificates.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Authority {
    #[command(subcommand)]
    pub(crate) command: Option<AuthorityCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// The keys that hosts are to trust, each as a line for the file that TrustedUserCAKeys names
    Key,
    /// How clients know hosts: lines for known_hosts, which OpenSSH then asks nobody about
    Hosts,
    /// Which authorities there are, which of them signs, and when the next one will
    Show {
        /// Those of hosts, which clients trust
        #[arg(long)]
        hosts: bool,
    },
    /// Put another in the place of the one that signs: as soon as every host trusts it
    Rotate {
        /// The authority of hosts: as soon as every client could have taken its line
        #[arg(long)]
        hosts: bool,
        /// At once, and have what was signed until now be refused: somebody else may have the key
        #[arg(long, requires = "reason")]
        now: bool,
        /// Why, with --now
        #[arg(long, requires = "now")]
        reason: Option<String>,
        /// Do not ask whether it is meant
        #[arg(long)]
        yes: bool,
    },
    /// The certificates that were given and refused, the newest first
    Certificates {
        /// Only those of this person
        #[arg(long, value_name = "NAME")]
        person: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}
