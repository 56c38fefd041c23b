//! Makes, switches and destroys keys on the disk: whoever is killed at whatever step leaves one that
//! works.
//!
//! `NAME/SERIAL` is the folder of a key, with `id` and `id.pub` in it. It gets its name only when all of
//! it is on the disk, and loses it before anything of it is taken away. `NAME/id` and `NAME/id.pub` lead
//! through `NAME/current`, the one link that a switch replaces; `NAME/newest` leads to the key that was
//! made last. What begins with a dot is unfinished. `known_hosts` beside them says how hosts are known.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use watchward_protocol::identities::{Identities, Identity, is_name};

use super::acl;

/// The link that says which key programs use.
const CURRENT: &str = "current";
/// The link for whoever reads `id` at the very moment of a switch: a client of OpenSSH reads the public
/// half first and the private one later, and refuses to use halves of two keys.
const NEWEST: &str = "newest";
/// How programs know the hosts that they log in to: no identity can be called so.
const KNOWN_HOSTS: &str = "known_hosts";
/// Others pass through, and see nothing.
const PASSAGE: u32 = 0o711;
const OWN: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// The file of a private key.
pub(super) fn private(home: &Path, serial: u32) -> PathBuf {
    home.join(serial.to_string()).join("id")
}

/// The file of its public half.
pub(super) fn public(home: &Path, serial: u32) -> PathBuf {
    home.join(serial.to_string()).join("id.pub")
}

/// The key that programs use; none: there is none.
pub(super) fn current(home: &Path) -> Option<u32> {
    let link = fs::read_link(home.join(CURRENT)).ok()?;
    let serial = link.to_str()?.parse().ok()?;
    private(home, serial).exists().then_some(serial)
}

/// The keys that exist.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn serials(home: &Path) -> io::Result<Vec<u32>> {
    let mut serials: Vec<u32> = names(home)?
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect();
    serials.sort_unstable();
    Ok(serials)
}

/// What is in a folder; nothing, if there is none.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// The folder of all identities, and who knows the numbers of accounts.
pub(super) struct Keeping<'a, F> {
    folder: &'a Path,
    number: F,
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<usize>,
}

impl<'a, F: Fn(&str) -> Result<u32, String>> Keeping<'a, F> {
    pub(super) fn new(folder: &'a Path, number: F) -> Self {
        Self {
            folder,
            number,
            #[cfg(test)]
            steps: std::cell::Cell::new(usize::MAX),
        }
    }

    /// Has all of these exist, and nothing else; says of each what went wrong.
    pub(super) fn activate(&self, ordered: &Identities) -> BTreeMap<String, String> {
        let mut troubles = BTreeMap::new();
        for identity in &ordered.identities {
            if let Err(trouble) = self.one(identity) {
                troubles.insert(identity.name.clone(), trouble);
            }
        }
        if let Err(error) = self.know(ordered) {
            let trouble = format!("{KNOWN_HOSTS} cannot be written: {error}");
            for identity in &ordered.identities {
                let name = identity.name.clone();
                troubles.entry(name).or_insert_with(|| trouble.clone());
            }
        }
        let is_ordered = |name: &String| ordered.identities.iter().any(|it| it.name == *name);
        for name in names(self.folder).unwrap_or_default() {
            let is_left = name.starts_with('.') || is_name(&name) && !is_ordered(&name);
            if is_left && let Err(error) = self.destroy(self.folder, &name) {
                let name = name.trim_matches('.').to_owned();
                troubles.insert(name, format!("it cannot be destroyed: {error}"));
            }
        }
        troubles
    }

    fn one(&self, identity: &Identity) -> Result<(), String> {
        let home = self.folder.join(&identity.name);
        let failed = |what: &str| {
            let (what, home) = (what.to_owned(), home.display().to_string());
            move |error: io::Error| format!("{what} in {home}: {error}")
        };
        self.passage(self.folder)
            .map_err(failed("no folder can be made"))?;
        self.passage(&home)
            .map_err(failed("no folder can be made"))?;
        let reader = (self.number)(&identity.account)?;
        let mut made = Ok(());
        for serial in &identity.serials {
            let done = self.key(&home, *serial, reader);
            let what = format!("key {serial} cannot be made for {}", identity.account);
            made = made.and(done.map_err(failed(&what)));
        }
        self.newest(&home, &identity.serials)
            .map_err(failed("the newest key cannot be named"))?;
        let switched = self.switch(&home, identity.using);
        switched.map_err(failed("the key that programs use cannot be changed"))?;
        self.tidy(&home, &identity.serials)
            .map_err(failed("a key cannot be destroyed"))?;
        made
    }

    /// Has programs know hosts by these lines, where there are programs.
    fn know(&self, ordered: &Identities) -> io::Result<()> {
        let file = self.folder.join(KNOWN_HOSTS);
        if ordered.identities.is_empty() || ordered.known_hosts.is_empty() {
            return self.remove(&file);
        }
        let text = ordered.known_hosts.join("\n") + "\n";
        if fs::read_to_string(&file).is_ok_and(|it| it == text) {
            return Ok(());
        }
        let next = self.folder.join(format!(".{KNOWN_HOSTS}.next"));
        self.remove(&next)?;
        self.write(&next, (text.as_bytes(), PUBLIC), None)?;
        self.rename(&next, &file)?;
        sync(self.folder)
    }

