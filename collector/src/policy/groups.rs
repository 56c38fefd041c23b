//! The table `[groups]`: which hosts a group has, by their names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};

use super::members::HostSet;
use super::pattern::Pattern;

/// The group that every host is in.
const ALL: &str = "all";

/// The table `[groups]`: each a list of hosts' names. Every host is in the group `all` besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<Defined, Vec<Pattern>>",
    into = "BTreeMap<Name, Vec<Pattern>>"
)]
pub struct Groups {
    said: BTreeMap<Name, Vec<Pattern>>,
    sets: BTreeMap<Name, Arc<HostSet>>,
}

/// The name of a group: letters, digits, `-`, `_`, `.`; at most 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// The name of a group where it is defined.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Name")]
struct Defined(Name);

impl Groups {
    /// The hosts of a group that is named somewhere.
    ///
    /// # Errors
    /// There is no such group.
    pub fn find(&self, name: &Spanned<Name>) -> Result<Arc<HostSet>, Misplaced> {
        let found = self.sets.get(name.get_ref());
        found.cloned().ok_or_else(|| {
            let known: Vec<_> = self.sets.keys().map(Name::as_str).collect();
            let (word, known) = (name.get_ref(), known.join(", "));
            let mut hosts = self.said.keys().filter_map(|group| self.sets.get_key_value(group));
            let with = hosts.find(|(_, hosts)| hosts.has(word.as_str()));
            let message = match with {
                Some((group, _)) => format!(
                    "\"{word}\" is a host's name, in the group \"{group}\"; only groups are named here: \
                     to name it alone, give it a group of its own under [groups]"
                ),
                None => format!(
                    "there is no group \"{word}\"; [groups] has: {known} (a host's name would be none: \
                     it stands there in a group)"
                ),
            };
            Misplaced::at(name, message)
        })
    }

    /// The names of all groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(Name::as_str)
    }

    /// Whether there is a group of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.sets.keys().any(|known| known.as_str() == name)
    }

    /// The groups that a host of this name is in.
    pub fn of(&self, host: &str) -> impl Iterator<Item = &Name> {
        let with = self.sets.iter().filter(move |(_, set)| set.has(host));
        with.map(|(name, _)| name)
    }
}

impl Default for Groups {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

impl From<BTreeMap<Defined, Vec<Pattern>>> for Groups {
    fn from(defined: BTreeMap<Defined, Vec<Pattern>>) -> Self {
        let said: BTreeMap<_, _> = defined
            .into_iter()
            .map(|(Defined(name), hosts)| (name, hosts))
            .collect();
        let mut sets: BTreeMap<_, _> = said
            .iter()
            .map(|(name, hosts)| (name.clone(), Arc::new(HostSet::of(hosts))))
            .collect();
        sets.insert(Name(ALL.to_owned()), Arc::new(HostSet::All));
        Self { said, sets }
    }
}

impl From<Groups> for BTreeMap<Name, Vec<Pattern>> {
    fn from(groups: Groups) -> Self {
        groups.said
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a group.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no name: a group's is 1 to 64 letters, digits, \"-\", \"_\" or \".\"; hosts' names, also \
     with \"*\", stand in groups, under [groups]"
)]
pub struct NotAName(String);

impl TryFrom<String> for Name {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        if fits {
            Ok(Self(text))
        } else {
            Err(NotAName(text))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Name> for Defined {
    type Error = &'static str;

    fn try_from(name: Name) -> Result<Self, Self::Error> {
        if name.as_str() == ALL {
            return Err("every host is in the group \"all\" as it is; give this one another name");
        }
        Ok(Self(name))
    }
}
