//! Whose certificates open which accounts on which hosts: the tables `[[keys.logins]]` of
//! `policy.toml`, and the lines that they are on a host. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchward_daemon::place::Misplaced;
use watchward_protocol::instruments::{Managed, Opens};

use crate::keys::policy::Account;
use crate::people::Role;
use crate::policy::{Groups, Members};

/// How many principals a line has; of more it is several lines.
const MOST_PRINCIPALS: usize = 64;
/// How many accounts all tables may name together: there is room on a host for all of them, also
/// while there are two authorities.
const MOST_ACCOUNTS: usize = 500;
/// How many people a table may name.
const MOST_PEOPLE: usize = 500;

/// The table `[[keys.logins]]`: who with a certificate may be which account on which hosts. Where
/// several speak of an account, each lets in more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// On the hosts of these groups.
    pub groups: Members,
    /// Which accounts.
    pub accounts: Vec<Account>,
    /// People with one of these roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// People of these names.
    #[serde(default)]
    pub people: Vec<Name>,
}

/// The name of a person here, as a certificate can bear it: at most 57 letters, digits, `.`, `-`, `_`
/// and `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Login {
    /// Looks up the groups.
    ///
    /// # Errors
    /// There is no such group, or the table is for nobody, or for no account.
    pub(in crate::keys) fn join(&mut self, groups: &Groups) -> Result<(), Misplaced> {
        self.groups.join(groups)?;
        if self.roles.is_empty() && self.people.is_empty() {
            let message =
                "for whom? roles = [\"operator\"] or people = [\"ada\"] is missing beside it";
            return Err(self.groups.misplaced(message));
        }
        if self.accounts.is_empty() {
            let message = "for which accounts? accounts = [\"deploy\"] is missing beside it";
            return Err(self.groups.misplaced(message));
        }
        if self.people.len() > MOST_PEOPLE {
            let message = format!("it names more than {MOST_PEOPLE} people: a role would do");
            return Err(self.groups.misplaced(message));
        }
        Ok(())
    }

    /// Looks whether there is room for what all of them say together.
    ///
    /// # Errors
    /// There is not.
    pub(in crate::keys) fn fit(all: &[Self]) -> Result<(), Misplaced> {
        let mut accounts = BTreeSet::new();
        for one in all {
            accounts.extend(&one.accounts);
            if accounts.len() > MOST_ACCOUNTS {
                return Err(one.groups.misplaced(format!(
                    "[[keys.logins]] may name {MOST_ACCOUNTS} accounts together, and these are more"
                )));
            }
        }
        Ok(())
    }

    /// The accounts.
    pub(in crate::keys) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(Account::as_str)
    }

    /// The names that a certificate bears for it.
    pub(in crate::keys) fn principals(&self) -> impl Iterator<Item = String> {
        let roles = self.roles.iter();
        let roles = roles.map(|role| format!("role:{}", role.word()));
        let people = self.people.iter();
        roles.chain(people.map(|name| format!("person:{}", name.0)))
    }
}

/// The role that a certificate bears as this name, if it is one.
pub(in crate::keys) fn principal_role(name: &str) -> Option<Role> {
    name.strip_prefix("role:").and_then(Role::of)
}

/// The lines of a host by which certificates of these authorities, keys as on the wire, open accounts.
pub(in crate::keys) fn managed(
    host: &str,
    logins: &[Login],
    authorities: &[Vec<u8>],
) -> Vec<Managed> {
    let mut accounts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for login in logins.iter().filter(|one| one.groups.has(host)) {
        for account in &login.accounts {
            let names = accounts.entry(account.as_str()).or_default();
            names.extend(login.principals());
        }
    }
    let mut lines = Vec::new();
    for (account, principals) in accounts {
        let principals: Vec<_> = principals.into_iter().collect();
        for some in principals.chunks(MOST_PRINCIPALS) {
            let line = |key: &Vec<u8>| Managed {
                account: account.to_owned(),
                opens: Opens::Authority {
                    key: key.clone(),
                    principals: some.to_vec(),
                },
                // The certificate itself says from where, until when, and whether ports are forwarded.
                from: Vec::new(),
                until: None,
                forwarding: true,
            };
            lines.extend(authorities.iter().map(line));
        }
    }
    lines
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b".-_@".contains(&it);
        match !text.is_empty() && text.len() <= 57 && text.bytes().all(plain) {
            true => Ok(Self(text)),
            false => Err(
                "expected the name of a person here: letters, digits, `.`, `-`, `_` and `@`, 57 at most",
            ),
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}
