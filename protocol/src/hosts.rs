//! What an agent says of itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who a host is: 128 random bits given at enrolment, carried by its certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId([u8; 16]);

impl HostId {
    /// What a host's certificate says before its id, as a URI in the subject alternative name.
    pub const URI_PREFIX: &str = "watchward://host/";

    /// The identity made of these random bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a host id is 32 lower-case hexadecimal digits")]
pub struct NotAHostId;

impl FromStr for HostId {
    type Err = NotAHostId;

    fn from_str(text: &str) -> Result<Self, NotAHostId> {
        let plain = text.len() == 32
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = plain.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or(NotAHostId)
    }
}

/// The name in every collector's certificate, whatever address it is reached at.
pub const COLLECTOR: &str = "collector.watchward.internal";

/// The whole of what an agent found on its host: sent at every start and whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doctor {
    /// The agent's version.
    pub version: String,
    /// The operating system, such as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// What it watches, what it does not, and why.
    pub findings: Vec<Finding>,
}

impl Doctor {
    /// How many findings it has at most: well above all checks that can be ordered, and in the
    /// longest words still a record that travels.
    pub const MOST: usize = 1024;

    /// What the finding is about that says that others were left out.
    pub const LEFT_OUT: &str = "hosts: findings";

    /// With no more findings than are taken. Checks are left out first, and that some were is a
    /// finding itself.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let many = self.findings.len();
        if many <= Self::MOST {
            return self;
        }
        let kept = Self::MOST - 1;
        self.findings
            .sort_by_key(|finding| finding.check().is_some());
        self.findings.truncate(kept);
        self.findings.push(Finding {
            subject: Self::LEFT_OUT.to_owned(),
            state: FindingState::Failing,
            detail: format!("{many} things were found, and only {kept} of them are told"),
        });
        self
    }
}

/// One thing that an agent looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `access: journal`, `health: systemd`, ...
    pub subject: String,
    /// Whether it is watched.
    pub state: FindingState,
    /// One sentence for a person.
    pub detail: String,
}

impl Finding {
    /// What is found about a check: `health: ` and the check's name.
    pub fn subject_of(check: &str) -> String {
        format!("{CHECK}{check}")
    }

    /// The check that it is about.
    pub fn check(&self) -> Option<&str> {
        self.subject.strip_prefix(CHECK)
    }
}

const CHECK: &str = "health: ";

/// Whether something is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// It is.
    Watched,
    /// It is not there.
    Absent,
    /// It is there and cannot be watched.
    Failing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_not_all_findings_are_told_checks_are_left_out_and_that_is_told() {
        let finding = |subject: String| Finding {
            subject,
            state: FindingState::Watched,
            detail: String::new(),
        };
        let checks = |many| (0..many).map(|number| Finding::subject_of(&format!("tcp.{number}")));
        let doctor = |checks_run| Doctor {
            findings: checks(checks_run)
                .chain(["keys".to_owned(), "restriction: gates".to_owned()])
                .map(finding)
                .collect(),
            ..Doctor::default()
        };
        let whole = doctor(Doctor::MOST - 2);
        assert_eq!(whole.clone().bounded(), whole);
        let told = doctor(Doctor::MOST).bounded().findings;
        assert_eq!(told.len(), Doctor::MOST);
        for subject in ["keys", "restriction: gates", Doctor::LEFT_OUT] {
            assert!(told.iter().any(|one| one.subject == subject), "{subject}");
        }
    }
}
