//! The thread that writes the spool: its own, so that nothing that waits elsewhere holds up what is kept.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use anyhow::Context;
use tokio::sync::oneshot;
use watchward_daemon::clock;

use super::{Ended, Entry, Spool};

/// What is to be written, and who waits for it.
struct Job {
    batch: Arc<Vec<Entry>>,
    done: oneshot::Sender<anyhow::Result<()>>,
}

/// Writes one batch after the other. Its thread ends with it, and the program does not wait for that:
/// what was not committed is read again.
#[derive(Debug)]
pub(super) struct Writer(mpsc::Sender<Job>);

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has none to give.
    pub(super) fn start(spool: Arc<Spool>) -> anyhow::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let write = move || {
            for job in jobs {
                let done = spool.append(&job.batch, clock::now());
                // Nobody waits any more when the program is ending.
                let _ = job.done.send(done);
            }
        };
        let thread = thread::Builder::new().name("spool".to_owned());
        thread.spawn(write).context("the spool has no thread")?;
        Ok(Self(sender))
    }

    /// Makes a batch durable; within, whether that went well.
    ///
    /// # Errors
    /// The thread has ended, which it does only when it panics.
    pub(super) async fn append(&self, batch: Arc<Vec<Entry>>) -> Result<anyhow::Result<()>, Ended> {
        let (done, written) = oneshot::channel();
        self.0.send(Job { batch, done }).map_err(|_| Ended)?;
        written.await.map_err(|_| Ended)
    }
}
