//! The accounts of this host, as the C library knows them.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use watchward_protocol::keys::Keys;
use watchward_protocol::text::Foreign;

use super::child;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: Foreign,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

/// All accounts that can be listed. Those of a directory that answers only who asks by name (`sssd`
/// without `enumerate`) cannot.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) list: Vec<Account>,
    pub(super) omitted: usize,
    /// How many accounts have each group for their own.
    groups: HashMap<u32, usize>,
}

impl Accounts {
    /// Asks for them.
    ///
    /// # Errors
    /// Neither `getent` nor `/etc/passwd` says any.
    pub(super) async fn ask() -> anyhow::Result<Self> {
        let listed = child::run(Path::new("getent"), &["passwd"], &[]).await;
        let text = match listed {
            Ok(text) => text,
            Err(error) => match tokio::fs::read("/etc/passwd").await {
                Ok(text) => text,
                Err(_) => return Err(error),
            },
        };
        Ok(Self::read(&text))
    }

    /// Understands lines of `passwd(5)`. Of two with one name the first counts, as for the library.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut all = Self::default();
        let mut names = HashSet::new();
        let lines = text.split(|byte| *byte == b'\n');
        for account in lines.filter_map(account) {
            *all.groups.entry(account.gid).or_default() += 1;
            if !names.insert(account.name.clone()) {
                continue;
            }
            if all.list.len() < Keys::MOST_ACCOUNTS {
                all.list.push(account);
            } else {
                all.omitted += 1;
            }
        }
        all.list.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether a group is one account's own.
    pub(super) fn private(&self, group: u32) -> bool {
        self.groups.get(&group) == Some(&1)
    }
}

fn account(line: &[u8]) -> Option<Account> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let [name, _, uid, gid, _, home, _] = fields.try_into().ok()?;
    let number = |text| std::str::from_utf8(text).ok()?.parse().ok();
    let sane = !name.is_empty() && !b"+-".contains(name.first()?);
    Some(Account {
        name: sane.then(|| name.into())?,
        uid: number(uid)?,
        gid: number(gid)?,
        home: PathBuf::from(OsString::from_vec(home.to_vec())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_getent_says() {
        let text = b"root:x:0:0:root:/root:/bin/bash\nzo\xeb:x:1000:1000::/home/z:/bin/sh\n\
            +nis\nbroken:x:one:1::/:/bin/sh\nroot:x:7:7::/elsewhere:/bin/sh\nb:x:2:1000::/home/b:\n";
        let all = Accounts::read(text);
        let names: Vec<_> = all.list.iter().map(|it| it.name.to_string()).collect();
        assert_eq!(names, ["b", "root", "zo\\xeb"]);
        assert_eq!(all.list[1].home, Path::new("/root"));
        assert!(all.private(0) && !all.private(1000) && !all.private(5));
    }
}
