//! Looks every few seconds at what time alone brings about, in a transaction.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::MissedTickBehavior;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use super::{Store, Tx};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Has `act` look until it is told to stop, and calls `changed` when it says that something came of
/// it. While the database is away it is asked again.
///
/// # Errors
/// None.
pub async fn run<A>(store: Store, act: A, changed: impl Fn(), stop: Stop) -> anyhow::Result<()>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        match once(&store, &act).await {
            Ok(0) => {}
            Ok(_) => changed(),
            Err(error) => tracing::error!(%error, "the database cannot be used; trying again"),
        }
    }
}

async fn once<A>(store: &Store, act: &A) -> sqlx::Result<usize>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tx = store.begin().await?;
    let came = act(&mut tx, clock::now()).await?;
    tx.commit().await?;
    Ok(came)
}
