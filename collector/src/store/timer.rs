//! Looks every few seconds at what time alone brings about, in a transaction.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::MissedTickBehavior;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use super::{Store, Tx, deadline};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Has `act` look until it is told to stop, and calls `changed` when it says that something came of
/// it. It hears what time it is, and for how long nobody could be heard since it looked last, by
/// which deadlines are to be put off. While the database is away it is asked again.
///
/// # Errors
/// None.
pub async fn run<A>(store: Store, act: A, changed: impl Fn(), stop: Stop) -> anyhow::Result<()>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp, Duration) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = clock::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        match turn(&store, &act, &mut last, clock::now()).await {
            Ok(0) => {}
            Ok(_) => changed(),
            Err(error) => tracing::error!(%error, "the database cannot be used; trying again"),
        }
    }
}

async fn turn<A>(
    store: &Store,
    act: &A,
    last: &mut Timestamp,
    now: Timestamp,
) -> sqlx::Result<usize>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp, Duration) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tx = store.begin().await?;
    let came = act(&mut tx, now, deadline::away(*last, now)).await?;
    tx.commit().await?;
    *last = now;
    Ok(came)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::testing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    static AWAY: AtomicU64 = AtomicU64::new(0);

    /// Fails once.
    fn act(_: &mut Tx, now: Timestamp, away: Duration) -> BoxFuture<'_, sqlx::Result<usize>> {
        AWAY.store(away.as_secs(), Ordering::SeqCst);
        Box::pin(async move {
            match now == at(1_000) {
                true => Err(sqlx::Error::PoolClosed),
                false => Ok(0),
            }
        })
    }

    #[tokio::test]
    async fn says_for_how_long_nobody_looked_but_not_of_the_usual_pauses() {
        for store in testing::stores(&[]).await {
            let mut last = at(0);
            for (second, away) in [
                (5, 0),
                (20, 0),
                (600, 580),
                (605, 0),
                (1_000, 395),
                (1_005, 400),
            ] {
                let _ = turn(&store, &act, &mut last, at(second)).await;
                assert_eq!(AWAY.load(Ordering::SeqCst), away, "at {second}");
            }
        }
    }
}
