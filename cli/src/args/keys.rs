//! What can be asked about keys.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: Option<KeyCommand>,
    /// Only on this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only what opens this account
    #[arg(long)]
    pub(crate) account: Option<String>,
    /// Only this key, such as SHA256:... or the file with its public half
    #[arg(long, value_name = "KEY")]
    pub(crate) fingerprint: Option<String>,
    /// Only those that should have been replaced
    #[arg(long, conflicts_with_all = ["state", "gone"])]
    pub(crate) overdue: bool,
    /// Only those of which this is so
    #[arg(long, conflicts_with = "gone")]
    pub(crate) state: Option<KeyState>,
    /// Only those that nobody has used for so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) unused: Option<u32>,
    /// Also those that are gone
    #[arg(long)]
    pub(crate) gone: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Everywhere that a key opens something, and what happened there
    Show {
        /// The key, such as SHA256:... or the file with its public half (- reads it from the input)
        key: String,
    },
    /// Ask every host whether any account still takes a key; only its public half is needed
    Prove {
        /// The file with the public key, such as id_ed25519.pub; - reads it from the input
        key: PathBuf,
        /// Only this host
        #[arg(long)]
        host: Option<String>,
        /// List also the doors that refuse it
        #[arg(long)]
        doors: bool,
    },
    /// Who may come into hosts' networks by WireGuard, and who does
    Peers,
    /// The keys that should open nothing any more, and whether they do
    Revoked,
    /// The keys for emergencies, and whether every host would still take them
    BreakGlass,
    /// Say that a revoked key may open something again: hosts take it where it still stands
    Reinstate {
        /// A key, such as SHA256:... or the file with its public half (- reads it from the input); or a
        /// person, with all keys of theirs that are revoked
        #[arg(value_name = "KEY|PERSON", required_unless_present = "serial")]
        what: Option<String>,
        /// The certificate with this serial
        #[arg(long, conflicts_with = "what", value_parser = clap::value_parser!(u32).range(1..))]
        serial: Option<u32>,
    },
    /// Have hosts refuse no more than what this database knows to be revoked: for when the one before was
    /// lost, and what it had revoked may open something again
    GiveUp {
        /// Why, for whoever reads it later
        #[arg(long)]
        reason: String,
        /// Ask nothing: give up what there is now
        #[arg(long)]
        yes: bool,
    },
    /// Say that something new is right, which ends its incident
    Accept {
        /// The key, such as SHA256:... or the file with its public half, such as new.pub; for what has none,
        /// the file that it stands in, or the program
        key: String,
        /// Only on this host
        #[arg(long)]
        host: Option<String>,
        /// Only for this account
        #[arg(long)]
        account: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyState {
    New,
    Weak,
    Due,
    Overdue,
    Gone,
}

impl KeyState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Weak => "weak",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Gone => "gone",
        }
    }
}
