//! What each host is to try of others.

use std::collections::HashMap;
use std::sync::Arc;

use watchward_protocol::hosts::HostId;
use watchward_protocol::restriction::Probes;
use watchward_protocol::span::Span;

/// What each host is to try of others; a host that is not in it, nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errands {
    each: HashMap<HostId, Arc<Probes>>,
    none: Arc<Probes>,
}

impl Errands {
    /// These.
    pub fn new(each: HashMap<HostId, Arc<Probes>>) -> Self {
        let none = Probes {
            every: Span::days(1),
            probes: Vec::new(),
        };
        Self {
            each,
            none: Arc::new(none),
        }
    }

    /// What a host is to try.
    pub fn of(&self, host: HostId) -> Arc<Probes> {
        self.each.get(&host).unwrap_or(&self.none).clone()
    }
}

impl Default for Errands {
    fn default() -> Self {
        Self::new(HashMap::new())
    }
}
