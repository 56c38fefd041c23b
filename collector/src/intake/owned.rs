//! Which keys each host is to have of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

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
