//! How a ban reaches every host within a moment: buckets in memory, read again when they change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use super::LIFTS;
use crate::intake::Buckets;
use crate::restriction::rows::bans;
use crate::store::{Kind, Store};

/// How often it is looked for what other collectors on the same database changed.
const GLANCE: Duration = Duration::from_millis(250);
/// The same where there can be no other collector: only in case a change was missed.
const SELDOM: Duration = Duration::from_secs(10);
/// What changes within this time is said at once.
const GATHER: Duration = Duration::from_millis(100);
/// How much longer it is gathered for each bucket that was said, so that a flood costs a thousand
/// hosts no more than each bucket once a second.
const FOR_EACH: Duration = Duration::from_millis(4);

/// Has every host hear of every ban.
#[derive(Clone, Debug)]
pub struct Spread(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    said: watch::Sender<Arc<Buckets>>,
    turns: Mutex<HashMap<u8, i64>>,
    touched: AtomicBool,
    wake: Notify,
}

impl Spread {
    /// With the bans that hold, and what hosts are to hear of them. Beware: a host that hears an
    /// empty bucket lets those in who were shut out, so this comes before any host is served.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(store: &Store, now: Timestamp) -> sqlx::Result<(Self, Live<Buckets>)> {
        let (said, bans) = Live::new(Buckets::default());
        let spread = Self(Arc::new(Inner {
            said,
            turns: Mutex::default(),
            touched: AtomicBool::default(),
            wake: Notify::default(),
        }));
        spread.look(store, now).await?;
        Ok((spread, bans))
    }

    /// Bans changed in a transaction that has not committed yet.
    pub fn touch(&self) {
        self.0.touched.store(true, Ordering::Release);
    }

    /// A transaction has committed.
    pub fn committed(&self) {
        if self.0.touched.swap(false, Ordering::AcqRel) {
            self.0.wake.notify_one();
        }
    }

    /// Bans changed, and have been committed.
    pub(super) fn changed(&self) {
        self.0.wake.notify_one();
    }

    /// Says what changes, until told to stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, store: Store, stop: Stop) -> anyhow::Result<()> {
        let glance = match store.kind() {
            Kind::Sqlite => SELDOM,
            Kind::Postgres => GLANCE,
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.0.wake.notified() => {}
                () = tokio::time::sleep(glance) => {}
            }
            let pause = match self.look(&store, clock::now()).await {
                Ok(said) => GATHER + FOR_EACH.saturating_mul(u32::try_from(said).unwrap_or(256)),
                Err(error) => {
                    tracing::error!(%error, "cannot read the bans; trying again");
                    self.changed();
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads the buckets that changed; says how many of them hosts hear again.
    pub(super) async fn look(&self, store: &Store, now: Timestamp) -> sqlx::Result<usize> {
        let mut known = self.0.turns.lock().await;
        let mut tx = store.read().begin().await?;
        let turns = bans::turns(&mut tx).await?;
        let news = turns
            .iter()
            .filter(|(at, turn)| known.get(at) != Some(turn));
        let news: Vec<u8> = news.map(|(bucket, _)| *bucket).collect();
        let mut changed = 0;
        if !news.is_empty() {
            let read = bans::ordered(&mut tx, &news, (now, now - LIFTS)).await?;
            let all;
            (all, changed) = self.0.said.borrow().with(read);
            if changed > 0 {
                self.0.said.send_replace(Arc::new(all));
            }
            known.extend(turns);
        }
        tx.rollback().await?;
        Ok(changed)
    }
}
