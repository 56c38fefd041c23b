//! `watchward-collector`: keeps what agents tell, judges it, and tells people.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Keeps what agents tell, judges it, and tells people.
#[derive(Debug, Parser)]
#[command(name = "watchward-collector", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "/etc/watchward/collector.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let Arguments { config } = Arguments::parse();
    let done = watchward_daemon::logging::start().and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(watchward_collector::run(&config))
    });
    watchward_daemon::service::exit(done)
}
