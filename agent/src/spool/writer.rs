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
    spool: Arc<Spool>,
    batch: Arc<Vec<Entry>>,
    done: oneshot::Sender<anyhow::Result<()>>,
}

/// Writes one batch after the other. Its thread ends with it, and the program does not wait for that:
/// what was not committed is read again.
#[derive(Debug)]
pub(super) struct Writer {
    spool: Arc<Spool>,
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has none to give.
    pub(super) fn start(spool: Arc<Spool>) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let write = move || {
            for Job { spool, batch, done } in receiver {
                let written = spool.append(&batch, clock::now());
                // Whoever waits may want to open its file anew.
                drop(spool);
                // Nobody waits any more when the program is ending.
                let _ = done.send(written);
            }
        };
        let thread = thread::Builder::new().name("spool".to_owned());
        thread.spawn(write).context("the spool has no thread")?;
        Ok(Self {
            spool,
            jobs: sender,
        })
    }

    /// Makes a batch durable; within, whether that went well.
    ///
    /// # Errors
    /// The thread has ended, which it does only when it panics.
    pub(super) async fn append(&self, batch: Arc<Vec<Entry>>) -> Result<anyhow::Result<()>, Ended> {
        let (done, written) = oneshot::channel();
        let spool = self.spool.clone();
        let job = Job { spool, batch, done };
        self.jobs.send(job).map_err(|_| Ended)?;
        written.await.map_err(|_| Ended)
    }
}
