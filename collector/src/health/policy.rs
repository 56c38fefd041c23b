//! The table `[health]` of the policy: checks that groups of hosts run beside their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};
use watchward_protocol::checks::{Checks, Ordered};
use watchward_protocol::order::{LONGEST_SETTINGS, MOST_CHECKS};

use crate::policy::{Groups, HostSet, Name};

/// The table `[health]` of the policy: each check as `[health.GROUP.KIND.NAME]`, with what would
/// stand under `[health.KIND.NAME]` in `agent.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "BTreeMap<Spanned<Name>, Checks>",
    into = "BTreeMap<Name, Checks>"
)]
pub struct Policy {
    said: BTreeMap<Spanned<Name>, Checks>,
    groups: Vec<Group>,
}

/// The checks of a group of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Name,
    hosts: Arc<HostSet>,
    checks: Vec<Ordered>,
}

impl Policy {
    /// Looks the groups up; before that nobody runs anything.
    ///
    /// # Errors
    /// There is no such group, there is more than a host can be ordered, or two groups that a host
    /// could be in say different things of one check.
    pub fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        self.groups.clear();
        for (name, checks) in &self.said {
            let hosts = groups.find(name)?;
            let checks = checks.ordered();
            let checks = checks.map_err(|error| Misplaced::at(name, error.to_string()))?;
            let name = name.get_ref().clone();
            self.groups.push(Group {
                name,
                hosts,
                checks,
            });
        }
        for (at, group) in self.groups.iter().enumerate() {
            group.fits()?;
            let before = self.groups.iter().take(at);
            let meets = before.filter(|other| other.hosts.meets(&group.hosts));
            let mut most = group.checks.len();
            for other in meets {
                group.agrees(other)?;
                most += other.checks.len();
            }
            if most > MOST_CHECKS {
                let message = format!(
                    "a host that is in \"{}\" and in other groups could be ordered {most} checks; \
                     at most {MOST_CHECKS} are possible",
                    group.name
                );
                return Err(Misplaced::at_key(&["health", group.name.as_str()], message));
            }
        }
        Ok(())
    }

    /// The checks that a host of this name is to run, each once.
    pub fn of(&self, host: &str) -> Vec<Ordered> {
        let groups = self.groups.iter().filter(|group| group.hosts.has(host));
        let checks = groups.flat_map(|group| &group.checks);
        // Where two groups have a check of the same name, they say the same of it.
        let by_name = checks.map(|check| ((&check.kind, &check.name), check));
        let once: BTreeMap<_, _> = by_name.collect();
        once.into_values().cloned().collect()
    }
}

impl Group {
    /// Whether each check can be sent.
    fn fits(&self) -> Result<(), Misplaced> {
        let mut checks = self.checks.iter();
        let Some(long) = checks.find(|check| check.settings.len() > LONGEST_SETTINGS) else {
            return Ok(());
        };
        let message = format!("a check's settings have at most {LONGEST_SETTINGS} bytes");
        Err(Misplaced::at_key(&self.key(long), message))
    }

    /// Whether another group says nothing else of a check of the same name.
    fn agrees(&self, other: &Self) -> Result<(), Misplaced> {
        for check in &self.checks {
            let same = |one: &&Ordered| (&one.kind, &one.name) == (&check.kind, &check.name);
            let Some(differs) = other.checks.iter().find(same).filter(|one| *one != check) else {
                continue;
            };
            let message = format!(
                "{}.{} is one thing for \"{}\" and another for \"{}\", and a host could be in both; \
                 give one of them another name",
                check.kind, check.name, self.name, other.name
            );
            let what = format!("this is the one for \"{}\"", other.name);
            return Err(
                Misplaced::at_key(&self.key(check), message).beside_key(&other.key(differs), what)
            );
        }
        Ok(())
    }

    fn key<'a>(&'a self, check: &'a Ordered) -> [&'a str; 4] {
        ["health", self.name.as_str(), &check.kind, &check.name]
    }
}

