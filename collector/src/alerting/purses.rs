//! Everybody's budget as one transaction sees it: what may be sent, and what is folded.

use std::collections::HashMap;

use watchward_protocol::time::Timestamp;

use super::budget::{Grant, Held, Purse};
use super::config::Budget;
use super::message::{Channel, Message};
use super::rows::{self, Way};
use crate::store::Tx;

/// The purses of those who get something now.
pub(super) struct Purses<'a> {
    budget: &'a Budget,
    open: HashMap<(String, Channel), Purse>,
    now: Timestamp,
}

impl<'a> Purses<'a> {
    /// None is open yet.
    pub(super) fn new(budget: &'a Budget, now: Timestamp) -> Self {
        Self {
            budget,
            open: HashMap::new(),
            now,
        }
    }

    /// Whether a message may be sent by itself now.
    pub(super) async fn grant(&mut self, tx: &mut Tx, message: &Message) -> sqlx::Result<Grant> {
        let now = self.now;
        let way = Way {
            contact: &message.contact,
            channel: message.channel,
        };
        Ok(self.of(tx, way).await?.grant(message, now))
    }

    /// Folds what is held back for somebody, if it may be told now; says whether it did.
    pub(super) async fn fold(
        &mut self,
        tx: &mut Tx,
        held: &Held,
        channel: Channel,
    ) -> sqlx::Result<bool> {
        let now = self.now;
        let way = Way {
            contact: &held.contact,
            channel,
        };
        let may = self.of(tx, way).await?.may_tell(held, now);
        Ok(may && rows::fold(tx, way, held.critical, now).await?)
    }

    async fn of(&mut self, tx: &mut Tx, way: Way<'_>) -> sqlx::Result<&mut Purse> {
        use std::collections::hash_map::Entry;
        let window = self.budget.window.duration();
        match self.open.entry((way.contact.to_owned(), way.channel)) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(closed) => {
                let pages = rows::pages(tx, way, self.now - window).await?;
                let limit = self.budget.by(way.channel);
                Ok(closed.insert(Purse::new(limit, window, pages)))
            }
        }
    }
}
