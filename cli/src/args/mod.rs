//! What can be asked: the command line.

mod access;
mod bans;
mod can;
mod keys;
mod login;
mod people;
mod policy;
mod revoke;
mod rotation;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;
use watchward_protocol::span::Span;

pub(crate) use access::Access;
pub(crate) use bans::{Ban, Bans};
pub(crate) use can::Can;
pub(crate) use keys::{KeyCommand, KeyState, Keys};
pub(crate) use login::{Authority, AuthorityCommand, Login};
pub(crate) use people::{Audit, People};
pub(crate) use policy::{Bring, Policy};
pub(crate) use revoke::{Receipt, Revoke, Verify};
pub(crate) use rotation::{Rotation, RotationCommand};

/// Watch over your servers: who gets in, who tries to, and what is down.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, infer_subcommands = true)]
pub(crate) struct Args {
    /// Where the collector listens: WATCHWARD_SOCKET, or else /run/watchward/collector.sock, if not
    /// given
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

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
    Hosts(Hosts),
    /// Who got in, and who tried to
    Access(Access),
    /// From where people may come, and who came from elsewhere
    Networks,
    /// Who is shut out of every host, why, and until when
    Bans(Bans),
    /// Shut somebody out of every host, let them in again, or say until when
    #[command(subcommand)]
    Ban(Ban),
    /// Whether an account could get in to a host from an address, and why
    Can(Can),
    /// What is up, down, flapping or unknown
    Health(Health),
    /// What opens each account, since when, and who used it last
    #[command(visible_alias = "key")]
    Keys(Keys),
    /// Have every host refuse a key, or all keys of a person: sessions end, and it is proven
    Revoke(Revoke),
    /// What was done about a revoked key, signed
    Receipt(Receipt),
    /// Whether a receipt or a report is as it was signed; no collector is needed for that
    Verify(Verify),
    /// The last seven days in one screen: who came, what was replaced and revoked, what is proven and what not
    ///
    /// With --json it is signed, and `watchward verify` takes it.
    Report,
    /// Sign in, and have your ssh-agent keep a certificate that opens hosts for some hours
    ///
    /// Runs on your own machine. What you type goes to the page of the collector, encrypted; the key is
    /// new each time, and never in a file.
    Login(Login),
    /// The authorities of people's and hosts' certificates: what is to be trusted, and what was signed
    Authority(Authority),
    /// Machines' keys that are replaced by themselves, and how far each is
    #[command(visible_alias = "rotations")]
    Rotation(Rotation),
    /// What people were told of, and how
    #[command(visible_alias = "incident", args_conflicts_with_subcommands = true)]
    Incidents {
        /// All about the incident with this code, such as W-7K3F
        #[arg(conflicts_with_all = ["open", "host", "limit"])]
        code: Option<String>,
        /// Only those that are open
        #[arg(long)]
        open: bool,
        /// Only those about this host
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        /// At most so many, the newest: 100 unless said, and with --open 1000
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
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
    /// What people did: signed in, invited, banned, silenced, brought a policy
    Audit(Audit),
    /// Everything as it happens, until Ctrl-C
    Live,
    /// Copy everything that the collector keeps into one new file, while it works
    ///
    /// The file is a SQLite database that only its owner can read. The certificate authority, the
    /// master key and /etc/watchward are not in it; docs/backup.md says how all of it is restored.
    /// With PostgreSQL use pg_dump.
    Backup {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Configuration files
    #[command(subcommand)]
    Config(Config),
    /// What should hold, by groups of hosts: what another policy would change, who loses access by it
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
    /// The tokens that were made, and when they were used; never the tokens themselves
    ///
    /// They are remembered until a day after they expire.
    List,
}

/// The hosts, and what is watched on each.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Hosts {
    /// Only the host of this name, whatever its state
    pub(crate) name: Option<String>,
    /// Only those in this state; without it, those that are not revoked
    #[arg(long)]
    pub(crate) state: Option<HostState>,
    #[command(subcommand)]
    pub(crate) command: Option<HostCommand>,
}

/// Whether a host is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostState {
    Heard,
    Silent,
    Revoked,
    All,
}

/// Which checks are shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Only those of this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Only those that stand so
    #[arg(long)]
    pub(crate) state: Option<CheckState>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CheckState {
    Up,
    Down,
    Flapping,
    Unknown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// The hosts that are watched
    List,
    /// Cut a host off for good: its certificate is worth nothing from now on; it asks first
    Revoke {
        /// The host's name
        host: String,
        /// It is in other hands, and how that came: its own keys are revoked first, so that clients refuse
        /// them and their certificates
        #[arg(long, value_name = "REASON")]
        stolen: Option<String>,
        /// Ask nothing: cut it off, and with --stolen revoke the keys that are its own now
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// Say that you take an incident on: nobody else is told of it, unless it becomes worse or is
    /// over
    Ack {
        /// Its code, such as W-7K3F
        code: String,
        /// What whoever looks at it should know
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
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
#[command(
    override_usage = "watchward silence add [--host NAME] [--group GROUP] [--room ROOM] \
        [--key START] --for SPAN --reason TEXT [--also-critical]",
    after_help = "At least one of --host, --group, --room and --key says what is silenced."
)]
#[group(id = "scope", multiple = true, required = true, args = ["host", "group", "room", "key"])]
pub(crate) struct AddSilence {
    /// About this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// About a host of this group
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// The concern of this room
    #[arg(long)]
    pub(crate) room: Option<Room>,
    /// With a key that begins so, such as health.down
    #[arg(long, value_name = "START")]
    pub(crate) key: Option<String>,
    /// For how long, such as 2h; 30 days at most
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub(crate) span: Span,
    /// Why, for those who wonder
    #[arg(long, value_name = "TEXT")]
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

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// The folder that everything is kept in
    #[arg(long, value_name = "FOLDER", default_value = "var")]
    pub(crate) folder: PathBuf,
}

/// The place of the collector, where a command asks none: it is taken and not offered.
fn no_socket() -> clap::Arg {
    clap::Arg::new("socket")
        .long("socket")
        .value_name("PATH")
        .value_parser(clap::value_parser!(PathBuf))
        .hide(true)
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

    #[test]
    fn what_asks_no_collector_offers_no_socket_and_takes_one() {
        for (words, offers) in [("login", false), ("verify", false), ("hosts", true)] {
            let help = Args::try_parse_from(["watchward", words, "--help"]);
            let help = help.unwrap_err().to_string();
            assert_eq!(help.contains("--socket"), offers, "{help}");
        }
        for words in [
            ["--socket", "/run/here", "login"],
            ["login", "--socket", "/run/here"],
        ] {
            let words = ["watchward"].into_iter().chain(words);
            assert!(Args::try_parse_from(words).is_ok());
        }
    }
}
