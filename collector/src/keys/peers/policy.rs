//! The table `[[keys.peers]]`: whose peers of WireGuard are whose.

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::peers::{NoKey, PeerKey};

use crate::keys::Policy;
use crate::keys::guarded::Name;
use crate::keys::policy::Person;
use crate::policy::{Groups, Members};

/// The table `[[keys.peers]]`: a peer of WireGuard that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    /// Its public key, as `wg show` has it.
    pub key: Key,
    /// Whose it is: `watchward revoke` takes it away with all that is theirs.
    pub person: Option<Person>,
    /// What it is, where it is nobody's: `branch office`.
    pub name: Option<Name>,
    /// On the hosts of which groups it may stand; without it, on all.
    pub groups: Option<Members>,
}

/// A public key of WireGuard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(pub(in crate::keys) PeerKey);

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        text.parse().map(Self)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.to_string()
    }
}

impl Peering {
    /// Looks up the groups that are named.
    pub(in crate::keys) fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        match &mut self.groups {
            Some(members) => members.join(groups),
            None => Ok(()),
        }
    }

    /// What people call it.
    pub(in crate::keys) fn called(&self) -> String {
        let person = self.person.clone().map(String::from);
        let name = || self.name.clone().map(String::from);
        person.or_else(name).unwrap_or_default()
    }

    /// Whether it may stand there.
    pub(in crate::keys) fn may_stand(&self, host: &str) -> bool {
        self.groups.as_ref().is_none_or(|groups| groups.has(host))
    }
}

impl Policy {
    /// What the policy says of a peer.
    pub(in crate::keys) fn peering(&self, peer: &str) -> Option<&Peering> {
        let peer: PeerKey = peer.parse().ok()?;
        self.peers.iter().find(|one| one.key.0 == peer)
    }

    /// The peers of this person.
    pub(in crate::keys) fn peers_of(&self, person: &str) -> Vec<PeerKey> {
        let is = |one: &&Peering| {
            one.person
                .clone()
                .is_some_and(|it| String::from(it) == person)
        };
        let own = self.peers.iter().filter(is);
        own.map(|one| one.key.0).collect()
    }
}
