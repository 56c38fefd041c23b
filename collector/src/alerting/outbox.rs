//! The outbox: writes notices as messages, leases what is due, and records what became of it.

use anyhow::Context;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::time::Timestamp;

use super::Rules;
use super::attempt::{self, Due, Next, Outcome};
use super::config::Config;
use super::holder::Holder;
use super::judge::{self, Step};
use super::message::{Channel, Incident, Kind, Message, State};
use super::rows::{self, Change};
use super::silence::{self, Silence};
use crate::store::{Kind as Database, Store, Tx};

/// How many notices are written as messages in one transaction.
const NOTICES: i64 = 200;

/// This process's hold on the outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    store: Store,
    rules: Rules,
    config: Live<Config>,
    holder: Holder,
}

/// A leased message, and what to do with it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) message: Message,
    /// Ask for it instead of sending it.
    pub(super) ask: bool,
}

impl Outbox {
    /// Opens the outbox. With SQLite this process is alone: what a former life held is taken over
    /// at once.
    pub(super) async fn open(store: Store, rules: Rules) -> anyhow::Result<Self> {
        let holder = Holder::new();
        if store.kind() == Database::Sqlite {
            let taken = holder.take_over_all(&store, clock::now()).await;
            taken.context("cannot read the outbox")?;
        }
        Ok(Self {
            store,
            config: rules.config.clone(),
            rules,
            holder,
        })
    }

    /// Writes new notices as messages, and takes over what the dead held. True if there are more
    /// notices: in a storm what is written is sent before more is written.
    pub(super) async fn prepare(&mut self, now: Timestamp) -> sqlx::Result<bool> {
        if self.store.kind() == Database::Postgres {
            let lease = self.config.now().pace.lease.duration();
            self.holder.watch(&self.store, lease, now).await?;
        }
        self.end_silences(now).await?;
        if rows::has_notices(&self.store).await? {
            self.write_notices(now).await?;
        }
        rows::has_notices(&self.store).await
    }

    /// Has people told of what is open still when its silence has ended.
    async fn end_silences(&self, now: Timestamp) -> sqlx::Result<()> {
        let held = rows::held(&self.store).await?;
        if held.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        let silences = rows::holding(&mut *tx, now).await?;
        let groups = self.rules.groups.now();
        for (incident, by) in held {
            let covered = silence::covering(&silences, incident.about(), &groups, now);
            if covered.is_none() && rows::release(&mut tx, incident.id, &by).await? {
                let line = ("silence over", by.note());
                rows::remember(&mut tx, incident.id, now, (line.0, &line.1), None).await?;
                rows::announce(&mut tx, incident.id, Kind::Opened, incident.severity).await?;
            }
        }
        tx.commit().await
    }

