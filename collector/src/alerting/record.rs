//! Records what became of messages: of an attempt to send one, and of what the provider took.

use watchward_protocol::time::Timestamp;

use super::attempt::{self, Next, Outcome, Receipt};
use super::judge;
use super::measure;
use super::message::{Kind, Message, State};
use super::outbox::{Act, Job, Outbox, told};
use super::rows::{self, Change, Taken};
use crate::store::Tx;

impl Outbox {
    /// Records what an attempt came to.
    pub(super) async fn record(
        &self,
        job: &Job,
        outcome: Outcome,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        match &job.act {
            Act::Check(taken) => self.record_check(&job.message, taken, outcome, now).await,
            Act::Send | Act::Ask => self.record_attempt(&job.message, outcome, now).await,
        }
    }

    async fn record_attempt(
        &self,
        message: &Message,
        outcome: Outcome,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let config = self.config.now();
        let mut sid = None;
        if let Outcome::Submitted(given) = &outcome {
            sid = Some(given.clone());
        }
        let next = attempt::next(message, outcome, &config.pace, rand::random(), now);
        let change = Change {
            state: next.state,
            maybe: next.maybe,
            asks: next.asks,
            at: next.at,
            note: &next.note,
        };
        let mut tx = self.store.begin().await?;
        if !rows::change(&mut tx, message, Some(self.holder.name()), &change).await? {
            tracing::warn!(
                message = message.id,
                "another collector has taken this message over"
            );
            return Ok(());
        }
        if let Some(sid) = sid {
            let at = now + config.pace.wait(1, rand::random());
            rows::expect(&mut tx, message.id, &sid, at).await?;
        }
        remember(&mut tx, message, &next, now).await?;
        if next.elsewhere {
            self.tell_elsewhere(&mut tx, message, now).await?;
        }
        tx.commit().await?;
        measure::ended(message.channel, next.state.name());
        report(message, &next);
        Ok(())
    }

    /// Records whether what the provider took has arrived.
    async fn record_check(
        &self,
        message: &Message,
        taken: &Taken,
        outcome: Outcome,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let pace = self.config.now().pace.clone();
        let asked = (taken.checks + 1, taken.at);
        let receipt = attempt::receipt(outcome, asked, &pace, rand::random(), now);
        let (again, result) = match &receipt {
            Receipt::Wait(at) => (Some(*at), None),
            Receipt::Arrived(_) => (None, Some("arrived")),
            Receipt::Lost(_) => (None, Some("lost")),
            Receipt::Silence => (None, Some("unconfirmed")),
        };
        let mut tx = self.store.begin().await?;
        if !rows::put_off(&mut tx, message.id, &mut taken.clone(), again).await? {
            return Ok(());
        }
        let incident = message.incident.id;
        match receipt {
            Receipt::Wait(_) => {}
            Receipt::Arrived(note) => {
                rows::remember(&mut tx, incident, now, ("arrived", &note), Some(message)).await?;
            }
            Receipt::Lost(note) => {
                rows::lose(&mut tx, message.id, &note).await?;
                if message.kind == Kind::Summary {
                    rows::settle(&mut tx, message, (State::Failed, &note), now).await?;
                } else {
                    let line = ("failed", note.as_str());
                    rows::remember(&mut tx, incident, now, line, Some(message)).await?;
                }
                self.tell_elsewhere(&mut tx, message, now).await?;
                let contact = message.contact.as_str();
                tracing::error!(contact, error = note, "what was taken did not arrive");
            }
            Receipt::Silence => self.tell_elsewhere(&mut tx, message, now).await?,
        }
        tx.commit().await?;
        if let Some(result) = result {
            measure::ended(message.channel, result);
        }
        Ok(())
    }

    /// Tells by the other channel what may not have reached somebody by this one.
    async fn tell_elsewhere(
        &self,
        tx: &mut Tx,
        message: &Message,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let contacts = self.config.now().told();
        if message.kind == Kind::Summary {
            let contact = contacts
                .iter()
                .find(|contact| contact.name.as_str() == message.contact);
            let address = contact.and_then(|one| one.address(message.channel.other(), None));
            return match address {
                Some(address) => rows::elsewhere(tx, message, &address, now).await,
                None => Ok(()),
            };
        }
        let told = told(tx, message.incident.id).await?;
        // What came in since the message was leased counts.
        let mut now_known = message.clone();
        now_known.incident = rows::incident_by_id(tx, message.incident.id).await?;
        match judge::elsewhere(&now_known, &contacts, &told) {
            Some(new) => rows::add(tx, message.incident.id, &new, now).await,
            None => Ok(()),
        }
    }
}

/// Writes what became of a message into the history of what it tells of.
async fn remember(tx: &mut Tx, message: &Message, next: &Next, now: Timestamp) -> sqlx::Result<()> {
    let event = match next.state {
        State::Delivered => Some("told"),
        State::Written => Some("written"),
        State::Failed => Some("failed"),
        // Said once, not at every attempt: an outage can be long and messages many.
        State::Pending | State::Unknown => (message.attempts == 1).then_some("delayed"),
        State::Leased | State::Dropped | State::Held | State::Folded => None,
    };
    if message.kind == Kind::Summary && !next.state.is_live() {
        let note = format!("in a summary: {}", next.note);
        return rows::settle(tx, message, (next.state, &note), now).await;
    }
    match event {
        Some(event) => {
            let line = (event, next.note.as_str());
            rows::remember(tx, message.incident.id, now, line, Some(message)).await
        }
        None => Ok(()),
    }
}

/// Says in the log what became of a message.
fn report(message: &Message, next: &Next) {
    let note = next.note.as_str();
    match next.state {
        State::Delivered => tracing::info!(
            incident = message.incident.code.as_str(),
            channel = message.channel.name(),
            contact = message.contact,
            "told"
        ),
        State::Written => tracing::info!(
            incident = message.incident.code.as_str(),
            channel = message.channel.name(),
            contact = message.contact,
            path = note,
            "written into the folder"
        ),
        State::Failed => tracing::error!(
            incident = message.incident.code.as_str(),
            channel = message.channel.name(),
            contact = message.contact,
            error = note,
            "cannot be told"
        ),
        State::Pending | State::Unknown if message.attempts == 1 => tracing::warn!(
            incident = message.incident.code.as_str(),
            channel = message.channel.name(),
            contact = message.contact,
            error = note,
            "not told yet"
        ),
        State::Pending
        | State::Leased
        | State::Unknown
        | State::Dropped
        | State::Held
        | State::Folded => {}
    }
}