    /// A folder that others may pass through.
    fn passage(&self, folder: &Path) -> io::Result<()> {
        if !folder.is_dir() {
            self.step()?;
            DirBuilder::new()
                .recursive(true)
                .mode(PASSAGE)
                .create(folder)?;
        }
        let mode = fs::metadata(folder)?.permissions().mode();
        if mode & 0o7777 != PASSAGE {
            self.step()?;
            fs::set_permissions(folder, Permissions::from_mode(PASSAGE))?;
        }
        Ok(())
    }

    /// Has a key exist, which this account may read.
    fn key(&self, home: &Path, serial: u32, reader: u32) -> io::Result<()> {
        let us = rustix::process::geteuid().as_raw();
        let reader = (reader != us && reader != 0).then_some(reader);
        let is_whole = public(home, serial).is_file() && private(home, serial).is_file();
        if is_whole {
            return acl::hold(&File::open(private(home, serial))?, reader);
        }
        let name = serial.to_string();
        if home.join(&name).exists() {
            self.destroy(home, &name)?;
        }
        let next = home.join(format!(".{name}.next"));
        self.remove(&next)?;
        self.step()?;
        DirBuilder::new().mode(PASSAGE).create(&next)?;
        fs::set_permissions(&next, Permissions::from_mode(PASSAGE))?;
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let mut key = key.map_err(io::Error::other)?;
        let whose = home.file_name().unwrap_or_default().to_string_lossy();
        key.set_comment(format!("watchward {whose} {serial}"));
        let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
        let line = key.public_key().to_openssh().map_err(io::Error::other)?;
        self.write(&next.join("id"), (text.as_bytes(), OWN), reader)?;
        self.write(
            &next.join("id.pub"),
            (format!("{line}\n").as_bytes(), PUBLIC),
            None,
        )?;
        sync(&next)?;
        self.rename(&next, &home.join(name))?;
        sync(home)
    }

    /// Has programs use this key, if it is there; 0: none.
    fn switch(&self, home: &Path, using: u32) -> io::Result<()> {
        if using == 0 {
            return self.remove(&home.join(CURRENT));
        }
        if !private(home, using).exists() {
            return Ok(());
        }
        for (name, target) in [
            (CURRENT, using.to_string()),
            ("id", format!("{CURRENT}/id")),
            ("id.pub", format!("{CURRENT}/id.pub")),
        ] {
            self.link(home, name, &target)?;
        }
        sync(home)
    }

    /// Has programs find the newest of these keys, before they use it and after.
    fn newest(&self, home: &Path, wanted: &[u32]) -> io::Result<()> {
        let there = wanted.iter().filter(|it| private(home, **it).exists());
        match there.max() {
            Some(newest) => self.link(home, NEWEST, &format!("{newest}/id")),
            None => Ok(()),
        }
    }

    fn link(&self, home: &Path, name: &str, target: &str) -> io::Result<()> {
        let link = home.join(name);
        if fs::read_link(&link).is_ok_and(|it| it == Path::new(target)) {
            return Ok(());
        }
        let next = home.join(format!(".{name}.next"));
        self.remove(&next)?;
        self.step()?;
        symlink(target, &next)?;
        self.rename(&next, &link)
    }

    /// Destroys what is not named, but never what programs use.
    fn tidy(&self, home: &Path, wanted: &[u32]) -> io::Result<()> {
        let used = current(home);
        for name in names(home)? {
            let serial = name.parse::<u32>().ok();
            let is_over = serial.is_some_and(|it| !wanted.contains(&it) && used != Some(it));
            if is_over || name.starts_with('.') {
                self.destroy(home, &name)?;
            }
        }
        Ok(())
    }

    /// What is taken away loses its name first, so that nothing finds a part of it.
    fn destroy(&self, folder: &Path, name: &str) -> io::Result<()> {
        let here = folder.join(name);
        if name.starts_with('.') {
            return self.remove(&here);
        }
        let gone = folder.join(format!(".{name}.gone"));
        self.remove(&gone)?;
        self.rename(&here, &gone)?;
        sync(folder)?;
        self.remove(&gone)
    }

    fn write(&self, path: &Path, (bytes, mode): (&[u8], u32), to: Option<u32>) -> io::Result<()> {
        self.step()?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(OWN)
            .open(path)?;
        // Before there is anything to read.
        file.set_permissions(Permissions::from_mode(mode))?;
        acl::hold(&file, to)?;
        self.step()?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let kind = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            known => known?.file_type(),
        };
        if !kind.is_dir() {
            self.step()?;
            return fs::remove_file(path);
        }
        for name in names(path)? {
            self.remove(&path.join(name))?;
        }
        self.step()?;
        fs::remove_dir(path)
    }

    /// Before each step that the disk sees.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests count")
    )]
    fn step(&self) -> io::Result<()> {
        #[cfg(test)]
        {
            let left = self.steps.get().checked_sub(1);
            self.steps
                .set(left.ok_or_else(|| io::Error::other("killed"))?);
        }
        Ok(())
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
