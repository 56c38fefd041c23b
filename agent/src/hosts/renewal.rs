//! Renews this host's certificate at two thirds of its life.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;

use super::identity::{self, Kept};
use crate::uplink::{Renewal, Standing};

/// The longest sleep: a clock that was set is noticed within it.
const LOOK: Duration = Duration::from_secs(60);
/// Between an attempt that failed and the next.
const AGAIN: Duration = Duration::from_secs(5);

/// Asks for the next certificate when it is due, and has the program use it.
///
/// # Errors
/// The file that enrolment wrote cannot be read.
pub async fn renew(
    file: PathBuf,
    standing: Arc<Standing>,
    wishes: mpsc::Sender<Renewal>,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let due = Kept::read(&file)?.renew_at;
        let left = due.since(clock::now());
        tokio::select! {
            () = tokio::time::sleep(left.min(LOOK)) => {}
            () = stop.cancelled() => return Ok(()),
        }
        if clock::now() < due {
            continue;
        }
        tokio::select! {
            done = once(&file, &standing, &wishes) => match done {
                Ok(()) => tracing::info!("renewed this host's certificate"),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "cannot renew this host's certificate; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            },
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn once(
    file: &std::path::Path,
    standing: &Standing,
    wishes: &mpsc::Sender<Renewal>,
) -> anyhow::Result<()> {
    let (key, request) = identity::request()?;
    let (answer, answered) = oneshot::channel();
    wishes
        .send(Renewal { request, answer })
        .await
        .context("the uplink has ended")?;
    let given = answered
        .await
        .context("the connection broke before the answer")??;
    let collector = Kept::read(file)?.collector;
    let kept = Kept::new(key, given, collector);
    kept.write(file)?;
    kept.adopt(standing)
}
