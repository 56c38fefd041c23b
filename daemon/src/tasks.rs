//! Tasks: every one has a name and an owner, and one that ends unasked ends the program.

use std::future::Future;
use std::time::Duration;

use anyhow::{anyhow, bail};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::watchdog::{Pulse, Watchdog};

/// Says when to stop. Sources watch it; everything else ends because the channel it reads closed.
pub type Stop = CancellationToken;

/// Starts tasks; as many hands as are needed.
#[derive(Clone, Debug)]
pub struct Tasks {
    stop: Stop,
    ended: mpsc::UnboundedSender<Ended>,
    watchdog: Watchdog,
}

/// Waits for the tasks that were started.
#[derive(Debug)]
pub struct Running {
    stop: Stop,
    ended: mpsc::UnboundedReceiver<Ended>,
}

#[derive(Debug)]
struct Ended {
    name: &'static str,
    result: anyhow::Result<()>,
    vital: bool,
}

/// A place to start tasks, and a place to wait for them.
pub fn tasks() -> (Tasks, Running) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let stop = Stop::new();
    (
        Tasks {
            stop: stop.clone(),
            ended: sender,
            watchdog: Watchdog::of_unit(),
        },
        Running {
            stop,
            ended: receiver,
        },
    )
}

impl Tasks {
    /// Says when to stop.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The pulse of a loop without which the program does no work: see [`Watchdog`].
    pub fn pulse(&self) -> Pulse {
        self.watchdog.pulse()
    }

    /// Starts a task that the program cannot do without: if it ends before it was asked to, the
    /// program ends, and systemd starts it again.
    pub fn start<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.launch(name, true, task);
    }

    /// Starts a task that may end at any time, such as one connection. Its error is logged.
    pub fn start_passing<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.launch(name, false, task);
    }

    #[expect(clippy::disallowed_methods, reason = "this is where tasks are started")]
    fn launch<F>(&self, name: &'static str, vital: bool, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let guard = Guard {
            name,
            vital,
            ended: self.ended.clone(),
            result: None,
        };
        tokio::spawn(async move {
            let mut guard = guard;
            guard.result = Some(task.await);
        });
    }
}

/// Tells of a task's end also when it panics.
struct Guard {
    name: &'static str,
    vital: bool,
    ended: mpsc::UnboundedSender<Ended>,
    result: Option<anyhow::Result<()>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let result = self
            .result
            .take()
            .unwrap_or_else(|| Err(anyhow!("it panicked")));
        // Nobody waits any more when the program ends without draining.
        let _ = self.ended.send(Ended {
            name: self.name,
            result,
            vital: self.vital,
        });
    }
}

impl Running {
    /// Waits until a task ends that should not have.
    ///
    /// # Errors
    /// Always: the task's name, and why it ended.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.ended.recv().await {
            if self.stop.is_cancelled() {
                continue;
            }
            match (ended.vital, ended.result) {
                (true, Ok(())) => bail!("the task \"{}\" ended unasked", ended.name),
                (true, Err(error)) => {
                    return Err(error.context(format!("the task \"{}\" failed", ended.name)));
                }
                (false, Ok(())) => {}
                (false, Err(error)) => {
                    tracing::info!(
                        task = ended.name,
                        error = format!("{error:#}"),
                        "ended early"
                    );
                }
            }
        }
        bail!("all tasks have ended")
    }

    /// Asks all tasks to stop and waits until they have, at most `limit`.
    pub async fn drain(mut self, limit: Duration) {
        self.stop.cancel();
        let all = async {
            while let Some(ended) = self.ended.recv().await {
                if let Err(error) = ended.result {
                    tracing::warn!(
                        task = ended.name,
                        error = format!("{error:#}"),
                        "while ending"
                    );
                }
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), "some tasks did not end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vital_task_that_ends_is_named() {
        let (tasks, mut running) = tasks();
        tasks.start("heart", async { bail!("no blood") });
        let error = format!("{:#}", running.failed().await.unwrap_err());
        assert_eq!(error, "the task \"heart\" failed: no blood");
    }

    #[tokio::test]
    async fn a_panic_ends_the_program_too() {
        let (tasks, mut running) = tasks();
        tasks.start("heart", async { panic!("oh") });
        assert!(
            running
                .failed()
                .await
                .unwrap_err()
                .to_string()
                .contains("heart")
        );
    }

    #[tokio::test]
    async fn drains_what_was_asked_to_stop() {
        let (tasks, running) = tasks();
        let (said, heard) = tokio::sync::oneshot::channel();
        let stop = tasks.stop();
        tasks.start("source", async move {
            stop.cancelled().await;
            let _ = said.send(());
            Ok(())
        });
        drop(tasks);
        running.drain(Duration::from_secs(10)).await;
        heard.await.unwrap();
    }
}
