//! The table `[[keys.peers]]`: whose peers of WireGuard are whose, and how old their keys may become.

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};
use watchward_protocol::peers::{NoKey, Peer, PeerKey};
use watchward_protocol::span::Span;

use crate::keys::Policy;
use crate::keys::guarded::Name;
use crate::keys::policy::Person;
use crate::keys::rotation::Missed;
use crate::policy::{Groups, Members};

/// The table `[[keys.peers]]`: a peer of WireGuard that is known, or how old keys of peers may become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peering {
    /// Its public key, as `wg show` has it; without it, the table says how old the keys of all become.
    pub key: Option<Key>,
    /// Whose it is: `watchward revoke` takes it away with all that is theirs.
    pub person: Option<Person>,
    /// What it is, where it is nobody's: `branch office`.
    pub name: Option<Name>,
    /// On the hosts of which groups it may stand; without it, on all.
    pub groups: Option<Members>,
    /// On which interfaces; without any, on all.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// How long a key may be used, from when it was first seen on a host; without it, for good.
    pub every: Option<Spanned<Span>>,
    /// How long before that people hear of it.
    #[serde(default = "week")]
    pub warn_ahead: Span,
    /// How long after that it may take until there is another.
    #[serde(default = "week")]
    pub deadline: Span,
    /// What happens when there is none by then.
    #[serde(default)]
    pub missed: Missed,
}

/// The name of an interface: at most 15 letters, digits and `.`, `-`, `_`, `=`, `+`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interface(String);

impl TryFrom<String> for Interface {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_=+.-".contains(&byte);
        let fits = (1..=Peer::LONGEST_INTERFACE).contains(&text.len());
        match fits && text.bytes().all(plain) {
            true => Ok(Self(text)),
            false => {
                Err("expected the name of an interface, such as \"wg0\": at most 15 characters")
            }
        }
    }
}

impl From<Interface> for String {
    fn from(interface: Interface) -> Self {
        interface.0
    }
}

fn week() -> Span {
    Span::days(7)
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
        if let Some(members) = &mut self.groups {
            members.join(groups)?;
        }
        let is_named = self.person.is_some() || self.name.is_some();
        match &self.every {
            Some(every) if self.warn_ahead >= *every.get_ref() => Err(Misplaced::at(
                every,
                "its warn_ahead must be shorter (\"7d\" unless said), or people hear of it all the time",
            )),
            Some(every) if self.key.is_none() && is_named => Err(Misplaced::at(
                every,
                "a table without a key is about every peer: it has no person and no name",
            )),
            None if self.key.is_none() => Err(Misplaced::at_key(
                &["keys", "peers"],
                "a table of these has neither a key nor every: it says nothing",
            )),
            Some(_) | None => Ok(()),
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

    /// Whether it may stand on this interface of this host.
    pub(in crate::keys) fn may_stand_on(&self, (host, interface): (&str, &str)) -> bool {
        let mut interfaces = self.interfaces.iter();
        let is_one = self.interfaces.is_empty() || interfaces.any(|it| it.0 == interface);
        is_one && self.may_stand(host)
    }
}

impl Policy {
    /// What the policy says of a peer.
    pub(in crate::keys) fn peering(&self, peer: &str) -> Option<&Peering> {
        let peer: PeerKey = peer.parse().ok()?;
        let mut peers = self.peers.iter();
        peers.find(|one| one.key.is_some_and(|key| key.0 == peer))
    }

    /// The table that says how old the key of a peer may become on this interface of this host, and how
    /// old; none: as old as it likes.
    pub(in crate::keys) fn term(
        &self,
        place: (&str, &str),
        peer: &str,
    ) -> Option<(&Peering, Span)> {
        let peer: PeerKey = peer.parse().ok()?;
        self.peers.iter().find_map(|one| {
            let every = *one.every.as_ref()?.get_ref();
            let is_its = one.key.is_none_or(|key| key.0 == peer);
            (is_its && one.may_stand_on(place)).then_some((one, every))
        })
    }

    /// The peers of this person.
    pub(in crate::keys) fn peers_of(&self, person: &str) -> Vec<PeerKey> {
        let is = |one: &&Peering| {
            one.person
                .clone()
                .is_some_and(|it| String::from(it) == person)
        };
        let own = self.peers.iter().filter(is);
        own.filter_map(|one| Some(one.key?.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Networks;

    const KEY: &str = "hs6kOFvVqRnrDGLTYBQPGl9tYbmoTxvXSFpIKzCwUVg=";

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default)]
        groups: Groups,
        keys: Policy,
    }

    fn read(text: &str) -> Result<Policy, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let read = watchward_daemon::config::read_whole::<Sample>(file.path(), |sample| {
            sample.keys.join(&sample.groups, &Networks::default())
        });
        read.map(|it| it.keys).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_table_that_fits_says_how_old_a_key_may_become() {
        let policy = read(&format!(
            "[groups]\nvpn = [\"hub-*\"]\n\
             [[keys.peers]]\nkey = \"{KEY}\"\nperson = \"ada\"\n\
             [[keys.peers]]\nkey = \"{KEY}\"\nevery = \"30d\"\ninterfaces = [\"wg1\"]\n\
             [[keys.peers]]\nevery = \"90d\"\ngroups = [\"vpn\"]\nmissed = \"revoke\"\n"
        ))
        .unwrap();
        let every = |place, key: &str| policy.term(place, key).map(|(_, every)| every);
        let other = KEY.replace("hs6", "aaa");
        assert_eq!(every(("web", "wg1"), KEY), Some(Span::days(30)));
        assert_eq!(every(("web", "wg0"), KEY), None);
        assert_eq!(every(("hub-1", "wg0"), KEY), Some(Span::days(90)));
        assert_eq!(every(("hub-1", "wg1"), &other), Some(Span::days(90)));
        assert_eq!(every(("web", "wg1"), &other), None);
        let (term, _) = policy.term(("hub-1", "wg0"), &other).unwrap();
        assert_eq!(
            (term.missed, term.deadline),
            (Missed::Revoke, Span::days(7))
        );
        assert_eq!(
            policy.peering(KEY).map(Peering::called),
            Some("ada".to_owned())
        );
        assert!(policy.peering(&other).is_none(), "nobody says whose it is");
    }

    #[test]
    fn what_makes_no_sense_is_shown_with_its_place() {
        for (table, line, expected) in [
            ("every = \"7d\"", "line 2", "warn_ahead must be shorter"),
            (
                "every = \"30d\"\nname = \"x\"",
                "line 2",
                "is about every peer",
            ),
            ("groups = [\"all\"]", "", "neither a key nor every"),
            (
                "every = \"30d\"\ninterfaces = [\"a b\"]",
                "line 3",
                "name of an interface",
            ),
            (
                "every = \"30d\"\nmissed = \"shrug\"",
                "line 3",
                "unknown variant",
            ),
            ("every = \"30d\"\ngroups = [\"moon\"]", "line 3", "no group"),
        ] {
            let error = read(&format!("[[keys.peers]]\n{table}\n")).unwrap_err();
            assert!(error.contains(line) && error.contains(expected), "{error}");
        }
    }
}
