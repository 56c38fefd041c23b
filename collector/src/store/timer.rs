//! Looks every few seconds at what time alone brings about, in a transaction.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::MissedTickBehavior;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use super::{Deadlines, Schema, Store, Tx, deadline};

/// When somebody looked last at what has deadlines, so that of several collectors on one database
/// each waits for its turn, and only one puts deadlines off when all were away.
pub const SCHEMA: Schema = Schema {
    room: "timer",
    steps: &["CREATE TABLE timer_look (
        name TEXT PRIMARY KEY, at BIGINT NOT NULL, turns BIGINT NOT NULL)"],
};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Has `act` look until it is told to stop, and calls `changed` when it says that something came of
/// it. It hears what time it is; where nobody could be heard since it looked last, `deadlines` are
/// put off first. While the database is away it is asked again.
///
/// # Errors
/// None.
pub async fn run<A>(
    store: Store,
    deadlines: Deadlines,
    act: A,
    changed: impl Fn(),
    stop: Stop,
) -> anyhow::Result<()>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = clock::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let now = clock::now();
        match turn(&store, deadlines, &act, (last, now)).await {
            Ok(came) => {
                last = now;
                if came > 0 {
                    changed();
                }
            }
            Err(error) => tracing::error!(%error, "the database cannot be used; trying again"),
        }
    }
}

async fn turn<A>(
    store: &Store,
    deadlines: Deadlines,
    act: &A,
    (last, now): (Timestamp, Timestamp),
) -> sqlx::Result<usize>
where
    A: for<'a> Fn(&'a mut Tx, Timestamp) -> BoxFuture<'a, sqlx::Result<usize>>,
{
    let mut tx = store.begin().await?;
    if let Some((name, _)) = deadlines.first() {
        // Whose clock is behind ours looked no longer ago than we did ourselves.
        let last = take_turn(&mut tx, name, now).await?.max(last);
        deadline::put_off(&mut tx, deadlines, deadline::away(last, now)).await?;
    }
    let came = act(&mut tx, now).await?;
    tx.commit().await?;
    Ok(came)
}

/// Waits until no other collector looks at this, and says when one did last.
async fn take_turn(tx: &mut Tx, name: &str, now: Timestamp) -> sqlx::Result<Timestamp> {
    let last: i64 = sqlx::query_scalar(
        "INSERT INTO timer_look (name, at, turns) VALUES ($1, $2, 1) \
         ON CONFLICT (name) DO UPDATE SET turns = timer_look.turns + 1 RETURNING at",
    )
    .bind(name)
    .bind(now.as_micros())
    .fetch_one(&mut **tx)
    .await?;
    sqlx::query("UPDATE timer_look SET at = $2 WHERE name = $1")
        .bind(name)
        .bind(now.as_micros())
        .execute(&mut **tx)
        .await?;
    Ok(Timestamp::from_micros(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    const DUE: Schema = Schema {
        room: "timer-test",
        steps: &["CREATE TABLE timer_test (due_at BIGINT NOT NULL)"],
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn nothing(_: &mut Tx, _: Timestamp) -> BoxFuture<'_, sqlx::Result<usize>> {
        Box::pin(async { Ok(0) })
    }

    #[tokio::test]
    async fn deadlines_are_put_off_by_an_absence_but_not_by_the_usual_pauses() {
        for store in testing::stores(&[DUE, SCHEMA]).await {
            let mut tx = store.begin().await.unwrap();
            sqlx::query("INSERT INTO timer_test VALUES (0)")
                .execute(&mut *tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            for (last, now, put_off) in [(0, 5, 0), (5, 20, 0), (20, 600, 580), (600, 605, 580)] {
                let columns: Deadlines = &[("timer_test", "due_at")];
                turn(&store, columns, &nothing, (at(last), at(now)))
                    .await
                    .unwrap();
                let due: i64 = sqlx::query_scalar("SELECT due_at FROM timer_test")
                    .fetch_one(store.read())
                    .await
                    .unwrap();
                assert_eq!(due, put_off * 1_000_000, "at {now}");
            }
        }
    }

    #[tokio::test]
    async fn of_two_collectors_that_were_away_together_one_puts_deadlines_off() {
        for store in testing::stores(&[DUE, SCHEMA]).await {
            sqlx::query("INSERT INTO timer_test VALUES (0)")
                .execute(store.read())
                .await
                .unwrap();
            let columns: Deadlines = &[("timer_test", "due_at")];
            let look = async |last: i64, now: i64| {
                turn(&store, columns, &nothing, (at(last), at(now)))
                    .await
                    .unwrap();
            };
            // Both look at 10 and 11, are away, and look again at 610 and 611.
            for (last, now) in [(5, 10), (6, 11), (10, 610), (11, 611)] {
                look(last, now).await;
            }
            // One was stopped while the other was there; one has a clock that is 40 s ahead.
            for (last, now) in [(885, 890), (611, 891), (890, 895), (931, 936), (895, 900)] {
                look(last, now).await;
            }
            let due: i64 = sqlx::query_scalar("SELECT due_at FROM timer_test")
                .fetch_one(store.read())
                .await
                .unwrap();
            assert_eq!(due, 599 * 1_000_000, "on {:?}", store.kind());
        }
    }
}
