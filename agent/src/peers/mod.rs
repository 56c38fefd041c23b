//! Peers of WireGuard: tells who may come and who comes, and has those taken away that are revoked.

mod dump;
mod look;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use watchward_daemon::clock;
use watchward_daemon::tasks::Stop;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::peers::{Peer, PeerKey, Peers, Taken};
use watchward_protocol::record::Report;
use watchward_protocol::time::Timestamp;

use crate::spool::{Entry, Keeper, Position};
use look::Seen;
use sessions::Sessions;

/// How often it is looked who stands. One that is put back can be used for so long.
const LOOK: Duration = Duration::from_secs(5);

/// How often it is told again where nothing changed but how much came through.
const AGAIN: Duration = Duration::from_secs(600);

/// By what the spool knows who was there.
const SOURCE: &str = "wireguard";

/// What this room needs of others.
pub struct Means {
    /// Where the enforcer listens.
    pub enforcer: PathBuf,
    /// What is revoked.
    pub ordered: watch::Receiver<Option<Arc<Instruments>>>,
    /// Whether it is told who comes.
    pub watched: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Who was there when this was kept last.
    pub known: Option<Vec<u8>>,
    /// Where it is told.
    pub keeper: Keeper,
}

/// Who was there when it was kept last, of how far all sources have read.
pub fn known(positions: &HashMap<String, Vec<u8>>) -> Option<Vec<u8>> {
    positions.get(SOURCE).cloned()
}

/// Looks and tells until asked to stop.
///
/// # Errors
/// The spool has ended.
pub async fn run(means: Means, stop: Stop) -> anyhow::Result<()> {
    let Means {
        enforcer,
        mut ordered,
        watched,
        known,
        keeper,
    } = means;
    let mut watch = Watch {
        sessions: known.map(|bytes| Sessions::of(&bytes)).unwrap_or_default(),
        told: None,
    };
    loop {
        let order = ordered.borrow_and_update().clone();
        let (enforcer, revoked) = (enforcer.clone(), order.clone());
        let looking = move || {
            let revoked = revoked.as_ref().map_or(&[][..], |order| &order.peers);
            look::look(&enforcer, revoked)
        };
        let seen = tokio::task::spawn_blocking(looking).await?;
        let now = clock::now();
        for entry in watch.hear(seen, (order.as_deref(), watched()), now) {
            keeper.keep(entry).await?;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Ok(()) = ordered.changed() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// What was seen and told until now.
#[derive(Debug, Default)]
struct Watch {
    sessions: Sessions,
    /// What was told last, and with which of them revoked.
    told: Option<(Peers, Vec<PeerKey>)>,
}

impl Watch {
    /// What is to be told of a look.
    fn hear(
        &mut self,
        seen: Seen,
        (order, watched): (Option<&Instruments>, bool),
        now: Timestamp,
    ) -> Vec<Entry> {
        let mut entries = Vec::new();
        if seen.trouble.is_none() {
            entries.extend(self.came(&seen.peers, watched, now));
        }
        let revoked = order.map(|order| order.peers.clone()).unwrap_or_default();
        let told = whole(seen, order, now);
        if self.is_news(&told, &revoked) {
            entries.push(Entry {
                reports: vec![Report::Peers(told.clone())],
                position: None,
            });
            self.told = Some((told, revoked));
        }
        entries
    }

    /// Who came and went.
    fn came(&mut self, peers: &[Peer], watched: bool, now: Timestamp) -> Option<Entry> {
        let events = self.sessions.follow(peers, now);
        (watched && !events.is_empty()).then(|| Entry {
            reports: events.into_iter().map(Report::Access).collect(),
            position: Some(Position {
                source: SOURCE.to_owned(),
                bytes: self.sessions.bytes(),
            }),
        })
    }

    fn is_news(&self, now: &Peers, revoked: &[PeerKey]) -> bool {
        let Some((before, revoked_before)) = &self.told else {
            return true;
        };
        let is_other = still(now) != still(before) || revoked != revoked_before;
        let is_old = now.at.since(before.at) >= AGAIN;
        is_other || !now.taken.is_empty() || is_old && now.peers != before.peers
    }
}

/// What of it changes only when somebody does something.
fn still(told: &Peers) -> (Vec<Peer>, u32, &Option<String>) {
    let one = |peer: &Peer| Peer {
        endpoint: None,
        proved_at: None,
        received: 0,
        sent: 0,
        ..peer.clone()
    };
    let peers = told.peers.iter().map(one).collect();
    (peers, told.omitted, &told.trouble)
}

fn whole(seen: Seen, order: Option<&Instruments>, now: Timestamp) -> Peers {
    let Seen {
        mut peers,
        taken,
        trouble,
    } = seen;
    // Those first that are revoked and stand: what is left out never hides one of them.
    peers.sort_by_cached_key(|one| (one.kept.is_none(), one.interface.clone(), one.key));
    let omitted = peers.len().saturating_sub(Peers::MOST);
    peers.truncate(Peers::MOST);
    let one = |(interface, key)| Taken {
        at: now,
        interface,
        key,
    };
    Peers {
        at: now,
        peers,
        omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
        generation: order
            .map(|order| order.generation)
            .filter(|_| trouble.is_none()),
        taken: taken.into_iter().map(one).take(Peers::MOST).collect(),
        trouble,
    }
}
