//! The files that sshd is told by: all of them change in one step, and what a trial took the place of is kept beside them.
//!
//! Each whole is a folder of its own, and `now` is a link to the one in force. While `before` is there,
//! a trial has begun: it is what `now` was before. Where sshd was told nothing, that is a whole that says
//! nothing. While `unread` is there, the drop-in was changed, and sshd may not have been told to read
//! it. There is no other state.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::krl;

/// The lines that open each account.
pub(super) type Keys = BTreeMap<String, String>;

/// What sshd is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// The file of revocations.
    pub(super) revoked: Vec<u8>,
    /// The lines that open each account, beside its own files.
    pub(super) keys: Keys,
    /// The certificates that sshd shows, by the names of their files.
    pub(super) certificates: BTreeMap<String, String>,
    /// The drop-in by which sshd is told of all; empty: there is none.
    pub(super) told: String,
}

impl Whole {
    /// What revokes nothing and opens nothing.
    pub(super) fn nothing(told: String) -> Self {
        Self {
            revoked: krl::empty(),
            keys: Keys::new(),
            certificates: BTreeMap::new(),
            told,
        }
    }

    /// What sshd is told of what it shows of itself.
    pub(super) fn shown(&self) -> &str {
        let at = self.told.find(SHOWN);
        at.and_then(|at| self.told.get(at..)).unwrap_or_default()
    }

    /// What sshd is told besides.
    pub(super) fn plain(&self) -> &str {
        self.told.strip_suffix(self.shown()).unwrap_or(&self.told)
    }
}

/// Where they are.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) drop_in: PathBuf,
    pub(super) own: PathBuf,
    pub(super) now: PathBuf,
    before: PathBuf,
    unread: PathBuf,
}

/// When each file of a whole was changed last, and which it is.
pub(super) type Stamp = Vec<(PathBuf, u64, i64, i64)>;

/// How a drop-in of this role begins.
const HEAD: &str = "# Of watchward-enforcer-keys.service: what sshd is told of keys.\n";
/// With what that part of it begins which says what sshd shows of itself; what was ordered follows.
pub(super) const SHOWN: &str = "# What sshd shows of itself, as ordered: ";
/// How each whole is called, before its number.
const WHOLE: &str = "whole-";

