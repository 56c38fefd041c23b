//! What sshd on every host is to refuse, and which host was told of it when.

use std::sync::Arc;

use tokio::sync::mpsc;
use watchward_daemon::config::Live;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::order::Order;
use watchward_protocol::time::Timestamp;

use super::Host;

/// What sshd on every host is to refuse; nothing is ordered of it where nothing was ever revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refuse(Option<Arc<Instruments>>);

impl Refuse {
    /// This.
    pub fn new(instruments: Option<Instruments>) -> Self {
        Self(instruments.map(Arc::new))
    }

    /// Its generation; 0 where nothing is ordered.
    pub fn generation(&self) -> u64 {
        self.0.as_ref().map_or(0, |it| it.generation)
    }

    /// What a host is told.
    pub(super) fn order(&self) -> Option<Order> {
        self.0.clone().map(Order::Instruments)
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
