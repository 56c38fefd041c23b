//! The words of `watchward people`.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// Those who may sign in
    List,
    /// Make an account, and send a link with which its owner chooses the password
    Invite {
        /// The name to sign in with
        name: String,
        /// Where the link is sent; without it the link is shown here
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// What they are here for; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<Role>,
    },
    /// Give an account other roles in place of those it has
    Roles {
        /// The account's name
        name: String,
        /// What they are here for; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<Role>,
    },
    /// Send a new link: password, second factor and sessions of before are void
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

/// What somebody is here for.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Everything, and who else may do what
    Administrator,
    /// Runs the hosts: incidents, silences, bans, keys
    Operator,
    /// Answers incidents, silences, bans
    OnCall,
    /// Reviews logins, keys, and what people did
    Security,
    /// Has access to hosts, and sees nothing on the page
    Access,
}

impl Role {
    /// Its name, as people type it.
    pub(crate) fn word(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Which of what people did.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Audit {
    /// Only what this person did: by the name of their account, or on the collector's host
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,
    /// Only what was about this
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// Only since then: 2026-11-21T03:04:05Z, or a span such as 24h, back from now
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// At most so many, the newest
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u32>,
}

/// What something that people did was about.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Signing in and out, and what was refused
    Door,
    /// Accounts: invitations, roles, second factors
    Account,
    /// The policy
    Policy,
    /// Bans
    Ban,
    /// Silences
    Silence,
    /// Incidents that were taken on
    Incident,
    /// Keys: accepted, revoked, reinstated; certificates, and rotations that were asked for
    Key,
}
