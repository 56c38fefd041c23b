//! Keys that are revoked: sshd is told to refuse them, and the sessions that they opened end. Keys that open accounts besides: sshd is told to take them.

mod control;
mod known;
mod list;
mod live;
mod open;
mod processes;
mod role;
mod shown;
mod survivors;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_enforcer::keys::{self as role_of, Request};
use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::instruments::{self, Instruments, Told};
use watchward_protocol::record::Report;

use super::watch::{Reached, Wanted, Watch};
use crate::findings::Findings;
use crate::logins::Logins;
use crate::spool::{Ended, Entry, Keeper};
use crate::uplink::Asked;
use control::{Bounds, Controls};
use list::List;
use role::Role;
use shown::Hidden;
pub use shown::Presents;
use sweep::Sweep;

/// How often it is looked whether all is as it should be, and whether somebody came in meanwhile.
const ROUND: Duration = Duration::from_secs(15);
/// Somebody may have been on the way in while the list changed: it is looked again soon after.
const SOON: Duration = Duration::from_secs(2);
const SOON_TIMES: u32 = 3;
/// What was refused is tried again after so long, or when sshd's configuration has changed.
const AGAIN: Duration = Duration::from_secs(60);
/// So soon, where somebody did not answer who may just be starting: who reads the keys, who tells sshd.
const AGAIN_SOON: Duration = Duration::from_secs(3);
/// How long a list is tried.
const TRIAL: u32 = 60;

/// What an order is put into effect by.
pub struct Means {
    /// Where the role listens that tells sshd.
    pub socket: PathBuf,
    /// Where is kept what has to be known after a restart.
    pub folder: PathBuf,
    /// Who asks sshd whether it takes a key.
    pub proof: mpsc::Sender<Asked>,
    /// Who sees what a session left behind.
    pub reader: mpsc::Sender<Asked>,
    /// Who knows which key opened a session.
    pub logins: Logins,
    /// Where it is said of how many sessions that is not known.
    pub findings: Findings,
    /// Where it is told.
    pub keeper: Keeper,
    /// Who sees which certificates sshd shows.
    pub presents: Presents,
}

/// What is ordered of sshd, as it changes.
#[derive(Debug)]
pub struct Ordered {
    /// What it is told of keys.
    pub instruments: watch::Receiver<Option<Arc<Instruments>>>,
    /// What it shows of itself.
    pub host_keys: watch::Receiver<Option<Arc<HostKeys>>>,
}

/// Has sshd refuse what is ordered, until asked to stop.
///
/// # Errors
/// The spool has ended.
pub async fn run(means: Means, mut ordered: Ordered, stop: Stop) -> anyhow::Result<()> {
    let mut room = Room {
        role: Role::new(means.socket),
        controls: Controls::new(means.proof, means.reader.clone(), &means.folder),
        sweep: Sweep::new(means.logins, means.reader, means.findings),
        keeper: means.keeper,
        presents: means.presents,
        told: None,
        unshown: None,
        hidden: None,
        failed: None,
        soon: 0,
        stale: false,
    };
    let watch = Watch::new()?;
    loop {
        cover(&watch).await;
        let order = ordered.instruments.borrow_and_update().clone();
        let shown = ordered.host_keys.borrow_and_update().clone();
        let pause = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            pass = room.pass((order.as_deref(), shown.as_deref()), &watch) => pass?,
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Ok(()) = ordered.host_keys.changed() => {}
            another = ordered.instruments.changed() => match another {
                // Said again after each connection: then what holds is told again.
                Ok(()) => (room.told, room.failed) = (None, None),
                Err(_) => return Ok(()),
            },
            _ = watch.changed() => {
                (room.failed, room.hidden, room.stale) = (None, None, true);
            },
            () = sleep(pause) => {}
        }
    }
}

/// Hears of whoever changes what sshd is told.
async fn cover(watch: &Watch) {
    let files = [
        "ssh/sshd_config",
        "ssh/watchward/now/revoked_keys",
        "passwd",
    ];
    let etc = PathBuf::from("/etc");
    let wanted = Wanted {
        files: files.iter().map(|name| etc.join(name)).collect(),
        folders: BTreeSet::from([etc.join("ssh/sshd_config.d")]),
    };
    let reached = Mutex::<Reached>::default();
    watch.reach(&wanted, &reached);
    let reached = std::mem::take(&mut *reached.lock().unwrap_or_else(|it| it.into_inner()));
    if let Some(obstacle) = watch.cover(reached).obstacle {
        tracing::debug!(obstacle, "what sshd is told is looked at now and then");
    }
}

