//! What can be asked of the policy.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Say whether a policy is right, and what is not
    Check {
        /// The policy's file; the one that the collector reads if not given
        file: Option<PathBuf>,
    },
    /// Say what a policy would change on which host, and who would lose access: nothing is changed
    Plan {
        /// The policy's file; the one that the collector reads if not given
        file: Option<PathBuf>,
    },
    /// Have a policy come into force, on every collector and host
    Apply {
        /// The policy's file; the one that the collector reads if not given
        file: Option<PathBuf>,
        #[command(flatten)]
        bring: Bring,
    },
    /// The versions of the policy: who brought each, when and why
    History {
        /// How many, the newest
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Print the policy in force, or an earlier one
    Show {
        /// The version's number
        version: Option<i64>,
    },
    /// Say which lines differ between two versions
    Diff {
        /// The one version's number
        from: i64,
        /// The other's; the one in force if not given
        to: Option<i64>,
    },
    /// Have an earlier policy come into force again
    Rollback {
        /// The version's number; if not given, the one before that says something else, and after a
        /// rollback one further back
        version: Option<i64>,
        #[command(flatten)]
        bring: Bring,
    },
}

/// How somebody brings a policy.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Bring {
    /// Why, for those who wonder
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Sign it with this SSH key: a private key, or a public one whose private key an agent has
    #[arg(long, value_name = "KEYFILE", conflicts_with = "signature")]
    pub(crate) sign: Option<PathBuf>,
    /// Its signature, as `ssh-keygen -Y sign -n watchward-policy` made it elsewhere
    #[arg(long, value_name = "FILE")]
    pub(crate) signature: Option<PathBuf>,
    /// Also if a host would shut SSH to the address that this command is called from or to everybody
    /// who logged in lately, or the collector to hosts
    #[arg(long)]
    pub(crate) even_so: bool,
    /// Do not ask, if people or machines would lose access
    #[arg(long)]
    pub(crate) yes: bool,
    /// Do not wait for what hosts say of it
    #[arg(long)]
    pub(crate) no_wait: bool,
}