impl Folder {
    /// Below sshd's own folder, `/etc/ssh`.
    pub(super) fn below(ssh: &Path) -> Self {
        let own = ssh.join("watchward");
        Self {
            drop_in: ssh.join("sshd_config.d/10-watchward.conf"),
            now: own.join("now"),
            before: own.join("before"),
            unread: own.join("unread"),
            own,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.own.is_dir()
    }

    /// The file of revocations, as sshd is told of it.
    pub(super) fn revoked(&self) -> String {
        self.now.join("revoked_keys").display().to_string()
    }

    /// The files of lines that open accounts, as sshd is told of them.
    pub(super) fn keys(&self) -> String {
        self.now.join("keys/%u").display().to_string()
    }

    /// How sshd is told; `files` are those in which it looks for keys besides.
    pub(super) fn text(&self, files: Option<&str>) -> String {
        let revoked = format!("{HEAD}RevokedKeys {}\n", self.revoked());
        let keys = self.keys();
        match files {
            None => revoked,
            Some("none") => format!("{revoked}AuthorizedKeysFile {keys}\n"),
            Some(files) => format!("{revoked}AuthorizedKeysFile {files} {keys}\n"),
        }
    }

    /// How sshd is told now, by this role.
    pub(super) fn told(&self) -> Option<String> {
        let text = fs::read_to_string(&self.drop_in).ok();
        text.filter(|text| text.starts_with(HEAD))
    }

    /// What is in force.
    pub(super) fn read(&self) -> io::Result<Whole> {
        let host = self.now.join("host");
        Ok(Whole {
            revoked: fs::read(self.now.join("revoked_keys"))?,
            keys: texts(&self.now.join("keys"))?,
            // Who was here before made none.
            certificates: match host.exists() {
                true => texts(&host)?,
                false => BTreeMap::new(),
            },
            told: fs::read_to_string(self.now.join("told"))?,
        })
    }

    /// What shows that something was changed, without reading all of it.
    pub(super) fn stamp(&self) -> Stamp {
        let folders = ["keys", "host"].map(|name| self.now.join(name));
        let files = folders.iter().filter_map(|it| fs::read_dir(it).ok());
        let files = files.flatten().flatten().map(|it| it.path());
        let own = ["", "keys", "host", "revoked_keys", "told"].map(|name| self.now.join(name));
        own.into_iter().chain(files).filter_map(stamp).collect()
    }

    /// Writes a whole aside; it is on the disk then.
    pub(super) fn make(&self, whole: &Whole) -> io::Result<PathBuf> {
        let free = |number: &u32| !self.own.join(format!("{WHOLE}{number}")).exists();
        let number = (0..).find(free).unwrap_or_default();
        let made = self.own.join(format!("{WHOLE}{number}"));
        let written = self.write(whole, &made);
        if written.is_err() {
            // Such as on a full disk: what is left there would be in the way of the next.
            let _as_far_as_can_be = fs::remove_dir_all(&made);
        }
        written.map(|()| made)
    }

    fn write(&self, whole: &Whole, made: &Path) -> io::Result<()> {
        let (keys, host) = (made.join("keys"), made.join("host"));
        fs::create_dir(made)?;
        fs::create_dir(&keys)?;
        fs::create_dir(&host)?;
        // sshd looks for keys as the user whom they open, and the names of others are none of theirs.
        for folder in [&self.own, made, &keys, &host] {
            fs::set_permissions(folder, Permissions::from_mode(0o711))?;
        }
        write(&made.join("revoked_keys"), &whole.revoked, 0o600)?;
        write(&made.join("told"), whole.told.as_bytes(), 0o600)?;
        for (account, text) in &whole.keys {
            write(&keys.join(account), text.as_bytes(), 0o644)?;
        }
        for (name, text) in &whole.certificates {
            write(&host.join(name), text.as_bytes(), 0o644)?;
        }
        rustix::fs::syncfs(File::open(made)?)?;
        Ok(())
    }

    /// Puts one in force that was made.
    pub(super) fn switch(&self, made: &Path) -> io::Result<()> {
        self.link(made, &self.now)
    }

    /// From here on there is a way back. What sshd was told before is in force, or made for this.
    pub(super) fn begin(&self, before: &Path) -> io::Result<()> {
        self.link(before, &self.before)
    }

    /// The whole in force, by its own name.
    pub(super) fn current(&self) -> io::Result<PathBuf> {
        fs::read_link(&self.now)
    }

    pub(super) fn has_begun(&self) -> bool {
        fs::symlink_metadata(&self.before).is_ok()
    }

    /// What was before the trial is so again, and the trial is over: in one step.
    pub(super) fn restore(&self) -> io::Result<()> {
        fs::rename(&self.before, &self.now)?;
        sync(&self.now)
    }

    /// There is no way back any more.
    pub(super) fn end(&self) -> io::Result<()> {
        absent(fs::remove_file(&self.before))?;
        sync(&self.before)
    }

    /// Has sshd told so, from its next start or reload.
    pub(super) fn tell(&self, told: &str) -> io::Result<()> {
        // From here on until sshd has read it, so that nobody who is killed in between leaves it unread.
        File::create(&self.unread)?;
        sync(&self.unread)?;
        if told.is_empty() {
            absent(fs::remove_file(&self.drop_in))?;
            return sync(&self.drop_in);
        }
        let next = self.drop_in.with_extension("watchward-next");
        write(&next, told.as_bytes(), 0o644)?;
        File::open(&next)?.sync_all()?;
        fs::rename(&next, &self.drop_in)?;
        sync(&self.drop_in)
    }

    /// Whether sshd was told to read what it is told, since that was changed last.
    pub(super) fn is_read(&self) -> bool {
        !self.unread.exists()
    }

    /// It was.
    pub(super) fn was_read(&self) -> io::Result<()> {
        absent(fs::remove_file(&self.unread))
    }

    /// Takes away every whole that is neither in force nor the way back, and every key that neither
    /// names.
    pub(super) fn clear(&self) {
        let kept = [&self.now, &self.before].map(|it| fs::read_link(it).unwrap_or_default());
        self.clear_host_keys(&kept);
        let entries = fs::read_dir(&self.own).into_iter().flatten().flatten();
        for entry in entries {
            let is_one = entry.file_name().to_string_lossy().starts_with(WHOLE);
            if is_one && !kept.contains(&entry.path()) {
                // What stays is tried again the next time.
                let _gone = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// When sshd's own configuration was changed last, but for this role's part of it.
    pub(super) fn configuration(&self) -> Stamp {
        let folder = self.drop_in.parent().unwrap_or(Path::new("/"));
        let main = folder.with_file_name("sshd_config");
        let parts = fs::read_dir(folder).into_iter().flatten().flatten();
        let parts: BTreeSet<PathBuf> = parts.map(|it| it.path()).collect();
        let others = parts.into_iter().filter(|it| *it != self.drop_in);
        let is_config = |it: &PathBuf| it.extension().is_some_and(|it| it == "conf");
        let all = others.filter(is_config).chain([main]);
        all.filter_map(stamp).collect()
    }

    /// Has `link` lead there, in one step.
    fn link(&self, to: &Path, link: &Path) -> io::Result<()> {
        let next = self.own.join("next");
        absent(fs::remove_file(&next))?;
        symlink(to, &next)?;
        fs::rename(&next, link)?;
        sync(link)
    }
}

/// What each file of a folder says.
fn texts(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let one = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok((name, fs::read_to_string(entry.path())?))
    };
    fs::read_dir(folder)?.map(one).collect()
}

fn stamp(path: PathBuf) -> Option<(PathBuf, u64, i64, i64)> {
    let it = fs::metadata(&path).ok()?;
    Some((path, it.ino(), it.ctime(), it.ctime_nsec()))
}

/// Writes a new file, whole.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    absent(fs::remove_file(path))?;
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)
}

/// What a folder has is so after a loss of power, too.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

pub(super) fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
