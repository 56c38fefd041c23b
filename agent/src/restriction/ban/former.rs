//! The bans of this host's own: those that stand, and those that are remembered. Pure.

use std::collections::HashMap;
use std::time::Duration;

use ipnet::IpNet;
use watchward_protocol::time::Timestamp;

/// How many bans are remembered.
pub(in crate::restriction) const MOST: usize = 131_072;
/// How often it is looked which can be forgotten, while there is no room for more.
const PRUNE: Duration = Duration::from_secs(60);

/// A ban that stands, or stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::restriction) struct Former {
    /// The how manieth of the same.
    pub(in crate::restriction) times: u32,
    pub(in crate::restriction) since: Timestamp,
    pub(in crate::restriction) until: Timestamp,
}

/// What a ban is now; none: it is as if it had never been.
pub(in crate::restriction) type Note = (IpNet, Option<Former>);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Formers {
    bans: HashMap<IpNet, Former>,
    /// What changed, for whoever keeps it.
    notes: Vec<Note>,
    pruned: Timestamp,
}

impl Formers {
    /// With what is known of an earlier run.
    pub(super) fn recalled(bans: HashMap<IpNet, Former>) -> Self {
        Self {
            bans,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, net: &IpNet) -> Option<&Former> {
        self.bans.get(net)
    }

    /// Those that stand.
    pub(super) fn standing(&self, now: Timestamp) -> impl Iterator<Item = (IpNet, Timestamp)> {
        let standing = self.bans.iter().filter(move |(_, ban)| ban.until > now);
        standing.map(|(net, ban)| (*net, ban.until))
    }

    /// Remembers a ban, as long as there is room.
    pub(super) fn put(&mut self, net: IpNet, ban: Former, longest: Duration) {
        self.make_room(longest, ban.since);
        if self.bans.len() < MOST || self.bans.contains_key(&net) {
            self.set(net, ban);
        }
    }

    /// Has a ban end by then.
    pub(super) fn end(&mut self, net: IpNet, by: Timestamp) {
        if let Some(ban) = self.bans.get(&net).filter(|ban| ban.until > by) {
            self.set(net, Former { until: by, ..*ban });
        }
    }

    pub(super) fn take(&mut self, net: &IpNet) -> Option<Former> {
        let taken = self.bans.remove(net)?;
        self.notes.push((*net, None));
        Some(taken)
    }

    /// What changed since this was asked last.
    pub(super) fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn set(&mut self, net: IpNet, ban: Former) {
        self.notes.push((net, Some(ban)));
        self.bans.insert(net, ban);
    }

    /// What is forgotten here, whoever keeps notes forgets by itself.
    fn make_room(&mut self, longest: Duration, now: Timestamp) {
        if self.bans.len() < MOST || now.since(self.pruned) < PRUNE {
            return;
        }
        self.pruned = now;
        self.bans.retain(|_, ban| now.since(ban.until) <= longest);
        if self.bans.len() >= MOST {
            self.bans.retain(|_, ban| ban.until > now);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }
}
