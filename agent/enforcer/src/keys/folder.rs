//! The files that sshd is told by: each changes in one step, and what a trial took the place of is kept beside it.
//!
//! There is no other state. `revoked_keys` says itself which it is. While `before` is there, a trial
//! has begun: it is what `revoked_keys` was before, or empty where sshd was told nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::krl;

/// Where they are.
#[derive(Debug)]
pub(super) struct Folder {
    drop_in: PathBuf,
    revoked: PathBuf,
    before: PathBuf,
    /// Where the next is made. What is left there by a crash is of no meaning.
    pub(super) next: PathBuf,
}

impl Folder {
    /// Below sshd's own folder, `/etc/ssh`.
    pub(super) fn below(ssh: &Path) -> Self {
        let own = ssh.join("watchward");
        Self {
            drop_in: ssh.join("sshd_config.d/10-watchward.conf"),
            revoked: own.join("revoked_keys"),
            before: own.join("before"),
            next: own.join("next"),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.revoked.parent().is_some_and(Path::is_dir)
    }

    /// The file of revocations, as sshd is told of it.
    pub(super) fn revoked(&self) -> &Path {
        &self.revoked
    }

    /// Whether sshd is told to look at it.
    pub(super) fn is_armed(&self) -> bool {
        fs::read_to_string(&self.drop_in).is_ok_and(|text| text == self.text())
    }

    /// What it has to refuse now, as the file has it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.revoked)
    }

    /// Puts a file of revocations in its place.
    pub(super) fn put(&self, file: &[u8]) -> io::Result<()> {
        write(&self.next, file)?;
        self.put_next()
    }

    /// The same of the one that was made at `next`.
    pub(super) fn put_next(&self) -> io::Result<()> {
        File::open(&self.next)?.sync_all()?;
        fs::rename(&self.next, &self.revoked)?;
        sync(&self.revoked)
    }

    /// From here on there is a way back.
    pub(super) fn begin(&self) -> io::Result<()> {
        match self.is_armed() {
            true => fs::hard_link(&self.revoked, &self.before)?,
            false => drop(File::create_new(&self.before)?),
        }
        sync(&self.before)
    }

    pub(super) fn has_begun(&self) -> bool {
        fs::symlink_metadata(&self.before).is_ok()
    }

    /// Whether sshd was told nothing before the trial.
    pub(super) fn began_with_nothing(&self) -> bool {
        fs::metadata(&self.before).is_ok_and(|it| it.len() == 0)
    }

    /// Has sshd told to look at the file, from its next start or reload.
    pub(super) fn arm(&self) -> io::Result<()> {
        let text = self.text();
        let next = self.drop_in.with_extension("watchward-next");
        write(&next, text.as_bytes())?;
        fs::set_permissions(&next, Permissions::from_mode(0o644))?;
        fs::rename(&next, &self.drop_in)?;
        sync(&self.drop_in)
    }

    /// Has sshd told nothing any more. Until it reads that, it refuses nothing: its file is still
    /// there, for without it sshd would refuse everybody.
    pub(super) fn disarm(&self) -> io::Result<()> {
        self.put(&krl::empty())?;
        absent(fs::remove_file(&self.drop_in))?;
        sync(&self.drop_in)
    }

    /// What was before the trial is so again, where sshd was told something.
    pub(super) fn restore(&self) -> io::Result<()> {
        fs::rename(&self.before, &self.revoked)?;
        sync(&self.revoked)
    }

    /// There is no way back any more. Beware: where both are one file, a rename leaves both.
    pub(super) fn end(&self) -> io::Result<()> {
        absent(fs::remove_file(&self.before))?;
        sync(&self.before)
    }

    fn text(&self) -> String {
        let revoked = self.revoked.display();
        format!(
            "# Of watchward-enforcer-keys.service: sshd refuses the keys that this file names.\n\
             RevokedKeys {revoked}\n"
        )
    }
}

/// Writes a new file aside, whole and on the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    absent(fs::remove_file(path))?;
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What a folder has is so after a loss of power, too.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
