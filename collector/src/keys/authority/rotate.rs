//! Replaces an authority: looks at what is, and does the next step, until there is none.

use std::time::Duration;

use serde::Serialize;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::time::Timestamp;

use super::step::{self, Observed, Spans, Stand, Step};
use super::{Authority, Whose, alerts, certificate};
use crate::alerting::Bell;
use crate::keys::proof::{Revoked, fingerprint};
use crate::keys::revocation::Inventory;
use crate::keys::rotation::Missed;
use crate::keys::rows::authority::{self as rows, Kept};
use crate::keys::rows::revoked;
use crate::store::Tx;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);
/// So many steps are taken at a time.
const MOST_STEPS: usize = 8;
/// How the authorities stand.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    /// Each that hosts are to trust.
    pub(super) authorities: Vec<One>,
    /// The hosts that are waited for.
    pub(super) waits_for: Vec<String>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct One {
    pub(super) number: i64,
    pub(super) fingerprint: String,
    pub(super) made_at: Timestamp,
    pub(super) signs_at: Option<Timestamp>,
    /// When its turn is over by the schedule.
    pub(super) due_at: Option<Timestamp>,
    /// Until when the last of its certificates counts.
    pub(super) counts_until: Option<Timestamp>,
    /// Whether it is the one that signs.
    pub(super) signs: bool,
}

impl One {
    pub(super) fn of(
        kept: &Kept,
        signs: bool,
        counts_until: Option<Timestamp>,
        due: impl Fn(Timestamp) -> Timestamp,
    ) -> Self {
        Self {
            number: kept.id,
            fingerprint: kept.fingerprint(),
            made_at: kept.made_at,
            signs_at: kept.signs_at,
            due_at: kept.signs_at.filter(|_| signs).map(due),
            counts_until,
            signs,
        }
    }
}

/// Has authorities follow each other as the policy says, until told to stop.
///
/// # Errors
/// None.
pub async fn run(
    authority: Authority,
    inventory: Inventory,
    bell: Bell,
    stop: Stop,
) -> anyhow::Result<()> {
    loop {
        let done = authority.go_on(inventory, clock::now()).await;
        if !bell
            .after("replace the authority", done, (LOOK, &stop))
            .await
        {
            return Ok(());
        }
    }
}

impl Authority {
    /// Does what is to be done now; says whether that was anything.
    pub(super) async fn go_on(&self, inventory: Inventory, now: Timestamp) -> anyhow::Result<bool> {
        let mut changed = self.begin(now).await? || self.expire(now).await?;
        for _ in 0..MOST_STEPS {
            let (live, observed) = (
                rows::live(self.store.read(), Whose::People).await?,
                inventory,
            );
            let observed = self.observed(&live, observed).await?;
            let mut tx = self.store.begin().await?;
            let stands = stands(&mut tx, &live).await?;
            let step = step::next(&stands, &observed, self.spans(), now);
            let done = match &step {
                Step::Rest | Step::Wait(_) => {
                    let schedule = self.policy.now().authority.clone();
                    alerts::tell(&mut tx, (&live, &step), &schedule, now).await?;
                    tx.commit().await?;
                    break;
                }
                Step::Make => self.make(&mut tx, Whose::People, (None, ""), now).await?,
                Step::Sign(id) => rows::sign(&mut tx, *id, now).await?,
                Step::End(id) => rows::end(&mut tx, *id, now).await?,
            };
            if done {
                tracing::info!(?step, "the authority of certificates");
                revoked::next(&mut tx, now).await?;
            }
            tx.commit().await?;
            self.revocations.changed();
            changed = true;
        }
        Ok(changed)
    }

