//! What can be asked: the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use watchward_protocol::span::Span;

/// Watch over your servers: who gets in, who tries to, and what is down.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, infer_subcommands = true)]
pub(crate) struct Args {
    /// Where the collector listens
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "WATCHWARD_SOCKET",
        default_value = "/run/watchward/collector.sock"
    )]
    pub(crate) socket: PathBuf,

    /// Print JSON for programs instead of a table for people
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invite a host: one-time tokens for enrolment
    #[command(subcommand)]
    Token(Token),
    /// The hosts that are watched, and what is watched on each
    #[command(visible_alias = "host")]
    Hosts {
        #[command(subcommand)]
        command: Option<Hosts>,
    },
    /// Who got in, and who tried to
    Access(Access),
    /// From where people may come, and who came from elsewhere
    Networks,
    /// What is up, down, flapping or unknown
    Health,
    /// What opens each account, since when, and who used it last
    #[command(visible_alias = "key")]
    Keys(Keys),
    /// What people were told of, and how
    #[command(visible_alias = "incident", args_conflicts_with_subcommands = true)]
    Incidents {
        /// All about the incident with this code, such as W-7K3F
        code: Option<String>,
        #[command(subcommand)]
        command: Option<Incidents>,
    },
    /// What nobody is told of for a while, by whose wish and until when
    Silences {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
    },
    /// Have nobody told of something for a while, or end that
    #[command(subcommand)]
    Silence(Silence),
    /// Who may sign in to the page
    #[command(visible_alias = "person")]
    People {
        #[command(subcommand)]
        command: Option<People>,
    },
    /// Everything as it happens, until Ctrl-C
    Live,
    /// Configuration files
    #[command(subcommand)]
    Config(Config),
    /// What should hold, by groups of hosts
    #[command(subcommand)]
    Policy(Policy),
    /// Try Watchward on this machine: a collector and an agent under one folder (what `make up` runs)
    Up(Up),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token with which one host can enrol, once
    Create {
        /// The name that the host will have
        host: String,
        /// How long the token can be used, such as 15m; as the collector is configured if not given
        #[arg(long, value_name = "SPAN", value_parser = span)]
        life: Option<Span>,
    },
    /// The tokens that were made, and whether they were used; never the tokens themselves
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hosts {
    /// The hosts that are watched
    List,
    /// Cut a host off for good: its certificate is worth nothing from now on
    Revoke {
        /// The host's name
        host: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// Say who would be told of an incident, and by what
    Route {
        /// How much it matters
        #[arg(long)]
        severity: Severity,
        /// Whose concern it is
        #[arg(long)]
        room: Option<Room>,
        /// The host that it is about
        #[arg(long)]
        host: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Silence {
    /// Have nobody told for a while; when it ends, people are told of what is open still
    Add(AddSilence),
    /// End a silence before its time
    End {
        /// Its number, as `watchward silences` shows it
        id: u64,
    },
}

/// What is silenced: incidents to which all of this applies.
#[derive(Debug, clap::Args)]
#[group(id = "scope", multiple = true, required = true, args = ["host", "group", "room", "key"])]
pub(crate) struct AddSilence {
    /// About this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// About a host of this group
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// The concern of this room
    #[arg(long)]
    pub(crate) room: Option<Room>,
    /// With a key that begins so, such as health.down
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// For how long, such as 2h; 30 days at most
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub(crate) span: Span,
    /// Why, for those who wonder
    #[arg(long)]
    pub(crate) reason: String,
    /// Also what is critical about who got in, or could
    #[arg(long)]
    pub(crate) also_critical: bool,
}

/// Whose concern an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Room {
    Access,
    Collector,
    Health,
    Hosts,
    Keys,
    Restriction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// Those who may sign in
    List,
    /// Make an account, with a password to be used once
    Add {
        /// The name to sign in with
        name: String,
    },
    /// Give an account a new password to be used once, and sign it out everywhere
    Reset {
        /// The account's name
        name: String,
    },
    /// Remove an account, and sign it out everywhere
    Remove {
        /// The account's name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say whether those of this machine's collector and agent are right, and what is not
    Check {
        /// The collector's file
        #[arg(long, value_name = "FILE")]
        collector: Option<PathBuf>,
        /// The agent's file
        #[arg(long, value_name = "FILE")]
        agent: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say whether a policy is right, and what is not
    Check {
        /// The policy's file
        #[arg(default_value = "/etc/watchward/policy.toml")]
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Access {
    /// Only on this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only as this user
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Only from this address, or from this network, such as 10.0.0.0/8
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// Only what this server said
    #[arg(long)]
    pub(crate) service: Option<Service>,
    /// Only with this address inside a VPN
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tunnel: Option<std::net::IpAddr>,
    /// Only what ended so
    #[arg(long)]
    pub(crate) outcome: Option<Outcome>,
    /// Only tries, and not every line that tells of one
    #[arg(long)]
    pub(crate) attempts: bool,
    /// Only what came from outside the permitted networks, as it was judged when it came
    #[arg(long, conflicts_with_all = ["attempts", "follow"])]
    pub(crate) outside: bool,
    /// Only since then: a span such as 2h, or a moment such as 2026-11-21T03:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Sshd,
    Sudo,
    Su,
    Openvpn,
}

impl Service {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sshd => "sshd",
            Self::Sudo => "sudo",
            Self::Su => "su",
            Self::Openvpn => "openvpn",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Unknown,
}

impl Outcome {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

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
    /// Only this key, such as SHA256:...
    #[arg(long)]
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
        /// The key, such as SHA256:...
        fingerprint: String,
    },
    /// Say that something new is right, which ends its incident
    Accept {
        /// The key, such as SHA256:...; for what has none, the file that it stands in, or the program
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

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// The folder that everything is kept in
    #[arg(long, value_name = "FOLDER", default_value = "var")]
    pub(crate) folder: PathBuf,
}

fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
