//! What routes and silences look at in an incident: its room, severity, host and key. Pure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Severity;

/// Whose concern an incident is: the part of its key before the first dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Room {
    /// Who gets in, and who tries to.
    Access,
    /// The collector's own affairs.
    Collector,
    /// What is down.
    Health,
    /// Which hosts are silent.
    Hosts,
    /// What opens accounts.
    Keys,
    /// From where somebody may come.
    Restriction,
}

impl Room {
    const ALL: [Self; 6] = [
        Self::Access,
        Self::Collector,
        Self::Health,
        Self::Hosts,
        Self::Keys,
        Self::Restriction,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Collector => "collector",
            Self::Health => "health",
            Self::Hosts => "hosts",
            Self::Keys => "keys",
            Self::Restriction => "restriction",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|room| room.name() == name)
    }

    /// Whether it may be about somebody who got in, or could.
    pub(super) const fn is_security(self) -> bool {
        matches!(self, Self::Access | Self::Keys | Self::Restriction)
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) key: &'a str,
    pub(super) room: Option<Room>,
    pub(super) severity: Severity,
    /// The host's name, if it is about one host.
    pub(super) host: Option<&'a str>,
}

impl<'a> About<'a> {
    pub(super) fn new(key: &'a str, severity: Severity, host: Option<&'a str>) -> Self {
        let room = key.split('.').next().and_then(Room::named);
        Self {
            key,
            room,
            severity,
            host,
        }
    }
}

/// Knows which hosts belong to a group.
#[derive(Clone)]
pub struct Groups(Arc<Has>);

/// Whether a group, by its name, has a host, by its name.
type Has = dyn Fn(&str, &str) -> bool + Send + Sync;

impl Groups {
    /// Asks `has` whether a group has a host; it is asked anew each time.
    pub fn new(has: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has))
    }

    pub(super) fn have(&self, group: &str, host: Option<&str>) -> bool {
        host.is_some_and(|host| (self.0)(group, host))
    }
}

impl Default for Groups {
    /// No group has any host.
    fn default() -> Self {
        Self::new(|_, _| false)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Groups")
    }
}
