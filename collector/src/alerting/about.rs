//! What routes and silences look at in an incident: its room, severity, host and key. Pure.

use serde::{Deserialize, Serialize};

use super::{Severity, kinds};
use crate::policy::Groups;

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
    pub(super) const ALL: [Self; 6] = [
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
        Self {
            key,
            room: kinds::room(key),
            severity,
            host,
        }
    }
}

/// Whether the host that an incident is about is in the group of this name.
pub(super) fn is_in(groups: &Groups, group: &str, host: Option<&str>) -> bool {
    host.is_some_and(|host| groups.of(host).any(|name| name.as_str() == group))
}
