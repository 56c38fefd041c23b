//! Where somebody logged in last, and as whom: `~/.config/watchward/login.json`. No secret is in it.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// What is remembered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) url: String,
    pub(super) name: String,
}

impl Remembered {
    /// As it was the last time; a file that makes no sense is none.
    pub(super) fn read() -> Option<Self> {
        serde_json::from_slice(&fs::read(file()?).ok()?).ok()
    }

    /// For the next time.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let file = file().context("there is no HOME to remember it in")?;
        let named = || file.display().to_string();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(named)?;
        }
        fs::write(&file, serde_json::to_vec(self)?).with_context(named)
    }
}

fn file() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty());
    let folder = folder.map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(PathBuf::from(home).join(".config"))
    });
    Some(folder?.join("watchward/login.json"))
}
