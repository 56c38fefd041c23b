//! `watchward-collector`: keeps what agents tell, judges it, and tells people.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use watchward_collector::config::Config;

/// Keeps what agents tell, judges it, and tells people.
#[derive(Debug, Parser)]
#[command(name = "watchward-collector", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "/etc/watchward/collector.toml")]
    config: PathBuf,
    /// Only say whether the configuration is right.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let Arguments { config, check } = Arguments::parse();
    if check {
        let read = watchward_daemon::config::read::<Config>(&config);
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
