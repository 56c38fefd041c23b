//! Has sshd show what is ordered of itself, once it was seen to do so in protocol.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep};
use watchward_daemon::clock;
use watchward_enforcer::keys::{Digest, HostCertificate, Request, Shown};
use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::instruments::{self, Told};

use super::control::{Bounds, PAUSE, TRIES};
use super::list::List;
use super::{Room, TRIAL};
use crate::spool::Ended;

/// Says whether sshd shows one of these certificates for each kind that they are of; why not.
pub type Presents = Arc<dyn Fn(Vec<Vec<u8>>) -> Seeing + Send + Sync>;

/// An answer to come.
type Seeing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What came to nothing.
pub(super) struct Hidden {
    order: Option<Digest>,
    why: String,
    /// When it is tried again.
    until: Instant,
}

impl Room {
    /// Tells why sshd does not show what it should, if that is news.
    pub(super) async fn tell_unshown(&mut self, unshown: Option<String>) -> Result<(), Ended> {
        if self.unshown == unshown {
            return Ok(());
        }
        if let Some(trouble) = &unshown {
            tracing::warn!(trouble, "sshd does not show of itself what it should");
        }
        self.unshown.clone_from(&unshown);
        let told = self.told.take().unwrap_or_default();
        let holding = instruments::Holding {
            at: clock::now(),
            unshown,
            ..told
        };
        self.told = Some(holding.clone());
        self.keep(Told::Holding(holding)).await
    }

    /// Has all of it shown, and nothing else; says why it is not.
    pub(super) async fn show(&mut self, ordered: &HostKeys) -> Option<String> {
        let wanted = shown(ordered);
        let order = wanted.digest();
        let held = match self.role.hello().await {
            Ok(held) => held,
            Err(why) => {
                let nobody = instruments::Holding::NOBODY;
                return order.map(|_| format!("{nobody} what to show of itself: {why}"));
            }
        };
        if held.shown == order && held.trial.is_none() {
            self.hidden = None;
            return Some(held.unshown).filter(|it| !it.is_empty());
        }
        let known = self.hidden.as_ref().filter(|it| it.order == order);
        if let Some(known) = known.filter(|it| Instant::now() < it.until) {
            return Some(known.why.clone());
        }
        if !held.trouble.is_empty() {
            return Some(held.trouble);
        }
        let generation = held.force.map_or(0, |it| it.generation);
        let seconds = TRIAL.min(held.longest_trial);
        match self.attempt_shown(wanted, generation, seconds).await {
            Ok(()) => {
                self.hidden = None;
                tracing::info!(
                    certificates = ordered.certificates.len(),
                    "sshd shows what it should"
                );
                let now = self.role.hello().await.ok();
                now.map(|it| it.unshown).filter(|it| !it.is_empty())
            }
            Err(why) => {
                let until = Instant::now() + self.again();
                self.hidden = Some(Hidden {
                    order,
                    why: why.clone(),
                    until,
                });
                Some(why)
            }
        }
    }

    async fn attempt_shown(
        &mut self,
        wanted: Shown,
        generation: u64,
        seconds: u32,
    ) -> Result<(), String> {
        let nothing = List::default();
        let before = self.controls.ask(&nothing).await?;
        let certificates = wanted.certificates.iter().map(|it| it.wire.clone());
        let certificates: Vec<_> = certificates.collect();
        let shown = wanted;
        self.role.done(Request::Show { shown, seconds }).await?;
        // Beware: what opened before has to open still, and by a host key that is known.
        let bounds = Bounds { may_close: true };
        let mut seen = self.controls.compare(before, &nothing, bounds).await;
        let held = self.role.hello().await?;
        if seen.is_ok() && held.unshown.is_empty() {
            seen = self.see(certificates).await;
        }
        match seen {
            Ok(()) => self.role.done(Request::Confirm { generation }).await,
            Err(why) => {
                let back = self.role.done(Request::Back).await;
                let why = format!("sshd shows what it did before, for with this {why}");
                back.and(Err(why))
            }
        }
    }

    /// An sshd that reads its configuration again does not answer for a moment.
    async fn see(&self, certificates: Vec<Vec<u8>>) -> Result<(), String> {
        let mut seen = Ok(());
        for _ in 0..TRIES {
            seen = (self.presents)(certificates.clone()).await;
            if seen.is_ok() {
                break;
            }
            sleep(PAUSE).await;
        }
        seen
    }
}

/// What is ordered, as the role takes it.
fn shown(ordered: &HostKeys) -> Shown {
    let certificates = ordered.certificates.iter().cloned();
    Shown {
        certificates: certificates.map(|wire| HostCertificate { wire }).collect(),
        serials: ordered.serials.clone(),
        own: ordered.own,
    }
}
