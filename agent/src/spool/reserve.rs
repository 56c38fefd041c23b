//! A little room set aside on the spool's disk: without it a full disk has no room even for taking
//! records away.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use super::Config;

const SIZE: usize = 1 << 20;

/// The file that holds the room.
#[derive(Debug)]
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn new(config: &Config) -> Self {
        Self(config.directory.join("reserve"))
    }

    /// Sets the room aside, if there is any.
    pub(super) fn fill(&self) {
        let whole = fs::metadata(&self.0).is_ok_and(|kept| kept.len() == SIZE as u64);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&self.0)?;
            file.write_all(&vec![0xff; SIZE])?;
            file.sync_all()
        };
        if !whole && write().is_err() {
            self.give();
        }
    }

    /// Gives the room away.
    pub(super) fn give(&self) {
        // Where there is none there is none to give.
        let _ = fs::remove_file(&self.0);
    }
}
