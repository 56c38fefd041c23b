//! Who holds leased messages, and when one that holds some counts as dead.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use watchward_protocol::time::Timestamp;

use super::rows;
use crate::store::Store;

/// This process among those that hold messages, and what it knows of the others.
#[derive(Debug)]
pub(super) struct Holder {
    /// Drawn by lot at every start.
    name: String,
    /// When we last said that we are alive.
    said: Option<Instant>,
    /// What the others last said, and since when by our own monotonic clock: a lease is never
    /// judged by a wall clock, which can be wrong or jump.
    others: HashMap<String, (i64, Instant)>,
}

impl Holder {
    pub(super) fn new() -> Self {
        Self {
            name: format!("{:032x}", rand::random::<u128>()),
            said: None,
            others: HashMap::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Says that we are alive, and takes over from those that have been silent for a lease.
    pub(super) async fn watch(
        &mut self,
        store: &Store,
        lease: Duration,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        if self.said.is_none_or(|said| said.elapsed() >= lease / 4) {
            let mut tx = store.begin().await?;
            rows::beat(&mut tx, &self.name).await?;
            tx.commit().await?;
            self.said = Some(Instant::now());
        }
        let holders = rows::holders(store, &self.name).await?;
        self.others
            .retain(|other, _| holders.iter().any(|(holder, _)| holder == other));
        for (holder, beat) in holders {
            let seen = self
                .others
                .entry(holder.clone())
                .or_insert_with(|| (beat, Instant::now()));
            if seen.0 != beat {
                *seen = (beat, Instant::now());
            }
            if seen.1.elapsed() >= lease {
                take_over(store, &holder, now).await?;
            }
        }
        Ok(())
    }

    /// Takes over from everybody else at once: for a process that knows itself to be alone.
    pub(super) async fn take_over_all(&self, store: &Store, now: Timestamp) -> sqlx::Result<()> {
        for (holder, _) in rows::holders(store, &self.name).await? {
            take_over(store, &holder, now).await?;
        }
        Ok(())
    }

    /// Nothing is held any more.
    pub(super) async fn leave(&self, store: &Store) -> sqlx::Result<()> {
        let mut tx = store.begin().await?;
        rows::forget(&mut tx, &self.name).await?;
        tx.commit().await
    }
}

async fn take_over(store: &Store, holder: &str, now: Timestamp) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    let count = rows::take_over(&mut tx, holder, now).await?;
    tx.commit().await?;
    if count > 0 {
        tracing::info!(
            count,
            "took over messages that somebody was sending who is gone"
        );
    }
    Ok(())
}
