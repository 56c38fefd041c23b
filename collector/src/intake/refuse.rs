//! What sshd on every host is told about keys, and which host was told of it when.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use watchward_daemon::config::Live;
use watchward_protocol::instruments::{Instruments, Managed};
use watchward_protocol::order::Order;
use watchward_protocol::time::Timestamp;

use super::Host;

/// What sshd on every host is to refuse, and which lines of ours open accounts on which; nothing is
/// ordered of it where nothing was ever revoked, nor any line held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refuse {
    all: Option<Arc<Instruments>>,
    /// By the hosts' names; a host that is not in it has none.
    managed: HashMap<String, Vec<Managed>>,
}

impl Refuse {
    /// This everywhere, and these lines on these hosts.
    pub fn new(all: Option<Instruments>, managed: HashMap<String, Vec<Managed>>) -> Self {
        let all = all.map(Arc::new);
        Self { all, managed }
    }

    /// Its generation; 0 where nothing is ordered.
    pub fn generation(&self) -> u64 {
        self.all.as_ref().map_or(0, |it| it.generation)
    }

    /// What a host of this name is told.
    pub fn order(&self, host: &str) -> Option<Order> {
        let all = self.all.as_ref()?;
        let order = match self.managed.get(host) {
            None => Arc::clone(all),
            Some(lines) => {
                let mut own = (**all).clone();
                own.managed.clone_from(lines);
                Arc::new(own)
            }
        };
        Some(Order::Instruments(order))
    }
}

/// The same as it changes, and who hears what was said of it.
#[derive(Clone, Debug)]
pub struct Refusing {
    /// What every host is to refuse.
    pub refuse: Live<Refuse>,
    /// Hears which host was told.
    pub told: mpsc::Sender<Said>,
}

/// That a host was told of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which.
    pub host: Host,
    /// Of which.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
}
