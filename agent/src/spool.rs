//! What the agent has seen and not yet been rid of: numbered, durable, and bounded.

use tokio::sync::mpsc;
use watchward_protocol::record::Report;

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
