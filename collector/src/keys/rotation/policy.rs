//! Machines' keys that rotate by themselves: the tables `[[keys.machines]]` of `policy.toml`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use watchward_daemon::place::{Misplaced, Spanned};
use watchward_protocol::span::Span;

use crate::keys::policy::Account;
use crate::policy::{Groups, Members, Networks, Origins};

/// From so many networks a key may come: more has no room on its line.
const MOST_NETWORKS: usize = 64;
/// So many names of accounts a table may have.
const MOST_ACCOUNTS: usize = 64;
/// So many keys one host may have: it is told of all of them at once.
const MOST_OF_HOST: usize = 64;

/// The table `[[keys.machines]]`: a key by which programs of one host log in on others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// What it is called, in every report and in the path of the key.
    pub name: Spanned<Name>,
    /// The host whose programs log in, by its name.
    pub client: String,
    /// The account there that may read the private key.
    pub user: Account,
    /// The hosts that it opens.
    pub groups: Members,
    /// The accounts that it opens there.
    pub accounts: Vec<Account>,
    /// From where alone; without it, from where the collector knows the client to be.
    #[serde(default)]
    pub from: Option<Origins>,
    /// How long a key is used.
    #[serde(default = "every")]
    pub every: Span,
    /// How long before that people hear of it.
    #[serde(default = "warn_ahead")]
    pub warn_ahead: Span,
    /// How long the new key stands beside the old on every host before the client uses it: so long is
    /// waited for hosts that are silent.
    #[serde(default = "overlap")]
    pub overlap: Span,
    /// How long the old key still works after that, while each use of it is told.
    #[serde(default = "shadow")]
    pub shadow: Span,
    /// How long after it was due a key may be replaced.
    #[serde(default = "deadline")]
    pub deadline: Span,
    /// What happens when it is not replaced by then.
    #[serde(default)]
    pub missed: Missed,
    /// Whether ports may be forwarded through what it opens.
    #[serde(default)]
    pub forwarding: bool,
}

/// What happens to a key that was not replaced in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// People are paged, and it works on.
    #[default]
    Page,
    /// It is revoked besides, unless an account would be left without a way in.
    Revoke,
}

