//! Connections that this agent itself makes to servers of its host, so that nobody takes them for a stranger's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use watchward_protocol::access::AccessEvent;

/// How long after a connection its lines may still be read: a log is read with some delay.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The agent's own connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Own(Arc<Mutex<HashMap<SocketAddr, Instant>>>);

impl Own {
    /// A connection is about to be made from this address and port.
    pub fn expect(&self, from: SocketAddr) {
        let now = Instant::now();
        let mut all = self.all();
        all.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        all.insert(from, now);
    }

    /// What came of a connection of the agent's own is told like all else, but is nobody's try.
    pub(crate) fn mark(&self, event: &mut AccessEvent) {
        let Some(from) = event.peer.and_then(|peer| Some((peer.address, peer.port?))) else {
            return;
        };
        if event.attempt && self.all().contains_key(&from.into()) {
            event.attempt = false;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
