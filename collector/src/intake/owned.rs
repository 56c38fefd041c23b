//! Which keys each host is to have of its own, and what its sshd is to show.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::identities::Identities;
use watchward_protocol::order::Order;

/// Which keys each host is to have of its own, by its name. A host that is not in it hears nothing, and
/// what it has stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owned(BTreeMap<String, Arc<Identities>>);

impl Owned {
    /// These.
    pub fn new(each: BTreeMap<String, Identities>) -> Self {
        let each = each.into_iter();
        Self(each.map(|(host, it)| (host, Arc::new(it))).collect())
    }

    /// What a host of this name is told.
    pub(super) fn order(&self, host: &str) -> Option<Order> {
        self.0.get(host).cloned().map(Order::Identities)
    }
}

/// What each host's sshd is to show of itself, by its name. A host that is not in it hears nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(BTreeMap<String, Arc<HostKeys>>);

impl Shown {
    /// These.
    pub fn new(each: BTreeMap<String, HostKeys>) -> Self {
        let each = each.into_iter();
        Self(each.map(|(host, it)| (host, Arc::new(it))).collect())
    }

    /// What a host of this name shows.
    pub fn of(&self, host: &str) -> Option<Arc<HostKeys>> {
        self.0.get(host).cloned()
    }

    /// What it is told.
    pub(super) fn order(&self, host: &str) -> Option<Order> {
        self.of(host).map(Order::HostKeys)
    }
}
