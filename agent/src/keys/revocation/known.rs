//! The accounts of which sshd was seen to take a key, in a file, so that they are known after a restart:
//! then strangers may fill sshd up, so that nobody can ask it.
//!
//! A line for each account.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use watchward_protocol::text::Foreign;

use crate::kept;

const NAME: &str = "accounts.taken";

#[derive(Debug)]
pub(super) struct Known {
    file: PathBuf,
    pub(super) accounts: Vec<Foreign>,
}

impl Known {
    /// Those of this folder. What cannot be read is as nothing.
    pub(super) fn open(folder: &Path) -> Self {
        let file = folder.join(NAME);
        let bytes = match fs::read(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let file = file.display();
                tracing::warn!(%file, %error, "cannot read of whom sshd took a key");
                Vec::new()
            }
            read => read.unwrap_or_default(),
        };
        let lines = bytes.split(|byte| *byte == b'\n');
        let accounts = lines.filter(|line| !line.is_empty()).map(Foreign::from);
        Self {
            file,
            accounts: accounts.collect(),
        }
    }

    /// Keeps these, if they are others than before.
    pub(super) fn keep(&mut self, accounts: &[Foreign]) {
        if self.accounts == accounts {
            return;
        }
        self.accounts = accounts.to_vec();
        let mut bytes = Vec::new();
        for account in accounts {
            bytes.extend_from_slice(account.as_bytes());
            bytes.push(b'\n');
        }
        if let Err(error) = kept::replace(&self.file, &bytes) {
            let file = self.file.display();
            tracing::warn!(%file, %error, "of whom sshd took a key is not known after a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut known = Known::open(folder.path());
        assert_eq!(known.accounts, []);
        let accounts = [Foreign::from("alice"), Foreign::from(&b"b\xff b"[..])];
        known.keep(&accounts);
        assert_eq!(Known::open(folder.path()).accounts, accounts);
    }
}