    /// Makes the first where the policy says what its certificates open; says whether it did.
    async fn begin(&self, now: Timestamp) -> anyhow::Result<bool> {
        if self.policy.now().logins.is_empty()
            || !rows::live(self.store.read(), Whose::People)
                .await?
                .is_empty()
        {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        self.signing(&mut tx, Whose::People, now).await?;
        revoked::next(&mut tx, now).await?;
        tx.commit().await?;
        self.revocations.changed();
        Ok(true)
    }

    fn spans(&self) -> Spans {
        let schedule = self.policy.now().authority.clone();
        Spans {
            every: schedule.every.0.duration(),
            overlap: schedule.overlap.0.duration(),
            slack: schedule.slack.0.duration(),
        }
    }

    async fn observed(&self, live: &[Kept], inventory: Inventory) -> sqlx::Result<Observed> {
        let Some(next) = live.iter().find(|one| one.signs_at.is_none()) else {
            return Ok(Observed::default());
        };
        let mut observed = Observed::default();
        for (id, public) in rows::ever(&self.store, Whose::People).await? {
            let fingerprint = fingerprint(&certificate::ed25519(&public));
            let seen = rows::seen(&self.store, &fingerprint).await?;
            if id != next.id {
                observed.trusting.extend(seen);
                continue;
            }
            let unheld = rows::unheld(&self.store, &fingerprint).await?;
            let held = seen.into_iter().filter(|one| !unheld.contains(one));
            observed.next.extend(held);
        }
        let hosts = inventory(&self.store).await?.into_iter();
        let hosts = hosts.map(|one| (one.host.name, one.is_silent));
        observed.hosts = hosts.collect();
        Ok(observed)
    }

    /// Revokes what should have been replaced by now, if the policy says so; whether it did.
    async fn expire(&self, now: Timestamp) -> anyhow::Result<bool> {
        let schedule = self.policy.now().authority.clone();
        let signing = rows::signing(rows::live(self.store.read(), Whose::People).await?);
        let since = signing.and_then(|one| one.signs_at);
        let is_over = since.is_some_and(|since| now >= schedule.deadline(since));
        if schedule.missed != Missed::Revoke || !is_over {
            return Ok(false);
        }
        let why = "it was not replaced by its deadline";
        let gone = self.replace(("policy", why), now).await?;
        tracing::warn!(?gone, "the authority of certificates is revoked: {why}");
        Ok(true)
    }

    /// Makes the next one, whose turn comes when hosts trust it; says whether there was none yet.
    pub(super) async fn rotate(&self, by: &str, now: Timestamp) -> anyhow::Result<bool> {
        let mut tx = self.store.begin().await?;
        self.signing(&mut tx, Whose::People, now).await?;
        let live = rows::live(&mut *tx, Whose::People).await?;
        let waits = live.iter().any(|one| one.signs_at.is_none());
        let made = !waits && self.make(&mut tx, Whose::People, (None, by), now).await?;
        revoked::next(&mut tx, now).await?;
        tx.commit().await?;
        self.revocations.changed();
        Ok(made)
    }

    /// Replaces all there are at once by one that signs now, and has hosts refuse what they signed: for
    /// when somebody else may have a key. Says which are revoked.
    pub(super) async fn replace(
        &self,
        (by, reason): (&str, &str),
        now: Timestamp,
    ) -> anyhow::Result<Vec<String>> {
        let mut tx = self.store.begin().await?;
        let gone = self
            .succeed(&mut tx, Whose::People, (by, reason), now)
            .await?;
        alerts::end(&mut tx, now).await?;
        tx.commit().await?;
        self.revocations.changed();
        Ok(gone)
    }

    /// Revokes all there are, and makes one that signs now; gives the fingerprints of those that go.
    pub(super) async fn succeed(
        &self,
        tx: &mut Tx,
        whose: Whose,
        (by, reason): (&str, &str),
        now: Timestamp,
    ) -> anyhow::Result<Vec<String>> {
        let generation = revoked::next(tx, now).await?;
        let mut gone = Vec::new();
        for kept in rows::live(&mut **tx, whose).await? {
            let one = Revoked {
                fingerprint: kept.fingerprint(),
                kind: "ssh-ed25519".to_owned(),
                wire: kept.wire(),
                reason: reason.to_owned(),
                author: by.to_owned(),
                at: now,
                comment: whose.called(kept.id),
                person: String::new(),
                generation,
            };
            revoked::revoke(tx, &one).await?;
            rows::end(tx, kept.id, now).await?;
            gone.push(one.fingerprint);
        }
        self.make(tx, whose, (Some(now), by), now).await?;
        Ok(gone)
    }

    /// How they stand; the first is made when somebody asks for the first time.
    pub(super) async fn standing(
        &self,
        inventory: Inventory,
        now: Timestamp,
    ) -> anyhow::Result<Standing> {
        let live = rows::live(self.store.read(), Whose::People).await?;
        let observed = self.observed(&live, inventory).await?;
        let mut tx = self.store.begin().await?;
        let stands = stands(&mut tx, &live).await?;
        drop(tx);
        let step = step::next(&stands, &observed, self.spans(), now);
        let signing = rows::signing(&live).map(|one| one.id);
        let one = |(kept, stand): (&Kept, &Stand)| {
            let due = |since| since + self.spans().every;
            One::of(kept, signing == Some(kept.id), stand.counts_until, due)
        };
        Ok(Standing {
            authorities: live.iter().zip(&stands).map(one).collect(),
            waits_for: match step {
                Step::Wait(hosts) => hosts,
                Step::Rest | Step::Make | Step::Sign(_) | Step::End(_) => Vec::new(),
            },
        })
    }
}

async fn stands(tx: &mut Tx, live: &[Kept]) -> sqlx::Result<Vec<Stand>> {
    let counting = rows::counting(tx).await?;
    let one = |kept: &Kept| Stand {
        id: kept.id,
        made_at: kept.made_at,
        signs_at: kept.signs_at,
        counts_until: counting.get(&kept.id).copied(),
    };
    Ok(live.iter().map(one).collect())
}
