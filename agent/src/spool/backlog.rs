//! How far behind the collector is.

use std::time::Duration;

use redb::ReadableDatabase;
use watchward_protocol::record::{Backlog, Lane};
use watchward_protocol::time::Timestamp;

use super::lanes::Spool;
use super::numbers::table;
use super::value;

impl Spool {
    /// What the collector does not have yet, as far as is known: after a start, more than that may
    /// be said until the collector has said where it stands.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn backlog(&self, now: Timestamp) -> anyhow::Result<Backlog> {
        let heads = self.state().heads;
        let mut backlog = Backlog::default();
        for lane in Lane::ALL {
            let head = heads.of(lane);
            let waiting = head.last.saturating_sub(head.acknowledged);
            if waiting == 0 {
                continue;
            }
            backlog.records += waiting;
            let oldest = self.kept_after(lane, head.acknowledged)?;
            let age = oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
            backlog.oldest = backlog.oldest.max(age);
        }
        Ok(backlog)
    }

    /// When the first record after a number was kept.
    fn kept_after(&self, lane: Lane, seq: u64) -> anyhow::Result<Option<Timestamp>> {
        self.with(|database| {
            let read = database.begin_read()?;
            let first = read.open_table(table(lane))?.range(seq + 1..)?.next();
            let first = first.transpose()?;
            Ok(first.map(|(_, stored)| value::kept_at(stored.value())))
        })
    }
}
