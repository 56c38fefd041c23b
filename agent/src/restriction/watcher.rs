//! What the room sees of the access log, before it is kept: judged at once, and banned at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::mpsc::UnboundedSender;
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_protocol::record::Report;

use super::ban::{Former, Judge, Verdict, opens_by_key};
use super::config::Config;
use super::enforcer::{Hand, Word};
use super::holding::ban;
use crate::witness::Sees;

/// The judge, and its hand.
#[derive(Debug)]
pub(super) struct Watcher {
    config: Live<Config>,
    judge: Mutex<Judge>,
    hand: Hand,
    words: UnboundedSender<Word>,
    /// Whether there is anybody who could shut somebody out.
    armed: AtomicBool,
}

impl Watcher {
    /// One who knows what this host decided before.
    pub(super) fn new(
        config: Live<Config>,
        former: HashMap<IpNet, Former>,
        hand: Hand,
        words: UnboundedSender<Word>,
    ) -> Self {
        let armed = AtomicBool::new(config.now().socket.exists());
        Self {
            config,
            judge: Mutex::new(Judge::new(former)),
            hand,
            words,
            armed,
        }
    }

    /// Whether there is anybody who could shut somebody out.
    pub(super) fn arm(&self, armed: bool) {
        self.armed.store(armed, Ordering::Relaxed);
    }

    pub(super) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sees for Watcher {
    fn see(&self, report: &Report) {
        let Report::Access(event) = report else {
            return;
        };
        let armed = self.armed.load(Ordering::Relaxed);
        // Who came in by key is known also when an enforcer comes later.
        if !armed && !opens_by_key(event) {
            return;
        }
        let now = clock::now();
        let verdict = self.judge().see(event, &self.config.now(), now);
        let Some(verdict) = verdict else { return };
        // First, so that what became of it is heard after it. Nobody listens any more when the
        // program is ending.
        match verdict {
            Verdict::Ban(banned, from) => {
                let ban = ban(banned.net, banned.until, now);
                let _ = self.words.send(Word::Decided(banned, from));
                self.hand.ban(&[ban]);
            }
            Verdict::Vouch(address) => {
                let _ = self.words.send(Word::Vouched(address, event.at.min(now)));
            }
        }
    }

    fn is_eager(&self) -> bool {
        self.armed.load(Ordering::Relaxed) && self.config.now().bans
    }

    fn believes_text(&self) -> bool {
        self.is_eager() && self.config.now().trust_text
    }
}
