//! `watchward-collector`: keeps what agents tell, judges it, and tells people.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use watchward_collector::config::{Config, Policy};

/// Keeps what agents tell, judges it, and tells people.
#[derive(Debug, Parser)]
#[command(name = "watchward-collector", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "/etc/watchward/collector.toml")]
    config: PathBuf,
    /// Only say whether the configuration is right, and the policy that it names.
    #[arg(long)]
    check: bool,
    /// Only say whether this policy is right.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    check_policy: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments {
        config,
        check,
        check_policy,
    } = Arguments::parse();
    if let Some(policy) = check_policy {
        let read = Policy::read(&policy);
        return watchward_daemon::service::exit(read.map(drop).map_err(Into::into));
    }
    if check {
        let read = Config::read(&config);
        return watchward_daemon::service::exit(read.map(drop).map_err(Into::into));
    }
    let done = watchward_daemon::logging::start().and_then(|()| {
        watchward_daemon::service::open_many_files();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(watchward_collector::run(&config))
    });
    watchward_daemon::service::exit(done)
}
