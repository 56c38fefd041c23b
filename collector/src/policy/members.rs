//! Whom a rule is for: groups as the file names them, and the hosts in them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};

use super::groups::{Groups, Name};
use super::pattern::Pattern;

/// The list `groups = ["web", "db"]` of a rule: at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Spanned<Name>>", into = "Vec<Name>")]
pub struct Members {
    groups: Vec<Spanned<Name>>,
    sets: Vec<Arc<HostSet>>,
}

impl Members {
    /// Looks the groups up; before that nobody is in them.
    ///
    /// # Errors
    /// There is no such group.
    pub fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        let sets = self.groups.iter().map(|name| groups.find(name));
        self.sets = sets.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Whether a host of this name is in any of the groups.
    pub fn has(&self, host: &str) -> bool {
        self.sets.iter().any(|set| set.has(host))
    }

    /// Whether some host could be in these and in those.
    pub fn meets(&self, others: &Self) -> bool {
        let mut sets = self.sets.iter();
        sets.any(|set| others.sets.iter().any(|other| set.meets(other)))
    }

    /// Whether no host could ever be in any of the groups.
    pub fn is_nobody(&self) -> bool {
        self.sets.iter().all(|set| set.is_empty())
    }

    /// What says that a rule for these groups makes no sense, with their place.
    pub fn misplaced(&self, message: impl Into<String>) -> Misplaced {
        match self.groups.first() {
            Some(first) => Misplaced::at(first, message),
            None => Misplaced::at_key(&["groups"], message),
        }
    }

    /// The groups, as the file names them.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.groups.iter().map(Spanned::get_ref)
    }
}

impl TryFrom<Vec<Spanned<Name>>> for Members {
    type Error = &'static str;

    fn try_from(groups: Vec<Spanned<Name>>) -> Result<Self, Self::Error> {
        if groups.is_empty() {
            return Err("expected at least one group; every host is in the group \"all\"");
        }
        Ok(Self {
            groups,
            sets: Vec::new(),
        })
    }
}

impl From<Members> for Vec<Name> {
    fn from(members: Members) -> Self {
        let names = members.groups.into_iter().map(Spanned::into_inner);
        names.collect()
    }
}

/// The hosts of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostSet {
    /// Every host.
    All,
    /// Those that are called so.
    Named {
        /// Whole names, in lower case.
        names: BTreeSet<String>,
        /// Names with `*`.
        patterns: Vec<Pattern>,
    },
}

impl HostSet {
    pub(super) fn of(hosts: &[Pattern]) -> Self {
        let names = hosts.iter().filter_map(Pattern::only);
        let patterns = hosts.iter().filter(|host| host.only().is_none());
        Self::Named {
            names: names.map(str::to_owned).collect(),
            patterns: patterns.cloned().collect(),
        }
    }

    /// Whether a host of this name is in the group.
    pub fn has(&self, host: &str) -> bool {
        let Self::Named { names, patterns } = self else {
            return true;
        };
        let host = match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(host.to_ascii_lowercase()),
            false => Cow::Borrowed(host),
        };
        names.contains(&*host) || patterns.iter().any(|pattern| pattern.matches(&host))
    }

    /// Whether there could be a host that is in both.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, set) | (set, Self::All) => !set.is_empty(),
            (
                Self::Named { names, patterns },
                Self::Named {
                    names: others,
                    patterns: other_patterns,
                },
            ) => {
                names.iter().any(|name| other.has(name))
                    || others.iter().any(|name| self.has(name))
                    || patterns
                        .iter()
                        .any(|one| other_patterns.iter().any(|other| one.meets(other)))
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Named { names, patterns } => names.is_empty() && patterns.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        groups: Groups,
        rule: Members,
    }

    fn read(text: &str) -> Result<Sample, watchward_daemon::config::Invalid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        watchward_daemon::config::read_whole::<Sample>(file.path(), |sample| {
            sample.rule.join(&sample.groups)
        })
    }

    #[test]
    fn a_rule_is_for_the_hosts_of_its_groups() {
        let sample = read(
            "rule = [\"web\", \"shop\"]\n[groups]\nweb = [\"web-*\"]\n\
             shop = [\"shop.example.org\"]\ndb = [\"*\"]\n",
        )
        .unwrap();
        for host in ["web-1", "WEB-2", "shop.example.org", "Shop.Example.org"] {
            assert!(sample.rule.has(host), "{host}");
        }
        for host in ["web", "db-1", "shop.example.org.example.net"] {
            assert!(!sample.rule.has(host), "{host}");
        }
        let groups: Vec<_> = sample.groups.of("web-1").map(Name::as_str).collect();
        assert_eq!(groups, ["all", "db", "web"]);
    }

    #[test]
    fn everybody_is_in_all() {
        let sample = read("rule = [\"all\"]\n[groups]\n").unwrap();
        assert!(sample.rule.has("anybody"));
    }

    #[test]
    fn what_makes_no_sense_is_shown_with_its_place() {
        for (text, line, marked, expected) in [
            (
                "rule = [\"all\", \"wbe\"]\n[groups]\nweb = []\n",
                "line 1, column 16",
                "^^^^^",
                "there is no group \"wbe\"; [groups] has: all, web",
            ),
            (
                "rule = []\n[groups]\n",
                "line 1, column 8",
                "^^",
                "at least one group",
            ),
            (
                "rule = [\"all\"]\n[groups]\nall = [\"web-1\"]\n",
                "line 3, column 1",
                "^^^",
                "give this one another name",
            ),
            (
                "rule = [\"all\"]\n[groups]\nweb = [\"web 1\"]\n",
                "line 3, column 7",
                "^^^^^^^^^",
                "\"web 1\" is no host's name",
            ),
            (
                "rule = [\"all\"]\n[groups]\n\"a b\" = []\n",
                "line 3, column 1",
                "^^^^^",
                "a group's is",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(line) && error.contains(marked) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn groups_meet_where_some_host_could_be_in_both() {
        let set = |hosts: &[&str]| {
            let patterns = hosts
                .iter()
                .map(|host| Pattern::try_from((*host).to_owned()).unwrap());
            HostSet::of(&patterns.collect::<Vec<_>>())
        };
        for (one, other, expected) in [
            (set(&["web-*"]), set(&["*-1"]), true),
            (set(&["web-*"]), set(&["db-*", "web-7"]), true),
            (set(&["web-*"]), set(&["db-*", "web"]), false),
            (set(&["a", "b"]), set(&["c", "B"]), true),
            (HostSet::All, set(&["a"]), true),
            (HostSet::All, set(&[]), false),
        ] {
            assert_eq!(one.meets(&other), expected, "{one:?} {other:?}");
            assert_eq!(other.meets(&one), expected, "{other:?} {one:?}");
        }
    }
}
