//! Who may reach this host from where: what was ordered is held by the enforcer, who attacks is shut out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_enforcer as said;
use watchward_protocol::restriction::Banned;
use watchward_protocol::time::Timestamp;

use crate::findings::Findings;
use crate::spool::Keeper;
use crate::uplink::{Ordered, Redial};
use crate::witness::Witness;

mod act;
mod addresses;
mod ban;
mod config;
mod confirmed;
mod enforcer;
mod gates;
mod hold;
mod holding;
mod listeners;
mod memory;
mod orders;
mod probes;
mod recent;
mod teller;
mod watcher;

pub use config::{Config, Factor, OutOfRange, Tries};
use enforcer::{Hand, Word};
use holding::Holding;
use memory::Memory;
use teller::Teller;
use watcher::Watcher;

/// How often it is asked what holds, whatever is heard.
const LOOK: Duration = Duration::from_secs(60);
/// How often it is looked at what can be told.
const GLANCE: Duration = Duration::from_secs(1);
/// How often it is asked whom gates turned away.
const COUNT: Duration = Duration::from_secs(20);
/// So long after the enforcer was seen last, nobody is judged any more.
const ABSENT: Duration = Duration::from_secs(60);

/// The room, before it runs.
#[derive(Debug)]
pub struct Gatekeeper {
    config: Live<Config>,
    watcher: Arc<Watcher>,
    memory: Memory,
    standing: (confirmed::Keeper, gates::Standing),
    hand: Hand,
    words: mpsc::UnboundedReceiver<Word>,
}

impl Gatekeeper {
    /// A gatekeeper who looks for the enforcer from now on, and keeps in this folder whom this host
    /// shut out by itself, and which gates held.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn new(config: Live<Config>, folder: &Path) -> anyhow::Result<Self> {
        let (sender, words) = mpsc::unbounded_channel();
        let hand = Hand::start(&config.now().socket, sender.clone())?;
        let longest = config.now().longest.duration();
        let (former, memory) = Memory::open(folder, longest, clock::now())?;
        let watcher = Watcher::new(config.clone(), former, hand.clone(), sender);
        Ok(Self {
            config,
            watcher: Arc::new(watcher),
            memory,
            standing: confirmed::Keeper::open(folder),
            hand,
            words,
        })
    }

    /// Who is to see what happens before it is kept.
    pub fn witness(&self) -> Witness {
        Witness::new(self.watcher.clone())
    }

    /// Holds what is ordered until asked to stop.
    ///
    /// # Errors
    /// The spool has ended.
    pub async fn run(
        self,
        ordered: Ordered,
        redial: Redial,
        (keeper, findings): (Keeper, Findings),
        stop: Stop,
    ) -> anyhow::Result<()> {
        let (teller, told) = Teller::new(findings);
        let listening = listeners::watch(teller.reports());
        let probing = probes::run(ordered.probes.clone(), keeper.clone(), stop.clone());
        let (confirmed, standing) = self.standing;
        let room = Room {
            config: self.config,
            ordered,
            watcher: self.watcher,
            memory: self.memory,
            hand: self.hand,
            words: self.words,
            redial,
            proof: None,
            holding: Holding::new(),
            standing,
            confirmed,
            hello: None,
            gone: None,
            awaited: HashMap::new(),
            vouched: HashMap::new(),
            teller,
        };
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = room.run() => Ok(()),
            () = listening => Ok(()),
            ended = probing => ended,
            ended = teller::keep(told, keeper) => Ok(ended?),
        }
    }
}

/// Somebody who came in by key.
#[derive(Clone, Copy, Debug)]
struct Vouched {
    until: Timestamp,
    /// Whether the enforcer knows.
    said: bool,
}

/// The room as it runs.
struct Room {
    config: Live<Config>,
    ordered: Ordered,
    watcher: Arc<Watcher>,
    memory: Memory,
    hand: Hand,
    words: mpsc::UnboundedReceiver<Word>,
    redial: Redial,
    /// Comes true when the collector was reached anew.
    proof: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    holding: Holding,
    standing: gates::Standing,
    confirmed: confirmed::Keeper,
    /// What the enforcer said last that it holds.
    hello: Option<said::Holding>,
    /// Since when there is none.
    gone: Option<Instant>,
    /// Who was decided to be shut out, and is not yet; from where it was tried last.
    awaited: HashMap<IpNet, (Banned, IpAddr)>,
    vouched: HashMap<IpAddr, Vouched>,
    teller: Teller,
}

impl Room {
    async fn run(mut self) {
        let mut glances = interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counts = interval(COUNT);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(word) = self.words.recv() => self.hear(word).await,
                () = changed(&mut self.ordered.bans) => self.order_bans(),
                () = changed(&mut self.ordered.gates) => self.hold_gates().await,
                proven = proven(&mut self.proof) => self.confirm(proven).await,
                _ = counts.tick() => self.count().await,
                _ = looks.tick() => self.look().await,
                _ = glances.tick() => self.glance(),
            }
            let notes = self.watcher.judge().notes();
            self.memory.note(notes);
            self.confirmed.keep(&self.standing);
        }
    }

    /// Tells what has changed, and sees whether the enforcer is still away.
    fn glance(&mut self) {
        if self.gone.is_some_and(|gone| gone.elapsed() >= ABSENT) {
            self.watcher.arm(false);
        }
        let state = self.hello.as_ref();
        if self.gone.is_some() || state.is_some() {
            let (bans, vetoed) = (self.holding.bans(), self.holding.vetoed());
            self.teller
                .holding(state, &self.standing, (bans, vetoed), clock::now());
        }
    }
}

/// Waits until something else is ordered; for ever, if nobody can order any more.
async fn changed<T>(ordered: &mut watch::Receiver<T>) {
    if ordered.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Waits for a proof, if one is asked for.
async fn proven(proof: &mut Option<Pin<Box<dyn Future<Output = bool> + Send>>>) -> bool {
    let Some(asked) = proof else {
        return std::future::pending().await;
    };
    let proven = asked.await;
    *proof = None;
    proven
}

#[cfg(test)]
mod tests;
