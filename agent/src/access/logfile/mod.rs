//! Text logs: follows each through its rotations, and hands on what servers wrote there.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;
use watchward_protocol::access::Service;

use super::LogFile;
use super::desk::Desk;
use crate::spool::Ended;

mod generation;
mod log;
mod mark;
mod siblings;
mod tail;
mod watch;

use log::Log;
use watch::Watch;

/// While lines come one by one they are gathered: the first is handed on at once, the next after
/// this long, and then after twice as long each time.
const SHORTEST: Duration = Duration::from_millis(125);
/// The longest time that lines are gathered.
const LONGEST: Duration = Duration::from_secs(1);
/// How often a log is looked at where no event tells of it.
const POLL: Duration = Duration::from_secs(5);

/// Who writes a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// A syslog daemon; only lines of these services are taken.
    Syslog(Vec<Service>),
    /// A server of OpenVPN.
    OpenVpn,
}

/// Follows these logs.
pub(super) async fn follow(
    files: &[LogFile],
    writer: &Writer,
    desk: &mut Desk,
) -> Result<Infallible, Ended> {
    let watch = match Watch::new() {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "no inotify: logs are looked at every five seconds");
            None
        }
    };
    let mut logs: Vec<Log> = files
        .iter()
        .map(|file| Log::new(file.path(), writer.clone()))
        .collect();
    let mut buffer = Vec::new();
    let mut pause = SHORTEST;
    loop {
        if let Some(watch) = &watch {
            watch.forget();
        }
        let mut busy = false;
        for log in &mut logs {
            busy |= log.catch_up(&mut buffer, desk).await?;
            if let Some(watch) = &watch {
                busy |= log.be_watched(watch);
            }
        }
        if busy {
            desk.gather(pause).await;
            pause = LONGEST.min(pause * 2);
        } else {
            pause = SHORTEST;
            wait(watch.as_ref()).await;
        }
    }
}

/// Waits for an event or, where there are none, until it is time to look.
async fn wait(watch: Option<&Watch>) {
    let event = async {
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = event => {}
        () = sleep(POLL) => {}
    }
}
