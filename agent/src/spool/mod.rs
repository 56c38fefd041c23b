//! What the agent has seen and not yet been rid of: numbered, durable, and bounded.

mod backlog;
mod bounds;
mod lanes;
mod numbers;
mod reserve;
#[cfg(test)]
mod tests;
mod value;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use watchward_daemon::tasks::Stop;
use watchward_daemon::watchdog::Pulse;
use watchward_protocol::record::{PerLane, Report};
use watchward_protocol::span::Span;

pub use bounds::Megabytes;
pub use lanes::Spool;
use writer::Writer;

/// The table `[spool]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder it lies in.
    pub directory: PathBuf,
    /// How large it may grow while the collector is away. Beyond that the oldest health results
    /// go first; access events only when nothing else is left, and never without a declared gap.
    pub limit: Megabytes,
    /// How long a record stays after the collector has it, so that a collector restored from a
    /// backup can ask for it again.
    pub keep_acknowledged: Span,
    /// It goes sooner while its lane holds more than this, with what the collector does not have yet.
    pub keep_acknowledged_limit: Megabytes,
    /// The longest time that events of a steady stream are gathered before they are made durable
    /// and sent. The first event after a quiet time is sent at once, the next ones after an eighth
    /// of this.
    pub settle: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/watchward-agent"),
            limit: Megabytes(256),
            keep_acknowledged: Span::days(1),
            keep_acknowledged_limit: Megabytes(64),
            settle: Span::seconds(2),
        }
    }
}

/// What one source has to keep: its reports and how far it has read, in one transaction.
#[derive(Debug)]
pub struct Entry {
    /// The reports, in order.
    pub reports: Vec<Report>,
    /// How far the source has read after them.
    pub position: Option<Position>,
}

/// How far a source has read, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source, such as `journal` or a path.
    pub source: String,
    /// Its words.
    pub bytes: Vec<u8>,
}

/// Keeps what sources see. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keeper(mpsc::Sender<Entry>);

/// The spool has ended: the program is ending.
#[derive(Debug, thiserror::Error)]
#[error("the spool has ended")]
pub struct Ended;

impl Keeper {
    /// A keeper, and what comes out of it.
    pub fn new() -> (Self, mpsc::Receiver<Entry>) {
        let (sender, receiver) = mpsc::channel(16);
        (Self(sender), receiver)
    }

    /// Hands an entry over; waits while the spool is behind. It is durable soon after, and in the
    /// order in which it was handed over; a crash before loses position and reports alike, so that
    /// the source reads them again.
    ///
    /// # Errors
    /// The program is ending.
    pub async fn keep(&self, entry: Entry) -> Result<(), Ended> {
        self.0.send(entry).await.map_err(|_| Ended)
    }
}

/// The last number of each lane, told to whoever sends.
pub type Grown = watch::Receiver<PerLane<u64>>;

/// Makes durable what sources hand over, until all of them are gone.
///
/// # Errors
/// Its thread cannot be had. A disk that is full is waited for, with the sources waiting too.
pub async fn run(
    spool: Arc<Spool>,
    mut entries: mpsc::Receiver<Entry>,
    grown: watch::Sender<PerLane<u64>>,
    ends: (Stop, Pulse),
) -> anyhow::Result<()> {
    let (stop, pulse) = ends;
    let writer = Writer::start(spool.clone())?;
    let longest = spool.config().settle.duration();
    let mut window = longest / 8;
    let mut quiet_until = Instant::now();
    loop {
        pulse.beat();
        let first = tokio::select! {
            first = entries.recv() => first,
            () = pulse.due() => continue,
        };
        let Some(first) = first else { return Ok(()) };
        // The longer a stream goes on, the more of it goes together.
        let steady = Instant::now() < quiet_until + window;
        window = if steady {
            longest.min(window * 2)
        } else {
            longest / 8
        };
        let mut batch = vec![first];
        let more = gather(&mut entries, &mut batch, quiet_until, &stop);
        pulse.waiting(more).await;
        keep(&writer, batch, &stop, &pulse).await?;
        quiet_until = Instant::now() + window;
        grown.send_replace(spool.last());
    }
}

/// Adds what else is there; waits for more until the last commit is `settle` ago.
async fn gather(
    entries: &mut mpsc::Receiver<Entry>,
    batch: &mut Vec<Entry>,
    until: Instant,
    stop: &Stop,
) {
    const AT_ONCE: usize = 256;
    const REPORTS: usize = 4096;
    let mut reports = batch.iter().map(|entry| entry.reports.len()).sum::<usize>();
    let mut until = until;
    while batch.len() < AT_ONCE && reports < REPORTS {
        if batch.last().is_some_and(hurries) {
            until = Instant::now();
        }
        let next = tokio::select! {
            biased;
            next = entries.recv() => next,
            () = tokio::time::sleep_until(until) => return,
            () = stop.cancelled() => return,
        };
        let Some(next) = next else { return };
        reports += next.reports.len();
        batch.push(next);
    }
}

/// What opens an account changes seldom, and is to be known within two seconds; whom a host shut out
/// is to be shut out by all others within one. Both only take along what else is there.
fn hurries(entry: &Entry) -> bool {
    let mut reports = entry.reports.iter();
    reports.any(|report| {
        matches!(
            report,
            Report::Keys(_)
                | Report::Restriction(_)
                | Report::Instruments(_)
                | Report::Identities(_)
                | Report::Peers(_)
        )
    })
}

/// Makes a batch durable, however long the disk is full; sources wait meanwhile.
async fn keep(
    writer: &Writer,
    batch: Vec<Entry>,
    stop: &Stop,
    pulse: &Pulse,
) -> anyhow::Result<()> {
    let batch = Arc::new(batch);
    let mut warned = false;
    loop {
        pulse.beat();
        let Err(error) = writer.append(batch.clone()).await? else {
            return Ok(());
        };
        if !std::mem::replace(&mut warned, true) {
            let error = format!("{error:#}");
            tracing::error!(error, "cannot keep what was seen; waiting for the disk");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// The spool's file in its folder.
fn file(directory: &Path) -> PathBuf {
    directory.join("spool.redb")
}
