//! What opens an account, as far as it can be read, and what the host is known by.

pub(super) mod file;
mod host;
#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::tz::TimeZone;
use watchward_protocol::keys::{Holder, Keys, Means};
use watchward_protocol::time::Timestamp;

use super::accounts::{Account, Accounts};
use super::holding::Holding;
use super::open::{Opened, Whose, open, shown};
use super::settings::{Settings, expand};
use super::shelf::Shelf;
use super::sshd::Said;
use super::watch::Wanted;
use file::{Kind, program};

/// What a look goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) accounts: &'a Accounts,
    pub(super) said: &'a Said,
    pub(super) shelf: &'a Shelf,
    pub(super) zone: &'a TimeZone,
    pub(super) now: Timestamp,
}

/// What was found of one holder, and what matters for it. No keys: a large file has yet to be read, so
/// it is as it was.
pub(super) type Looked = (Option<Keys>, Wanted);

impl View<'_> {
    /// Looks at what opens an account. Reads files, and so may take long, or for ever.
    pub(super) fn account(&self, account: &Account) -> Looked {
        let mut looking = Looking {
            view: self,
            account,
            complete: true,
            wanted: Wanted::default(),
        };
        let holding = looking.look();
        let holder = Holder::Account(account.name.clone());
        let complete = looking.complete;
        let keys = complete.then(|| holding.told(holder, self.now));
        (keys, looking.wanted)
    }

    /// An account whose files do not answer.
    pub(super) fn silent(account: &Account, why: &str, now: Timestamp) -> Keys {
        let mut holding = Holding::default();
        holding.unread(None, why.to_owned());
        holding.told(Holder::Account(account.name.clone()), now)
    }

    /// Looks at what the host is known by.
    pub(super) fn host(&self) -> Looked {
        host::look(self)
    }

    /// Adds what a file holds; says whether that is known.
    fn file(&self, kind: Kind, path: &Path, whose: Whose<'_>, holding: &mut Holding) -> bool {
        match open(path, whose) {
            Opened::Missing => {}
            Opened::PassedOver(why) => {
                let what = format!("sshd ignores {}: {why}", shown(path));
                holding.passed_over(Some(path), what);
            }
            Opened::Unread(why) => {
                holding.unread(Some(path), format!("{}: {why}", shown(path)));
            }
            Opened::Text(text) => match self.shelf.holds((kind, path), text, self.zone) {
                Some(found) => holding.absorb(&found),
                None => return false,
            },
        }
        true
    }
}

/// One account that is looked at.
struct Looking<'a> {
    view: &'a View<'a>,
    account: &'a Account,
    /// Whether everything of it is known.
    complete: bool,
    wanted: Wanted,
}

impl Looking<'_> {
    fn look(&mut self) -> Holding {
        let Some(answer) = self.view.said.of(self.account) else {
            return Holding::default();
        };
        let mut holding = Holding::default();
        if let Some(doubt) = &answer.doubt {
            holding.unread(None, doubt.clone());
        }
        if answer.always.keys_count {
            self.under(&answer.always, &mut holding);
        } else {
            let what = "sshd takes no public keys (PubkeyAuthentication no)";
            holding.passed_over(None, what.to_owned());
        }
        for (condition, settings) in &answer.sometimes {
            if settings.keys_count {
                let mut more = Holding::default();
                self.under(settings, &mut more);
                holding.also(more, condition);
            }
        }
        holding
    }

    /// What opens it where these settings apply.
    fn under(&mut self, settings: &Settings, holding: &mut Holding) {
        let whose = Whose::Account {
            account: self.account,
            strict: settings.strict,
            all: self.view.accounts,
        };
        for pattern in &settings.files {
            self.expanded(Kind::Keys, pattern, whose, holding);
        }
        if let Some(command) = &settings.command {
            holding.add(program(Means::Command, command));
        }
        if let Some(path) = &settings.authorities {
            self.authorities(path, settings, (whose, holding));
        }
    }

    /// A file of the account's. An authority without names lets in whoever bears the account's.
    fn expanded(&mut self, kind: Kind, pattern: &[u8], whose: Whose<'_>, holding: &mut Holding) {
        let path = match expand(pattern, self.account) {
            Ok(path) => path,
            Err(trouble) => return holding.passed_over(None, trouble),
        };
        let mut found = Holding::default();
        self.complete &= self.view.file(kind, &path, whose, &mut found);
        self.wanted.files.insert(path);
        found.name_authorities(&self.account.name);
        holding.absorb(&found);
    }

    /// Authorities of the host, if certificates of theirs can open this account.
    fn authorities(
        &mut self,
        path: &Path,
        settings: &Settings,
        (whose, holding): (Whose<'_>, &mut Holding),
    ) {
        let before = holding.len();
        if let Some(pattern) = &settings.principals {
            self.expanded(Kind::Principals, pattern, whose, holding);
        }
        if let Some(command) = &settings.principals_command {
            holding.add(program(Means::PrincipalsCommand, command));
        }
        let limited = settings.principals.is_some() || settings.principals_command.is_some();
        if limited && holding.len() == before {
            return;
        }
        self.wanted.files.insert(path.to_owned());
        let mut found = Holding::default();
        let view = self.view;
        self.complete &= view.file(Kind::Authorities, path, Whose::Hosts, &mut found);
        if !limited {
            found.name_authorities(&self.account.name);
        }
        // What is wrong with the file is the host's trouble, not that of each account.
        holding.openings_of(&found);
    }
}
