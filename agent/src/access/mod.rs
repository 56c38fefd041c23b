//! Who gets in, or tries to: reads what the host's servers log, and understands it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::access::Service;
use watchward_protocol::hosts::FindingState;

use crate::findings::Findings;
use crate::logins;
use crate::own::Own;
use crate::spool::{Ended, Keeper};
use crate::witness::Witness;

mod config;
pub mod connection;
mod cursor;
mod desk;
pub mod elevation;
mod haste;
mod journal;
mod logfile;
mod moment;
pub mod openvpn;
pub mod parse;
pub mod said;
pub mod sshd;
mod story;
pub mod syslog;
pub mod understand;

pub use config::{Config, LogFile, NotALogFile, Source};
use desk::Desk;
use journal::Journal;
use logfile::Writer;

/// How often it is looked whether what text logs say matters at once.
const GLANCE: Duration = Duration::from_secs(5);

/// Reads the sources that the configuration names until asked to stop; follows its reloads.
/// `positions` is how far each source has read, as the spool kept it; what is read is shown to the
/// witness before it is kept.
///
/// # Errors
/// The spool has ended.
pub async fn run(
    mut config: Live<Config>,
    positions: HashMap<String, Vec<u8>>,
    (keeper, witness, own): (Keeper, Witness, Own),
    findings: Findings,
    stop: Stop,
) -> anyhow::Result<()> {
    // Two, so that OpenVPN's own logs are read beside the other source.
    let mut desks = [
        Desk::new(positions.clone(), keeper.clone(), findings.clone()).knowing(own),
        Desk::new(positions, keeper, findings),
    ];
    loop {
        let wanted = config.now();
        let [desk, beside] = &mut desks;
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = another(&mut config, &wanted) => {}
            ended = read(&wanted, desk, &witness) => match ended? {},
            ended = read_beside(&wanted, beside) => match ended? {},
        }
        desks.iter_mut().for_each(Desk::clear);
    }
}

/// Says which keys opened sessions, as the journal has it, until asked to stop.
///
/// # Errors
/// None.
pub async fn logins(mut asked: mpsc::Receiver<logins::Asked>, stop: Stop) -> anyhow::Result<()> {
    let journal = Journal::of_host(&[Service::Sshd]);
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            asked = asked.recv() => asked,
        };
        let Some(logins::Asked { processes, answer }) = asked else {
            return Ok(());
        };
        // Whoever asked may have gone.
        let _ = answer.send(journal.opened(&processes).await);
    }
}

/// Waits until the configuration says something else.
async fn another(config: &mut Live<Config>, wanted: &Config) {
    while *config.now() == *wanted {
        config.changed().await;
    }
}

async fn read(config: &Config, desk: &mut Desk, witness: &Witness) -> Result<Infallible, Ended> {
    let journal = Journal::of_host(&config.services);
    match config.source {
        Source::Auto => match journal.can_be_read().await {
            Ok(()) => read_journal(&journal, desk, witness).await,
            Err(found) => {
                let detail = format!("{}; text logs are read instead", found.why);
                desk.say(journal::SUBJECT, found.state, &detail);
                read_files(config, desk, witness).await
            }
        },
        Source::Journal => read_journal(&journal, desk, witness).await,
        Source::Files => {
            let detail = "not read: the configuration says source = \"files\"";
            desk.say(journal::SUBJECT, FindingState::Absent, detail);
            read_files(config, desk, witness).await
        }
        Source::Off => {
            let detail = "not read: the configuration says source = \"off\"";
            desk.say(journal::SUBJECT, FindingState::Absent, detail);
            std::future::pending().await
        }
    }
}

/// Reads the journal, and shows who came in before that.
async fn read_journal(
    journal: &Journal,
    desk: &mut Desk,
    witness: &Witness,
) -> Result<Infallible, Ended> {
    desk.show_to(witness.clone());
    tokio::select! {
        ended = journal.follow(desk) => ended,
        never = journal.recall(witness) => match never {},
    }
}

/// Reads text logs for the spool and, apart from that, for the witness: of a flood that comes in one
/// write, only so much is read ahead of the disk as there is memory for.
async fn read_files(
    config: &Config,
    desk: &mut Desk,
    witness: &Witness,
) -> Result<Infallible, Ended> {
    desk.show_to(Witness::default());
    let writer = Writer::Syslog(config.services.clone());
    let beside = scout(config, (desk.positions().clone(), desk.own()), witness);
    tokio::select! {
        // The witness has nobody before it.
        biased;
        ended = beside => ended,
        ended = logfile::follow(&config.files, &writer, desk) => ended,
    }
}

/// Shows what is written to text logs, from the time on when that matters to the witness.
async fn scout(
    config: &Config,
    (mut positions, own): (HashMap<String, Vec<u8>>, Own),
    witness: &Witness,
) -> Result<Infallible, Ended> {
    while !witness.believes_text() {
        positions.clear();
        sleep(GLANCE).await;
    }
    let writer = Writer::Syslog(config.services.clone());
    let mut desk = Desk::of_scout(positions, witness.clone()).knowing(own);
    logfile::follow(&config.files, &writer, &mut desk).await
}

/// Reads what OpenVPN's servers write to files of their own.
async fn read_beside(config: &Config, desk: &mut Desk) -> Result<Infallible, Ended> {
    let wanted = config.services.contains(&Service::OpenVpn);
    if config.openvpn_logs.is_empty() || !wanted {
        return std::future::pending().await;
    }
    logfile::follow(&config.openvpn_logs, &Writer::OpenVpn, desk).await
}

/// `sshd, sudo, su`
fn named(services: &[Service]) -> String {
    let names: Vec<_> = services.iter().map(|service| service.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