/// The name of a machine's key: letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Machine {
    /// What it is called.
    pub(in crate::keys) fn name(&self) -> &str {
        &self.name.get_ref().0
    }

    /// The account on the client.
    pub(in crate::keys) fn user(&self) -> &str {
        self.user.as_str()
    }

    /// The accounts that it opens, each once.
    pub(in crate::keys) fn accounts(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.accounts.iter().map(|it| it.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// From where alone it opens something, with the client at these addresses; none: that cannot be
    /// told.
    pub(in crate::keys) fn from(&self, client: &[IpAddr]) -> Vec<IpNet> {
        let mut nets: Vec<_> = match &self.from {
            Some(from) => from.nets().collect(),
            None => client
                .iter()
                .map(|it| IpNet::from(it.to_canonical()))
                .collect(),
        };
        nets.sort_unstable();
        nets.dedup();
        nets.truncate(MOST_NETWORKS);
        nets
    }

    /// How long a key may be used in all, until even what no host hears of any more is over.
    pub(super) fn life(&self) -> Duration {
        [self.every, self.deadline, self.overlap, self.shadow]
            .map(Span::duration)
            .iter()
            .sum()
    }

    fn join(&mut self, groups: &Groups, networks: &Networks) -> Result<(), Misplaced> {
        self.groups.join(groups)?;
        if let Some(from) = &mut self.from {
            from.join(networks)?;
            let count = from.nets().count();
            if count > MOST_NETWORKS {
                return Err(from.misplaced(format!(
                    "these are {count} networks, and a key can be bound to {MOST_NETWORKS}"
                )));
            }
        }
        let wrong = |why: String| Err(Misplaced::at(&self.name, why));
        let (busy, every) = (
            self.overlap.duration() + self.shadow.duration(),
            self.every.duration(),
        );
        if self.accounts.is_empty() || self.accounts.len() > MOST_ACCOUNTS {
            return wrong("accounts = [...] beside it needs 1 to 64 names of accounts".to_owned());
        }
        if self.warn_ahead >= self.every {
            return wrong(format!(
                "its warn_ahead ({} unless said) must be shorter than every, or people hear of it all \
                 the time",
                warn_ahead()
            ));
        }
        if busy >= every {
            return wrong(format!(
                "overlap and shadow together ({} and {} unless said) must be shorter than every: it \
                 would never end",
                overlap(),
                shadow()
            ));
        }
        if self.deadline.duration() <= busy {
            return wrong(format!(
                "deadline ({} unless said) must be longer than overlap and shadow together, or each \
                 rotation is missed",
                deadline()
            ));
        }
        if self.groups.is_nobody() {
            return Err(self
                .groups
                .misplaced("no host can be in these groups: it would open nothing"));
        }
        Ok(())
    }
}

/// Looks up what the tables name, and what they say together.
///
/// # Errors
/// What makes no sense, and where.
pub(in crate::keys) fn join(
    machines: &mut [Machine],
    groups: &Groups,
    networks: &Networks,
) -> Result<(), Misplaced> {
    machines
        .iter_mut()
        .try_for_each(|one| one.join(groups, networks))?;
    let mut known: BTreeMap<&Name, &Machine> = BTreeMap::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for machine in machines.iter() {
        if let Some(before) = known.insert(machine.name.get_ref(), machine) {
            let message = "there are two of this name: each key needs its own";
            return Err(Misplaced::at(&machine.name, message).beside(&before.name, "the other"));
        }
        let of_host = count.entry(&machine.client).or_default();
        *of_host += 1;
        if *of_host > MOST_OF_HOST {
            let message =
                format!("a host can have {MOST_OF_HOST} keys of its own, and these are more");
            return Err(Misplaced::at(&machine.name, message));
        }
    }
    Ok(())
}

fn every() -> Span {
    Span::days(30)
}

fn warn_ahead() -> Span {
    Span::days(7)
}

fn overlap() -> Span {
    Span::minutes(60)
}

fn shadow() -> Span {
    Span::days(1)
}

fn deadline() -> Span {
    Span::days(7)
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        match fits && !text.starts_with('-') {
            true => Ok(Self(text)),
            false => Err("expected a name of 1 to 32 small letters, digits and \"-\""),
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default)]
        groups: Groups,
        #[serde(default)]
        networks: Networks,
        machines: Vec<Machine>,
    }

    const ONE: &str = "name = \"backup\"\nclient = \"db-1\"\nuser = \"backup\"\ngroups = [\"all\"]\n\
        accounts = [\"store\"]\n";

    fn read(text: &str) -> Result<Vec<Machine>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let read = watchward_daemon::config::read_whole::<Sample>(file.path(), |sample| {
            sample.networks.join()?;
            join(&mut sample.machines, &sample.groups, &sample.networks)
        });
        read.map(|it| it.machines)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn little_has_to_be_said_of_a_key() {
        let machines = read(&format!("[[machines]]\n{ONE}")).unwrap();
        let [one] = &machines[..] else { panic!() };
        assert_eq!(
            (one.name(), one.user(), one.missed),
            ("backup", "backup", Missed::Page)
        );
        let at: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(one.from(&[at]), ["192.0.2.7/32".parse().unwrap()]);
        assert_eq!(one.from(&[]), [], "nobody knows where it is");
    }

    #[test]
    fn what_makes_no_sense_is_shown_with_its_place() {
        let with = |more: &str| format!("[groups]\nnone = []\n[[machines]]\n{ONE}{more}");
        let sooner = "warn_ahead (7d unless said) must be shorter than every";
        for (text, line, expected) in [
            (with("warn_ahead = \"30d\""), "line 4", sooner),
            (with("every = \"1h\""), "line 4", sooner),
            (
                with("every = \"1h\"\nwarn_ahead = \"1m\""),
                "line 4",
                "overlap and shadow together (1h and 1d unless said)",
            ),
            (
                with("overlap = \"29d\"\nshadow = \"1d\""),
                "line 4",
                "would never end",
            ),
            (
                with("deadline = \"25h\""),
                "line 4",
                "or each rotation is missed",
            ),
            (
                with("from = [\"moon\"]"),
                "line 9",
                "there is no network \"moon\"",
            ),
            (with("missed = \"shrug\""), "line 9", "unknown variant"),
            (
                with(&format!("[[machines]]\n{ONE}")),
                "line 10",
                "two of this name",
            ),
            (
                with("").replace("\"all\"", "\"web\""),
                "line 7",
                "no group \"web\"",
            ),
            (
                with("").replace("\"all\"", "\"none\""),
                "line 7",
                "open nothing",
            ),
            (
                with("").replace("\"store\"", "\"../x\""),
                "line 8",
                "account's name",
            ),
            (with("").replace("[\"store\"]", "[]"), "line 4", "1 to 64"),
            (
                with("").replace("\"backup\"\nc", "\"a/b\"\nc"),
                "line 4",
                "1 to 32",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(
                error.contains(line) && error.contains(expected),
                "{text}: {error}"
            );
        }
    }
}
