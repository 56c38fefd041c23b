//! The words of `watchward people`.

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub(crate) enum People {
    /// Those who may sign in
    List,
    /// Make an account, with a password to be used once
    Add {
        /// The name to sign in with
        name: String,
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
