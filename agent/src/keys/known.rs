//! What was asked for, and holds until what it rests on changes: the accounts, and what sshd says of them.

use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::config::Config;
use super::sshd::Said;
use super::watch::Wanted;

/// Files whose change may mean another account, or another group that a `Match` names.
const ACCOUNTS: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// The accounts, and what sshd says of them.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) accounts: Accounts,
    pub(super) said: Said,
    sshd: PathBuf,
}

impl Known {
    /// Asks. What sshd said before counts where it does not answer now.
    ///
    /// # Errors
    /// The accounts of this host cannot be listed.
    pub(super) async fn ask(config: &Config, before: Option<&Self>) -> anyhow::Result<Self> {
        let accounts = Accounts::ask().await?;
        let said = Said::ask(&config.sshd, &accounts, before.map(|it| &it.said)).await;
        Ok(Self {
            accounts,
            said,
            sshd: config.sshd.clone(),
        })
    }

    /// Whether everything is to be asked for again when this path has changed.
    pub(super) fn rests_on(&self, path: &Path) -> bool {
        let places = &self.said.layout.places;
        let inside = path.parent().is_some_and(|folder| places.contains(folder));
        // A folder on the way to one of them may have come or gone.
        let above = places.iter().any(|place| place.starts_with(path));
        inside
            || above
            || self.sshd.starts_with(path)
            || ACCOUNTS
                .iter()
                .any(|file| Path::new(file).starts_with(path))
    }

    /// What it rests on.
    pub(super) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        wanted.files.extend(ACCOUNTS.map(PathBuf::from));
        wanted.files.insert(self.sshd.clone());
        for place in &self.said.layout.places {
            if place.is_dir() {
                wanted.folders.insert(place.clone());
            } else {
                wanted.files.insert(place.clone());
            }
        }
        wanted
    }

    /// How many accounts sshd opens.
    pub(super) fn opened(&self) -> usize {
        match self.said.general {
            Some(_) => self.accounts.list.len(),
            None => 0,
        }
    }
}
