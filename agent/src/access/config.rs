//! What `[access]` in `agent.toml` says: where the host's servers say who gets in.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchward_protocol::access::Service;

/// `[access]`: where the host's servers say who gets in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whose lines are read: `sshd`, `sudo`, `su`, `openvpn`; of `wireguard`, which
    /// writes none, it is looked who is there.
    pub services: Vec<Service>,
    /// Where: `auto` takes the journal where there is one and the files where there is none;
    /// `journal`, `files` and `off` are what they say.
    pub source: Source,
    /// The text files that a syslog daemon writes such lines to. One that does not exist is waited
    /// for.
    pub files: Vec<LogFile>,
    /// The files that OpenVPN servers write themselves (`log`, `log-append`), besides the source
    /// above. One that does not exist is waited for.
    pub openvpn_logs: Vec<LogFile>,
}

impl Default for Config {
    fn default() -> Self {
        let file = |path: &str| LogFile(PathBuf::from(path));
        Self {
            services: Service::ALL.to_vec(),
            source: Source::Auto,
            files: vec![file("/var/log/auth.log"), file("/var/log/secure")],
            openvpn_logs: Vec::new(),
        }
    }
}

/// Where lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let read = watchward_daemon::config::read::<Config>(file.path());
        read.unwrap_err().to_string()
    }

    #[test]
    fn what_is_impossible_is_shown_with_its_place() {
        for (line, expected) in [
            ("source = \"jurnal\"", "`journal`"),
            ("services = [\"telnet\"]", "`openvpn`"),
            ("files = [\"auth.log\"]", "absolute path"),
            ("files = [\"/\"]", "absolute path"),
            ("file = []", "unknown field"),
        ] {
            let error = refusal(line);
            assert!(
                error.contains("line 1") && error.contains('^'),
                "{line}: {error}"
            );
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
