//! `watchward-collector`: keeps what agents tell, judges it, and tells people.

mod arguments;

use std::process::ExitCode;

use clap::Parser;
use watchward_collector::config::{Config, Policy};

use arguments::Arguments;

fn main() -> ExitCode {
    watchward_daemon::secret::keep_out_of_dumps();
    let Arguments {
        config,
        check,
        check_policy,
    } = Arguments::parse();
    if let Some(policy) = check_policy {
        let config = watchward_daemon::config::read::<Config>(&config).ok();
        let contacts = config.map(|config| config.alerting.contacts);
        let read = Policy::read(&policy, contacts.as_deref());
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
