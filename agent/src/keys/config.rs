//! What `[keys]` in `agent.toml` says: who reads what opens the host's accounts, and how often.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watchward_protocol::span::Span;

/// `[keys]`: what opens each account on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Who reads the files of all accounts: the agent itself (`inside`), or a reader of its own
    /// beside it (`beside`), so that what talks to the network may read nothing of others. `auto`
    /// is `inside` for an agent that runs as root, and else `beside`.
    pub reader: Reader,
    /// Where agent and reader meet, in a folder that is the agent's.
    pub socket: PathBuf,
    /// The program that is asked what applies to each account.
    pub sshd: PathBuf,
    /// Where watchward-enforcer-keys listens, which tells sshd what is revoked. Another one counts
    /// from the next start on.
    pub enforcer: PathBuf,
    /// How often everything is looked at, for what the kernel does not tell: files on NFS, accounts
    /// of a directory. What it does tell is seen at once.
    pub interval: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reader: Reader::Auto,
            socket: PathBuf::from("/run/watchward-agent/keys.sock"),
            sshd: PathBuf::from("/usr/sbin/sshd"),
            enforcer: PathBuf::from("/run/watchward-enforcer-keys/socket"),
            interval: Span::minutes(10),
        }
    }
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    /// The agent, if it runs as root; else a reader beside it.
    Auto,
    /// The agent.
    Inside,
    /// A reader beside it: `watchward-agent keys`.
    Beside,
    /// Nobody.
    Off,
}