impl From<BTreeMap<Spanned<Name>, Checks>> for Policy {
    fn from(said: BTreeMap<Spanned<Name>, Checks>) -> Self {
        let groups = Vec::new();
        Self { said, groups }
    }
}

impl From<Policy> for BTreeMap<Name, Checks> {
    fn from(policy: Policy) -> Self {
        let plain = |(name, checks): (Spanned<Name>, Checks)| (name.into_inner(), checks);
        policy.said.into_iter().map(plain).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct File {
        groups: Groups,
        health: Policy,
    }

    fn read(text: &str) -> Result<Policy, watchward_daemon::config::Invalid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let join = |file: &mut File| file.health.join(&file.groups);
        let file = watchward_daemon::config::read_whole::<File>(file.path(), join)?;
        Ok(file.health)
    }

    const GROUPS: &str = "[groups]\nweb = [\"web-*\"]\nfront = [\"*-1\"]\ndb = [\"db-*\"]\n";

    fn names(policy: &Policy, host: &str) -> Vec<String> {
        let checks = policy.of(host);
        let name = |one: &Ordered| format!("{}.{}", one.kind, one.name);
        checks.iter().map(name).collect()
    }

    #[test]
    fn a_host_is_ordered_the_checks_of_its_groups() {
        let policy = read(&format!(
            "{GROUPS}[health.web.http.shop]\nurl = \"http://localhost/\"\n\
             [health.db.tcp.postgres]\naddress = \"localhost:5432\"\n\
             [health.all.tcp.ssh]\naddress = \"localhost:22\"\n\
             [health.front.tcp.ssh]\naddress = \"localhost:22\"\n"
        ))
        .unwrap();
        assert_eq!(names(&policy, "web-1"), ["http.shop", "tcp.ssh"]);
        assert_eq!(names(&policy, "db-2"), ["tcp.postgres", "tcp.ssh"]);
        assert_eq!(names(&policy, "mail"), ["tcp.ssh"]);
        for check in policy.of("web-1") {
            check.check().unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_is_shown_with_its_place() {
        let two = |one: &str, other: &str| {
            format!(
                "{GROUPS}[health.{one}.tcp.a]\naddress = \"localhost:1\"\n\
                 [health.{other}.tcp.a]\naddress = \"localhost:2\"\n"
            )
        };
        assert!(read(&two("web", "db")).is_ok(), "no host is both");
        let many: String = (0..200)
            .map(|at| format!("[health.web.tcp.a{at}]\naddress = \"localhost:1\"\n"))
            .collect();
        let more = many.replace("health.web.tcp.a", "health.front.tcp.b");
        for (text, place, expected) in [
            (
                two("web", "front"),
                "7 | [health.front.tcp.a]\n  |                   ^",
                "\"web\" and another for \"front\"",
            ),
            (
                two("web", "all"),
                "5 | [health.web.tcp.a]\n  |                 ^",
                "\"all\"",
            ),
            (
                two("web", "all"),
                "7 | [health.all.tcp.a]\n  |                 ^",
                "this is the one for \"all\"",
            ),
            (
                format!("{GROUPS}[health.wbe.tcp.a]\naddress = \"localhost:1\"\n"),
                "5 | [health.wbe.tcp.a]\n  |         ^^^",
                "there is no group \"wbe\"",
            ),
            (
                format!("{GROUPS}[health.web.tpc.a]\naddress = \"localhost:1\"\n"),
                "5 | [health.web.tpc.a]\n  |             ^^^",
                "unknown field `tpc`",
            ),
            (
                format!("{GROUPS}[health.web.tcp.a]\naddress = \"localhost\"\n"),
                "6 | address = \"localhost\"\n  |           ^^^^^^^^^^^",
                "expected host and port",
            ),
            (
                format!("{GROUPS}{many}{more}"),
                "5 | [health.web.tcp.a0]",
                "could be ordered 400 checks",
            ),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(place), "{place}\n{error}");
            assert!(error.contains(expected), "{expected}\n{error}");
        }
    }
}
