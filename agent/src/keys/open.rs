//! Opens a file of somebody else's: only one that sshd would read, and never what could do harm.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::accounts::{Account, Accounts};

/// How often a file is looked for that is replaced meanwhile.
const TRIES: usize = 3;

/// So much of a file is read; sshd itself knows no bound.
pub(super) const LARGEST: u64 = 16 << 20;

/// What became of a file.
#[derive(Debug)]
pub(super) enum Opened {
    /// There is none.
    Missing,
    /// sshd does not read it: why.
    PassedOver(String),
    /// It could not be read here: why.
    Unread(String),
    /// What it holds.
    Text(Text),
}

/// A file to read.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) lines: BufReader<io::Take<File>>,
    /// It goes on where no more is read.
    pub(super) larger: bool,
    pub(super) stamp: Stamp,
}

/// Two looks at a file with one stamp have seen the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    place: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(about: &fs::Metadata) -> Self {
        Self {
            size: about.len(),
            place: (about.dev(), about.ino()),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// Who has sshd read a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose<'a> {
    /// sshd itself reads it, as root.
    Hosts,
    /// sshd reads it as this account; with `StrictModes`, only if nobody else can write it.
    Account {
        account: &'a Account,
        strict: bool,
        all: &'a Accounts,
    },
}

/// Opens it. One that is replaced meanwhile is opened anew.
pub(super) fn open(path: &Path, whose: Whose<'_>) -> Opened {
    let mut opened = once(path, whose);
    for _ in 1..TRIES {
        if !matches!(opened, Opened::Missing) {
            break;
        }
        opened = once(path, whose);
    }
    opened
}

/// To open a device or a pipe can do something or wait for ever, so first it is only looked at.
fn once(path: &Path, whose: Whose<'_>) -> Opened {
    let seen = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let seen = match seen {
        Ok(seen) => seen,
        Err(Errno::NOENT | Errno::NOTDIR) => return Opened::Missing,
        Err(Errno::LOOP) => return Opened::PassedOver("its links lead in a circle".to_owned()),
        Err(Errno::NAMETOOLONG) => return Opened::PassedOver("its name is too long".to_owned()),
        Err(error) => return Opened::Unread(words(&error.into())),
    };
    match checked(&seen, whose) {
        Ok(opened) => opened,
        Err(error) => Opened::Unread(words(&error)),
    }
}

fn checked(seen: &OwnedFd, whose: Whose<'_>) -> io::Result<Opened> {
    let place = format!("/proc/self/fd/{}", seen.as_raw_fd());
    let about = fs::metadata(&place)?;
    if !about.is_file() {
        return Ok(Opened::PassedOver("it is not a regular file".to_owned()));
    }
    if about.nlink() == 0 {
        return Ok(Opened::Missing);
    }
    if let Whose::Account {
        account,
        strict,
        all,
    } = whose
    {
        if !may_read(&about, account) {
            let why = "the account may not read it".to_owned();
            return Ok(Opened::PassedOver(why));
        }
        let path = fs::read_link(&place)?;
        let why = || unsafe_path(&path, &about, account, all);
        if let Some(why) = strict.then(why).flatten() {
            return Ok(Opened::PassedOver(why));
        }
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(place.as_str(), flags, Mode::empty())?);
    let stamp = Stamp::of(&file.metadata()?);
    // No more than its size: what the kernel makes up as it is read has none.
    let most = stamp.size.min(LARGEST);
    Ok(Opened::Text(Text {
        lines: BufReader::new(file.take(most)),
        larger: stamp.size > LARGEST,
        stamp,
    }))
}

/// Beware: groups that an account has besides its own are taken for granted.
fn may_read(about: &fs::Metadata, account: &Account) -> bool {
    let wanted = if account.uid == 0 {
        return true;
    } else if about.uid() == account.uid {
        0o400
    } else {
        0o044
    };
    about.mode() & wanted != 0
}