struct Room {
    role: Role,
    controls: Controls,
    sweep: Sweep,
    keeper: Keeper,
    presents: Presents,
    /// What was told last, but for the time.
    told: Option<instruments::Holding>,
    failed: Option<Failed>,
    /// Why sshd does not show what it should, as it was told last.
    unshown: Option<String>,
    hidden: Option<Hidden>,
    /// How often it is looked again soon.
    soon: u32,
    /// Whether something changed since it was tried last: a line that was left out may be held now.
    stale: bool,
}

/// What came to nothing.
struct Failed {
    generation: u64,
    why: String,
    /// When it is tried again.
    until: Instant,
}

impl Room {
    /// Does what is missing, and says when to look again. What is revoked comes first.
    async fn pass(
        &mut self,
        (order, shown): (Option<&Instruments>, Option<&HostKeys>),
        watch: &Watch,
    ) -> Result<Duration, Ended> {
        let pause = match order {
            Some(order) => self.refuse(order, watch).await?,
            None => ROUND,
        };
        let Some(shown) = shown else {
            return Ok(pause);
        };
        let unshown = self.show(shown).await;
        // Its own changes are no news.
        let _own = watch.drain();
        self.tell_unshown(unshown).await?;
        Ok(pause)
    }

    /// Has sshd refuse and take what it should.
    async fn refuse(&mut self, order: &Instruments, watch: &Watch) -> Result<Duration, Ended> {
        let mut held = match self.role.hello().await {
            Ok(held) => held,
            Err(why) => {
                self.tell(order, &nobody(order, &why)).await?;
                return Ok(ROUND);
            }
        };
        if let Some(what) = held.meddled.take() {
            let trouble = format!("a third hand was there: {what}; it was put back");
            let told = role_of::Holding {
                trouble,
                ..held.clone()
            };
            self.tell(order, &told).await?;
        }
        // Nothing was ever ordered, and nothing is: sshd is not touched.
        if order.revoked.is_empty() && order.managed.is_empty() && held.force.is_none() {
            let nothing = role_of::Force {
                generation: order.generation,
                revoked: 0,
                digest: [0; 32],
            };
            held.force = Some(nothing);
            self.tell(order, &held).await?;
            return Ok(ROUND);
        }
        let mut list = List::of(order);
        list.spare(&held.spared);
        let again = std::mem::take(&mut self.stale) && !held.unopened.is_empty();
        if (again || !holds(order, &held)) && held.trouble.is_empty() && self.may_try(order) {
            let done = self.hold(order, &mut list, &held).await;
            self.failed = done.err();
            // Its own changes are no news.
            let _own = watch.drain();
            self.soon = SOON_TIMES;
            held = self.role.hello().await.unwrap_or(held);
            list.spare(&held.spared);
        }
        let failed = self.failed.as_ref().filter(|_| !holds(order, &held));
        if let Some(failed) = failed.filter(|_| held.trouble.is_empty()) {
            held.trouble.clone_from(&failed.why);
        }
        // Who hears that it holds hears with it of sessions of which nobody knows what opened them.
        if holds(order, &held) {
            self.sweep.look(&list).await;
        }
        self.tell(order, &held).await?;
        if !holds(order, &held) {
            let wait = |it: &Failed| it.until.saturating_duration_since(Instant::now());
            return Ok(self.failed.as_ref().map_or(ROUND, wait).min(ROUND));
        }
        for ended in self.sweep.end(&list, &mut self.role).await {
            self.keep(Told::Ended(ended)).await?;
        }
        self.soon = self.soon.saturating_sub(1);
        Ok(if self.soon > 0 { SOON } else { ROUND })
    }

    /// Whether this was not tried in vain just now.
    fn may_try(&self, order: &Instruments) -> bool {
        self.failed
            .as_ref()
            .is_none_or(|it| it.generation != order.generation || Instant::now() >= it.until)
    }

