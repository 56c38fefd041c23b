//! The words of `watchward rotation`.

use clap::{Args, Subcommand};

/// Machines' keys that are replaced by themselves.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Rotation {
    #[command(subcommand)]
    pub(crate) command: Option<RotationCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RotationCommand {
    /// Every one of them, and how far it is
    List,
    /// Whatever is to be replaced within ninety days, or should have been: keys, authorities, certificates
    Calendar,
    /// All about one: its keys, who is waited for, and what happened when
    Show {
        /// Its name in the policy
        name: String,
    },
    /// Have keys replaced as soon as they can be, before their time
    Now {
        /// Their names in the policy
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}