    async fn write_notices(&self, now: Timestamp) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        let silences = rows::holding(&mut *tx, now).await?;
        for notice in rows::take_notices(&mut tx, NOTICES).await? {
            let incident = rows::incident_by_id(&mut tx, notice.incident).await?;
            if notice.kind == Kind::Resolved {
                for new in judge::tell_end(&told(&mut tx, incident.id).await?) {
                    rows::add(&mut tx, incident.id, &new, now).await?;
                }
                rows::hasten(&mut tx, incident.id, now).await?;
            } else if incident.resolved.is_none() {
                self.begin(&mut tx, &incident, &silences, now).await?;
            }
        }
        tx.commit().await
    }

    /// Writes who is told that an incident has begun, or become worse, if anybody is.
    async fn begin(
        &self,
        tx: &mut Tx,
        incident: &Incident,
        silences: &[Silence],
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let Rules {
            config,
            routes,
            groups,
        } = &self.rules;
        if let Some(silence) = silence::covering(silences, incident.about(), &groups.now(), now) {
            rows::hold(tx, incident.id, silence.id).await?;
            let line = ("silenced", silence.note());
            return rows::remember(tx, incident.id, now, (line.0, &line.1), None).await;
        }
        let contacts = routes.now().pick(&config.now().told(), incident.about());
        let told = told(tx, incident.id).await?;
        let steps = judge::tell(&contacts, incident.severity, &told);
        if steps.is_empty() && told.is_empty() {
            let note = format!("no contact is told of {}", incident.severity.name());
            rows::remember(tx, incident.id, now, ("nobody told", &note), None).await?;
        }
        write(tx, incident.id, steps, now).await
    }

    /// Leases up to `room` messages that are due by this channel.
    pub(super) async fn take(
        &mut self,
        channel: Channel,
        room: usize,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Job>> {
        let horizon = now + 2 * self.config.now().pace.longest_retry.duration();
        loop {
            let due = rows::due(&self.store, channel, now, horizon, room).await?;
            if room == 0 || due.is_empty() {
                return Ok(Vec::new());
            }
            let mut jobs = Vec::new();
            let mut dropped = false;
            let mut tx = self.store.begin().await?;
            for mut message in due {
                let ask = match attempt::due(&message) {
                    Due::Drop(why) => {
                        dropped |= self.drop_message(&mut tx, &message, why, now).await?;
                        continue;
                    }
                    Due::Ask => true,
                    Due::Send => false,
                };
                if rows::lease(&mut tx, &message, self.holder.name()).await? {
                    message.attempts += 1;
                    jobs.push(Job { message, ask });
                }
            }
            tx.commit().await?;
            if !jobs.is_empty() || !dropped {
                return Ok(jobs);
            }
        }
    }

    async fn drop_message(
        &self,
        tx: &mut Tx,
        message: &Message,
        why: &str,
        now: Timestamp,
    ) -> sqlx::Result<bool> {
        let change = Change {
            state: State::Dropped,
            maybe: message.maybe,
            asks: message.asks,
            at: now,
            note: why,
        };
        let dropped = rows::change(tx, message, None, &change).await?;
        if dropped && message.kind != Kind::Resolved {
            let line = ("not told", why);
            rows::remember(tx, message.incident.id, now, line, Some(message)).await?;
        }
        Ok(dropped)
    }

    /// Records what an attempt came to.
    pub(super) async fn record(
        &self,
        job: &Job,
        outcome: Outcome,
        now: Timestamp,
    ) -> sqlx::Result<()> {
        let config = self.config.now();
        let message = &job.message;
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
        let event = match next.state {
            State::Delivered => Some("told"),
            State::Failed => Some("failed"),
            // Said once, not at every attempt: an outage can be long and messages many.
            State::Pending | State::Unknown => (message.attempts == 1).then_some("delayed"),
            State::Leased | State::Dropped => None,
        };
        if let Some(event) = event {
            let line = (event, next.note.as_str());
            rows::remember(&mut tx, message.incident.id, now, line, Some(message)).await?;
        }
        if next.elsewhere {
            let told = told(&mut tx, message.incident.id).await?;
            // What came in since the message was leased counts.
            let mut now_known = message.clone();
            now_known.incident = rows::incident_by_id(&mut tx, message.incident.id).await?;
            if let Some(new) = judge::elsewhere(&now_known, &config.told(), &told) {
                rows::add(&mut tx, message.incident.id, &new, now).await?;
            }
        }
        tx.commit().await?;
        report(message, &next);
        Ok(())
    }

    /// Ends: nothing is held any more.
    pub(super) async fn leave(&self) -> sqlx::Result<()> {
        self.holder.leave(&self.store).await
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
        State::Pending | State::Leased | State::Unknown | State::Dropped => {}
    }
}

async fn told(tx: &mut Tx, incident: i64) -> sqlx::Result<Vec<judge::Told>> {
    let sent = rows::sent(&mut **tx, incident).await?;
    Ok(sent.into_iter().map(|sent| sent.told).collect())
}

async fn write(tx: &mut Tx, incident: i64, steps: Vec<Step>, now: Timestamp) -> sqlx::Result<()> {
    for step in steps {
        match step {
            Step::Add(new) => rows::add(tx, incident, &new, now).await?,
            Step::Sharpen(id, new) => {
                if !rows::sharpen(tx, id, new.severity).await? {
                    rows::add(tx, incident, &new, now).await?;
                }
            }
        }
    }
    Ok(())
}
