//! The outbox: writes notices as messages, leases what is due, and records what became of it.

use anyhow::Context;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::time::Timestamp;

use super::Rules;
use super::attempt::{self, Due};
use super::budget::Grant;
use super::config::Config;
use super::holder::Holder;
use super::judge::{self, Step};
use super::message::{Channel, Incident, Kind, Message, State};
use super::purses::Purses;
use super::rows::{self, Change, Taken};
use super::silence::{self, Silence};
use super::wording;
use crate::store::{Kind as Database, Store, Tx};

/// How many notices are written as messages in one transaction.
const NOTICES: i64 = 200;

/// How many messages are looked at for some that may be sent.
const LOOK: usize = 200;

/// This process's hold on the outbox.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) store: Store,
    rules: Rules,
    pub(super) config: Live<Config>,
    pub(super) holder: Holder,
}

/// A leased message, and what to do with it.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) message: Message,
    pub(super) act: Act,
}

/// What is done with a message.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Send,
    /// Ask whether it was sent.
    Ask,
    /// Ask whether it has arrived.
    Check(Taken),
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
            } else if incident.resolved.is_none() && incident.acknowledged.is_none() {
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
            is_host: _,
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

    /// Leases up to `room` messages that are due by this channel. What is beyond somebody's budget
    /// is held back, and folded into a summary when its time has come.
    pub(super) async fn take(
        &mut self,
        channel: Channel,
        room: usize,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Job>> {
        let mut jobs = Vec::new();
        if room == 0 {
            return Ok(jobs);
        }
        self.fold(channel, now).await?;
        let horizon = now + 2 * self.config.now().pace.longest_retry.duration();
        loop {
            let due = rows::due(&self.store, channel, now, horizon, LOOK.max(room)).await?;
            if due.is_empty() {
                break;
            }
            let gone = self.lease(due, room, &mut jobs, now).await?;
            if !jobs.is_empty() || gone == 0 {
                break;
            }
        }
        let left = room.saturating_sub(jobs.len());
        jobs.extend(self.take_expected(channel, left, now).await?);
        Ok(jobs)
    }

    /// Leases what may be sent; says how many messages are due no more without having been leased.
    async fn lease(
        &self,
        due: Vec<Message>,
        room: usize,
        jobs: &mut Vec<Job>,
        now: Timestamp,
    ) -> sqlx::Result<usize> {
        let config = self.config.now();
        let mut purses = Purses::new(&config.budget, now);
        let mut gone = 0;
        let mut tx = self.store.begin().await?;
        for mut message in due {
            if jobs.len() == room {
                break;
            }
            let act = match attempt::due(&message) {
                Due::Drop(why) => {
                    let dropped = self.drop_message(&mut tx, &message, why, now).await?;
                    gone += usize::from(dropped);
                    continue;
                }
                Due::Ask => Act::Ask,
                Due::Send => match purses.grant(&mut tx, &message).await? {
                    Grant::Now => Act::Send,
                    Grant::Later(why, until) => {
                        let note = wording::held(why, until);
                        rows::hold_back(&mut tx, message.id, &note, now).await?;
                        gone += 1;
                        continue;
                    }
                },
            };
            let paged = matches!(act, Act::Send).then_some(now);
            if rows::lease(&mut tx, &message, self.holder.name(), paged).await? {
                message.attempts += 1;
                if message.kind == Kind::Summary {
                    message.digest = Some(rows::digest(&mut tx, message.id).await?);
                }
                jobs.push(Job { message, act });
            }
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// Makes summaries of what was held back for long enough.
    async fn fold(&self, channel: Channel, now: Timestamp) -> sqlx::Result<()> {
        let all = rows::held_back(&self.store, channel).await?;
        if all.is_empty() {
            return Ok(());
        }
        let config = self.config.now();
        let mut purses = Purses::new(&config.budget, now);
        let mut tx = self.store.begin().await?;
        for held in &all {
            if purses.fold(&mut tx, held, channel).await? {
                let (contact, count) = (&held.contact, held.count);
                tracing::warn!(
                    contact,
                    channel = channel.name(),
                    count,
                    "told in a summary"
                );
            }
        }
        tx.commit().await
    }

    /// Messages that the provider has taken and is to be asked about.
    async fn take_expected(
        &self,
        channel: Channel,
        room: usize,
        now: Timestamp,
    ) -> sqlx::Result<Vec<Job>> {
        let mut jobs = Vec::new();
        if room == 0 {
            return Ok(jobs);
        }
        let lease = now + self.config.now().pace.longest_retry.duration();
        for (message, mut taken) in rows::expected(&self.store, channel, now, room).await? {
            let mut tx = self.store.begin().await?;
            // Whoever dies while asking has it asked again after that.
            if rows::put_off(&mut tx, message.id, &mut taken, Some(lease)).await? {
                let act = Act::Check(taken);
                jobs.push(Job { message, act });
            }
            tx.commit().await?;
        }
        Ok(jobs)
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

    /// Ends: nothing is held any more.
    pub(super) async fn leave(&self) -> sqlx::Result<()> {
        self.holder.leave(&self.store).await
    }
}

pub(super) async fn told(tx: &mut Tx, incident: i64) -> sqlx::Result<Vec<judge::Told>> {
    let sent = rows::sent(&mut **tx, incident).await?;
    let all = sent.into_iter().map(|sent| sent.told);
    // What a summary tells of has a message of its own.
    Ok(all.filter(|told| told.kind != Kind::Summary).collect())
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
