//! What opens an account, as far as it can be read, and what the host is known by.

mod file;
mod host;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use watchward_protocol::keys::{Holder, Keys, Means};
use watchward_protocol::time::Timestamp;

use super::accounts::{Account, Accounts};
use super::authorized::{self, Line, principal};
use super::holding::{Holding, opening};
use super::open::Whose;
use super::settings::{Settings, expand};
use super::sshd::Said;
use file::{each_line, of_key, program, trusted};

/// What was found at one look.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What each holder has; the host itself comes last.
    pub(super) keys: Vec<Keys>,
    /// The files that matter, whether they exist or not.
    pub(super) files: BTreeSet<PathBuf>,
}

/// Looks at all of it. Reads files, and so may take long.
pub(super) fn look(accounts: &Accounts, said: &Said, now: Timestamp) -> Found {
    let mut found = Found::default();
    let zone = TimeZone::system();
    for account in &accounts.list {
        let mut one = Looking {
            account,
            accounts,
            zone: &zone,
            holding: Holding::default(),
            files: &mut found.files,
        };
        if let Some(settings) = said.of(account) {
            one.look(settings, said.layout.by_origin);
        }
        let holder = Holder::Account(account.name.clone());
        found.keys.push(one.holding.told(holder, now));
    }
    let names = accounts.list.iter().map(|it| it.name.clone()).collect();
    let holding = host::look(accounts, said, &mut found.files);
    found.keys.push(holding.told(Holder::Host(names), now));
    found
}

/// One account that is looked at.
struct Looking<'a> {
    account: &'a Account,
    accounts: &'a Accounts,
    zone: &'a TimeZone,
    holding: Holding,
    files: &'a mut BTreeSet<PathBuf>,
}

impl Looking<'_> {
    fn look(&mut self, settings: &Settings, by_origin: bool) {
        if !settings.keys_count && !by_origin {
            // Still watched: the day they count again, they are there.
            self.holding
                .trouble("sshd takes no public keys (PubkeyAuthentication no)".to_owned());
            return;
        }
        let whose = Whose::Account {
            account: self.account,
            strict: settings.strict,
            all: self.accounts,
        };
        for pattern in &settings.files {
            if let Some(path) = self.file(pattern) {
                self.authorized_keys(&path, whose);
            }
        }
        if let Some(command) = &settings.command {
            self.holding.add(program(command));
        }
        if let Some(path) = &settings.authorities {
            self.authorities(path, settings, whose);
        }
    }

    fn file(&mut self, pattern: &[u8]) -> Option<PathBuf> {
        match expand(pattern, self.account) {
            Ok(path) => {
                self.files.insert(path.clone());
                Some(path)
            }
            Err(trouble) => {
                self.holding.trouble(trouble);
                None
            }
        }
    }

    fn authorized_keys(&mut self, path: &Path, whose: Whose<'_>) {
        let (account, zone) = (self.account, self.zone);
        each_line(path, whose, &mut self.holding, |text, number, holding| {
            match authorized::line(text, zone) {
                Line::Nothing => {}
                Line::Key(key) => {
                    let mut one = of_key(Means::AuthorizedKey, path, number, *key);
                    if one.means == Means::Authority && one.principals.is_empty() {
                        one.principals.push(account.name.clone());
                    }
                    holding.add(one);
                }
                Line::Refused(refusal) => holding.ignored(path, number, &refusal.why),
            }
            true
        });
    }

    /// Authorities of the host, if certificates of theirs can open this account.
    fn authorities(&mut self, path: &Path, settings: &Settings, whose: Whose<'_>) {
        let before = self.names(settings, whose);
        let limited = settings.principals.is_some() || settings.principals_command.is_some();
        if limited && before == 0 {
            return;
        }
        self.files.insert(path.to_owned());
        // What is wrong with the file is the host's trouble, not that of each account.
        let mut elsewhere = Holding::default();
        let holding = &mut self.holding;
        let account = self.account;
        trusted(path, &mut elsewhere, |mut one| {
            if !limited {
                one.principals.push(account.name.clone());
            }
            holding.add(one);
        });
    }

    /// The names that certificates may bear for this account; how many places say any.
    fn names(&mut self, settings: &Settings, whose: Whose<'_>) -> usize {
        let mut count = 0;
        if let Some(path) = settings.principals.as_ref().and_then(|it| self.file(it)) {
            let zone = self.zone;
            each_line(&path, whose, &mut self.holding, |text, number, holding| {
                match principal(text, zone) {
                    Ok(None) => {}
                    Ok(Some(found)) => {
                        let mut one = opening(Means::Principals, &path, number);
                        one.principals.push(found.name);
                        one.options = found.options;
                        one.not_after = found.not_after;
                        holding.add(one);
                        count += 1;
                    }
                    Err(why) => holding.ignored(&path, number, why),
                }
                true
            });
        }
        if let Some(command) = &settings.principals_command {
            self.holding.add(program(command));
            count += 1;
        }
        count
    }
}
