//! The confirmed gates on disk, so that they hold from the next start on.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::frame::Framed;
use crate::gates::Gates;

/// Where they are kept.
pub(crate) struct Kept(PathBuf);

impl Kept {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self(folder.join("gates"))
    }

    /// What was kept last; no gates, where nothing was.
    pub(crate) fn read(&self) -> Result<Gates, String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", self.0.display());
        match fs::read(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Gates {
                put_back: true,
                ..Gates::default()
            }),
            Err(error) => Err(said(&error)),
            Ok(bytes) => Gates::decode(&bytes).map_err(|error| said(&error)),
        }
    }

    /// Keeps these: on the disk, in one step.
    pub(crate) fn write(&self, gates: &Gates) -> io::Result<()> {
        let bytes = gates.encode().map_err(io::Error::other)?;
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        let folder = self.0.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }
}
