//! Who gets in, or tries to: reads what the host's servers log, and understands it.

use std::collections::HashMap;
use std::convert::Infallible;

use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::FindingState;

use crate::findings::Findings;
use crate::spool::{Ended, Keeper};

mod config;
pub mod connection;
mod desk;
mod journal;
mod logfile;
mod moment;
pub mod parse;
pub mod sshd;
pub mod syslog;
pub mod understand;

pub use config::{Config, LogFile, NotALogFile, Ssh};
use desk::Desk;
use journal::Journal;

/// Reads the sources that the configuration names until asked to stop; follows its reloads.
/// `positions` is how far each source has read, as the spool kept it.
///
/// # Errors
/// The spool has ended.
pub async fn run(
    mut config: Live<Config>,
    positions: HashMap<String, Vec<u8>>,
    keeper: Keeper,
    findings: Findings,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut desk = Desk::new(positions, keeper, findings);
    loop {
        let wanted = config.now();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = another(&mut config, &wanted) => desk.clear(),
            ended = read(&wanted, &mut desk) => match ended? {},
        }
    }
}

/// Waits until the configuration says something else.
async fn another(config: &mut Live<Config>, wanted: &Config) {
    while *config.now() == *wanted {
        config.changed().await;
    }
}

async fn read(config: &Config, desk: &mut Desk) -> Result<Infallible, Ended> {
    let journal = Journal::of_host();
    match config.ssh {
        Ssh::Auto => match journal.can_be_read().await {
            Ok(()) => journal.follow(desk).await,
            Err(found) => {
                let detail = format!("{}; text logs are read instead", found.why);
                desk.say(journal::SUBJECT, found.state, &detail);
                logfile::follow(&config.files, desk).await
            }
        },
        Ssh::Journal => journal.follow(desk).await,
        Ssh::Files => {
            let detail = "not read: the configuration says ssh = \"files\"";
            desk.say(journal::SUBJECT, FindingState::Absent, detail);
            logfile::follow(&config.files, desk).await
        }
        Ssh::Off => {
            let detail = "not read: the configuration says ssh = \"off\"";
            desk.say(journal::SUBJECT, FindingState::Absent, detail);
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests;
