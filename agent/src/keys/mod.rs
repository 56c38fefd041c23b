//! What opens each account on this host: everything that sshd would take, and what the host is known by.

mod accounts;
mod admits;
pub mod authorized;
mod beside;
mod child;
mod config;
mod criteria;
mod desk;
mod entry;
mod holding;
mod inventory;
mod known;
mod layout;
mod left;
mod mounts;
mod network;
mod open;
mod questions;
mod reader;
pub mod revocation;
mod settings;
mod shelf;
mod sshd;
mod sweep;
#[cfg(test)]
mod tests;
mod told;
mod watch;
mod ways;

use std::convert::Infallible;
use std::future::pending;

use tokio::sync::mpsc;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::FindingState;

use crate::findings::Findings;
use crate::spool::{Ended, Keeper};
use crate::uplink::Asked;

pub use config::{Config, Reader};
pub use desk::Certificate;
use desk::Desk;

/// Tells what opens the accounts until asked to stop; follows reloads of the configuration.
///
/// # Errors
/// The spool has ended.
pub async fn run(
    mut config: Live<Config>,
    keeper: Keeper,
    findings: Findings,
    (certificate, mut questions): (Certificate, mpsc::Receiver<Asked>),
    stop: Stop,
) -> anyhow::Result<()> {
    let mut desk = Desk::new(keeper, findings, certificate);
    loop {
        let wanted = config.now();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = another(&mut config, &wanted) => {}
            ended = follow(&wanted, &mut desk, &mut questions) => match ended? {},
        }
    }
}

/// The reader beside an agent that may not read the files itself: tells that agent what it sees,
/// until asked to stop.
///
/// # Errors
/// None: without an agent it waits for one.
pub async fn read(config: Live<Config>, stop: Stop) -> anyhow::Result<()> {
    beside::tell(config, stop).await
}

/// Waits until the configuration says something else.
async fn another(config: &mut Live<Config>, wanted: &Config) {
    while *config.now() == *wanted {
        config.changed().await;
    }
}

async fn follow(
    config: &Config,
    desk: &mut Desk,
    questions: &mut mpsc::Receiver<Asked>,
) -> Result<Infallible, Ended> {
    let root = rustix::process::geteuid().is_root();
    match (config.reader, root) {
        (Reader::Off, _) => {
            desk.miss(
                FindingState::Absent,
                "the configuration says reader = \"off\"",
            );
            pending().await
        }
        (Reader::Inside, _) | (Reader::Auto, true) => {
            let (mouth, mut ear) = mpsc::channel(4);
            tokio::select! {
                // Who reads ends only when nobody listens.
                _ = reader::read(config, &mouth) => Err(Ended),
                () = questions::serve(config, questions) => Err(Ended),
                taken = desk.take(&mut ear) => {
                    taken?;
                    pending().await
                }
            }
        }
        (Reader::Beside, _) | (Reader::Auto, false) => beside::hear(config, desk, questions).await,
    }
}
