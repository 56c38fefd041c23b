//! How a revocation reaches every host within a moment: in memory, read again when it changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, watch};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_protocol::instruments::{Instruments, Managed};
use watchward_protocol::time::Timestamp;

use super::order;
use crate::intake::{Refuse, Refusing, Said};
use crate::keys::authority;
use crate::keys::rows::managed::{self, Held};
use crate::keys::rows::{lineage, reached, revoked};
use crate::store::{Kind, Store};

/// How often it is looked for what another collector on the same database changed.
const GLANCE: Duration = Duration::from_millis(250);
/// The same where there can be no other collector: only in case a change was missed.
const SELDOM: Duration = Duration::from_secs(10);
/// How much of what was said is kept in one transaction.
const BATCH: usize = 256;
/// How much of it may wait.
const MOST_SAID: usize = 4096;

/// Has every host hear of every revocation.
#[derive(Clone, Debug)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ordered: watch::Sender<Arc<Refuse>>,
    touched: AtomicBool,
    wake: Notify,
    ask: Notify,
    said: Mutex<mpsc::Receiver<Said>>,
}

impl Revocations {
    /// With what is revoked, and what hosts are to hear of it. This comes before any host is served:
    /// whoever comes back hears of it first.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(store: &Store) -> sqlx::Result<(Self, Refusing)> {
        let (ordered, refuse) = Live::new(Refuse::default());
        let (told, said) = mpsc::channel(MOST_SAID);
        let all = Self(Arc::new(Inner {
            ordered,
            touched: AtomicBool::default(),
            wake: Notify::default(),
            ask: Notify::default(),
            said: Mutex::new(said),
        }));
        lineage::begin(store).await?;
        all.look(store, clock::now()).await?;
        Ok((all, Refusing { refuse, told }))
    }

    /// Hosts hold something else, by a transaction that has not committed yet.
    pub fn touch(&self) {
        self.0.touched.store(true, Ordering::Release);
    }

    /// A transaction has committed.
    pub fn committed(&self) {
        if self.0.touched.swap(false, Ordering::AcqRel) {
            self.0.ask.notify_one();
        }
    }

    /// Something was revoked or reinstated, or hosts are to hold other lines, and that has been
    /// committed.
    pub(in crate::keys) fn changed(&self) {
        self.0.wake.notify_one();
        self.0.ask.notify_one();
    }

    /// Waits until there may be somebody to ask whether a key opens anything.
    pub(in crate::keys) async fn asks(&self) {
        self.0.ask.notified().await;
    }

    /// Says what changes, and keeps what was said to whom, until told to stop.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, store: Store, stop: Stop) -> anyhow::Result<()> {
        let mut said = self.0.said.lock().await;
        let glance = match store.kind() {
            Kind::Sqlite => SELDOM,
            Kind::Postgres => GLANCE,
        };
        let (mut batch, mut is_over) = (Vec::new(), false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.0.wake.notified() => {}
                count = said.recv_many(&mut batch, BATCH), if batch.is_empty() && !is_over => {
                    is_over = count == 0;
                }
                () = tokio::time::sleep(glance) => {}
            }
            if let Err(error) = self.look(&store, clock::now()).await {
                tracing::error!(%error, "cannot read what is revoked; trying again");
            }
            if batch.is_empty() {
                continue;
            }
            match keep(&store, &batch).await {
                Ok(()) => batch.clear(),
                Err(error) => {
                    tracing::error!(%error, "cannot keep which host was told what; trying again");
                    self.0.wake.notify_one();
                    tokio::time::sleep(GLANCE).await;
                }
            }
        }
    }

    /// Reads what is revoked, if that changed.
    pub(super) async fn look(&self, store: &Store, now: Timestamp) -> sqlx::Result<()> {
        let is_known = |generation| self.0.ordered.borrow().generation() == generation;
        if is_known(revoked::generation(store).await?) {
            return Ok(());
        }
        let (generation, keys) = revoked::ordered(store).await?;
        // After the keys: what is revoked meanwhile comes with the next generation again.
        let certificates = authority::revoked(store, now).await?;
        let managed = managed::all(store).await?;
        let lineages = lineage::known(store.read()).await?;
        if revoked::generation(store).await? != generation {
            // The one was read before a change, and the other after it: the next look reads both.
            self.0.wake.notify_one();
            return Ok(());
        }
        let ordered = order::instruments(generation, &keys, &certificates);
        let ordered = ordered.map(|it| Instruments { lineages, ..it });
        let refuse = Refuse::new(ordered, by_host(managed));
        self.0.ordered.send_replace(Arc::new(refuse));
        Ok(())
    }
}

fn by_host(all: Vec<Held>) -> HashMap<String, Vec<Managed>> {
    let mut lines: HashMap<String, Vec<Managed>> = HashMap::new();
    for one in all {
        lines.entry(one.host).or_default().push(one.line);
    }
    lines
}

async fn keep(store: &Store, said: &[Said]) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    reached::said(&mut tx, said).await?;
    tx.commit().await
}