/// Why `StrictModes` has sshd ignore the file (`safe_path` of OpenSSH), whose real path this is.
fn unsafe_path(
    path: &Path,
    about: &fs::Metadata,
    account: &Account,
    all: &Accounts,
) -> Option<String> {
    let wrong = |what: &str, path: &Path| {
        Some(format!(
            "StrictModes: bad owner or mode of the {what} {}",
            shown(path)
        ))
    };
    let home = fs::canonicalize(&account.home).ok();
    if !secure(about, account, all) {
        return wrong("file", path);
    }
    for folder in path.ancestors().skip(1) {
        let safe = fs::metadata(folder).is_ok_and(|about| secure(&about, account, all));
        if !safe {
            return wrong("folder", folder);
        }
        if home.as_deref() == Some(folder) {
            break;
        }
    }
    None
}

/// Owned by the account or root, and nobody else may write. Debian's sshd lets the account's own
/// group write too; what only some sshd ignores is not ignored here.
fn secure(about: &fs::Metadata, account: &Account, all: &Accounts) -> bool {
    let own_group = about.gid() == account.gid && all.private(account.gid);
    let writers = if own_group { 0o002 } else { 0o022 };
    (about.uid() == 0 || about.uid() == account.uid) && about.mode() & writers == 0
}

fn words(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM) => "it may not be read".to_owned(),
        _ => format!("it cannot be read ({error})"),
    }
}

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    watchward_protocol::text::Foreign::from(path.as_os_str().as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder as a home of whoever runs this.
    fn home() -> (tempfile::TempDir, Account, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let about = folder.path().metadata().unwrap();
        let line = format!(
            "me:x:{}:{}::{}:/bin/sh\n",
            about.uid(),
            about.gid(),
            shown(folder.path())
        );
        let all = Accounts::read(line.as_bytes());
        let account = all.list[0].clone();
        (folder, account, all)
    }

    #[test]
    fn only_what_sshd_would_read_is_read() {
        let (folder, account, all) = home();
        let whose = Whose::Account {
            account: &account,
            strict: true,
            all: &all,
        };
        let at = |name: &str| folder.path().join(name);
        let why = |name: &str| {
            let Opened::PassedOver(why) = open(&at(name), whose) else {
                panic!("{name} is read");
            };
            why
        };
        fs::write(at("plain"), "text").unwrap();
        symlink(at("plain"), at("link")).unwrap();
        for name in ["plain", "link"] {
            let Opened::Text(mut opened) = open(&at(name), whose) else {
                panic!("{name}");
            };
            let mut text = String::new();
            opened.lines.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), opened.larger), ("text", false));
        }
        assert!(matches!(open(&at("none"), whose), Opened::Missing));
        assert!(matches!(open(&at("plain/none"), whose), Opened::Missing));

        symlink("circle", at("circle")).unwrap();
        assert!(why("circle").contains("circle"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        symlink("/dev/zero", at("device")).unwrap();
        for name in ["pipe", "device", "."] {
            assert!(why(name).contains("regular"), "{name}: {}", why(name));
        }
    }

    #[test]
    fn what_others_can_write_is_ignored_with_strict_modes_alone() {
        let (folder, account, all) = home();
        let path = folder.path().join("keys");
        let chmod = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let read = |strict| {
            let whose = Whose::Account {
                account: &account,
                strict,
                all: &all,
            };
            match open(&path, whose) {
                Opened::PassedOver(why) | Opened::Unread(why) => why,
                Opened::Text(_) => "read".to_owned(),
                Opened::Missing => "missing".to_owned(),
            }
        };
        fs::write(&path, "").unwrap();
        chmod(&path, 0o620);
        assert_eq!(read(true), "read", "the group is the account's own");
        chmod(&path, 0o602);
        assert!(read(true).contains("of the file"), "{}", read(true));
        assert_eq!(read(false), "read");
        chmod(&path, 0o600);
        chmod(folder.path(), 0o777);
        assert!(read(true).contains("of the folder"), "{}", read(true));
    }
}
