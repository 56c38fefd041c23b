//! What `watchward-collector` can be asked: its command line.

use std::path::PathBuf;

use clap::Parser;

/// Keeps what agents tell, judges it, and tells people.
#[derive(Debug, Parser)]
#[command(name = "watchward-collector", version)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "/etc/watchward/collector.toml")]
    pub(crate) config: PathBuf,
    /// Only say whether the configuration is right, and the policy that it names.
    #[arg(long)]
    pub(crate) check: bool,
    /// Only say whether this policy is right.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub(crate) check_policy: Option<PathBuf>,
}