    /// Has the list hold, once sshd answers with it as it did before.
    async fn hold(
        &mut self,
        order: &Instruments,
        list: &mut List,
        held: &role_of::Holding,
    ) -> Result<(), Failed> {
        let generation = order.generation;
        let failed = |why: String, again: Duration| Failed {
            generation,
            why,
            until: Instant::now() + again,
        };
        // The guard may spare others now.
        list.spare(&[]);
        let before = self.controls.ask(list).await;
        let before = before.map_err(|why| failed(why, AGAIN_SOON))?;
        let tried = self
            .attempt(order, list, TRIAL.min(held.longest_trial))
            .await;
        tried.map_err(|why| failed(why, self.again()))?;
        let now = self.role.hello().await;
        let now = now.map_err(|why| failed(why, self.again()))?;
        list.spare(&now.spared);
        let bounds = Bounds {
            may_close: now.may_close,
        };
        let next = match self.controls.compare(before, list, bounds).await {
            Ok(()) => self.role.done(Request::Confirm { generation }).await,
            Err(why) => {
                let back = self.role.done(Request::Back).await;
                let why = format!("the list before holds again, for with this one {why}");
                back.and(Err(why))
            }
        };
        next.map_err(|why| failed(why, self.again()))?;
        let (revoked, managed) = (order.revoked.len(), order.managed.len());
        tracing::info!(revoked, managed, generation, "sshd is told of keys");
        Ok(())
    }

    /// When what the role did not do is tried again.
    pub(super) fn again(&self) -> Duration {
        if self.role.answers() {
            AGAIN
        } else {
            AGAIN_SOON
        }
    }

    async fn attempt(
        &mut self,
        order: &Instruments,
        list: &List,
        seconds: u32,
    ) -> Result<(), String> {
        for (part, first) in list.parts() {
            let revoked = part.to_vec();
            self.role.done(Request::Stage { first, revoked }).await?;
        }
        for part in list::lines(order) {
            self.role.done(Request::Open(part)).await?;
        }
        let attempt = Request::Try {
            generation: order.generation,
            seconds,
        };
        self.role.done(attempt).await
    }

    /// Tells what holds, if that is news. What is not in force was never held, or is none of ours.
    async fn tell(&mut self, order: &Instruments, held: &role_of::Holding) -> Result<(), Ended> {
        let said = |what: &String| Some(what.clone()).filter(|it| !it.is_empty());
        let holding = instruments::Holding {
            at: clock::now(),
            generation: held.force.map(|it| it.generation),
            revoked: held.force.map_or(0, |it| it.revoked),
            digest: held.force.map(|it| it.digest).filter(|it| *it != [0; 32]),
            trouble: said(&held.trouble).or(list::spared(&held.spared)),
            managed: held.opened,
            unmanaged: said(&held.unopened),
            unshown: self.unshown.clone(),
            lineages: order.lineages.clone(),
            kept: order.kept,
            unknown_sessions: self.sweep.unknown(),
        };
        let same = |told: &instruments::Holding| {
            let at = holding.at;
            instruments::Holding { at, ..told.clone() } == holding
        };
        if self.told.as_ref().is_some_and(same) {
            return Ok(());
        }
        if let Some(trouble) = holding.trouble.as_ref().or(holding.unmanaged.as_ref()) {
            tracing::warn!(
                trouble,
                "what sshd is told of keys does not hold as it should"
            );
        }
        self.told = Some(holding.clone());
        self.keep(Told::Holding(holding)).await
    }

    async fn keep(&self, told: Told) -> Result<(), Ended> {
        let entry = Entry {
            reports: vec![Report::Instruments(told)],
            position: None,
        };
        self.keeper.keep(entry).await
    }
}

/// What is told where nobody could tell sshd.
fn nobody(order: &Instruments, why: &str) -> role_of::Holding {
    let nobody = instruments::Holding::NOBODY;
    let said = |anything: bool, of: &str| match anything {
        true => format!("{nobody} {of}: {why}"),
        false => String::new(),
    };
    role_of::Holding {
        trouble: said(!order.revoked.is_empty(), "which keys are revoked"),
        unopened: said(!order.managed.is_empty(), "which keys open accounts"),
        ..role_of::Holding::default()
    }
}

/// Whether all that was ordered is in force, and the role knows what it is.
fn holds(order: &Instruments, held: &role_of::Holding) -> bool {
    let same = held
        .force
        .is_some_and(|it| it.generation == order.generation);
    same && held.known && held.trial.is_none()
}
