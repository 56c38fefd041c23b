//! What the agent knows of itself: who it is, and what it found on its host.

mod certificate;
mod identity;
mod renewal;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::{Doctor, Finding, FindingState};
use watchward_protocol::record::Report;

use crate::findings::takes_back;
use crate::spool::{Entry, Keeper};
use crate::uplink::{self, Token};

pub use certificate::certificate;
pub use renewal::renew;

/// How often a host that is not enrolled looks whether it is.
const GLANCE: Duration = Duration::from_secs(1);

/// The table `[hosts]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file that holds this host's private key and certificate. Only its owner can read it.
    pub identity: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: PathBuf::from("/var/lib/watchward-agent/identity.json"),
        }
    }
}

impl Config {
    /// Who this host is, as enrolment left it.
    ///
    /// # Errors
    /// It is not enrolled, or the file cannot be used.
    pub fn standing(&self) -> anyhow::Result<uplink::Standing> {
        identity::Kept::read(&self.identity)?.standing()
    }

    /// Waits until there is somebody to be.
    pub async fn enrolled(&self) {
        // What is there and cannot be read is said by whoever reads it.
        while matches!(self.identity.try_exists(), Ok(false)) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Enrols this host under a name: makes a key here, and has the collector certify it.
    ///
    /// # Errors
    /// The host is enrolled already, the collector refuses, or the file cannot be written.
    pub async fn enrol(
        &self,
        uplink: &uplink::Config,
        token: &Token,
        name: &str,
    ) -> anyhow::Result<()> {
        let file = self.identity.display();
        anyhow::ensure!(
            !self.identity.exists(),
            "this host is enrolled: {file} exists. To enrol it again, stop the agent and remove it"
        );
        let (key, request) = identity::request()?;
        let given = uplink::enrol(uplink, token, name, request).await?;
        identity::Kept::new(key, given, uplink.collector.clone()).write(&self.identity)
    }
}

/// This host's own name for itself.
///
/// # Errors
/// The kernel has none that is text.
pub fn name() -> anyhow::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("the host's name")?;
    Ok(name.trim().to_owned())
}

/// Reports what rooms found: the whole of it, at the start and whenever it changes.
///
/// # Errors
/// None.
pub async fn report(
    mut findings: mpsc::UnboundedReceiver<Finding>,
    keeper: Keeper,
    stop: Stop,
) -> anyhow::Result<()> {
    let mut found = Found::default();
    while let Some(first) = findings.recv().await {
        let mut changed = found.note(first);
        // Rooms speak at about the same time: wait for the others, and report once.
        let settled = tokio::time::sleep(Duration::from_millis(300));
        tokio::pin!(settled);
        loop {
            tokio::select! {
                next = findings.recv() => match next {
                    Some(next) => changed |= found.note(next),
                    None => break,
                },
                () = &mut settled => break,
                () = stop.cancelled() => break,
            }
        }
        if changed {
            let doctor = Doctor {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                system: system(),
                findings: found.tell(),
            };
            let reports = vec![Report::Doctor(doctor)];
            keeper
                .keep(Entry {
                    reports,
                    position: None,
                })
                .await?;
        }
    }
    Ok(())
}

/// What was found, by its subject.
#[derive(Default)]
struct Found(BTreeMap<String, Noted>);

struct Noted {
    finding: Finding,
    told: bool,
    /// It was taken back before it was told that there is nothing any more: it is told once.
    leaves: bool,
}

impl Found {
    /// Takes a finding in; says whether there is anything to tell.
    fn note(&mut self, new: Finding) -> bool {
        if takes_back(&new) {
            return self.take_back(&new.subject);
        }
        let before = self.0.get_mut(&new.subject);
        if let Some(noted) = before.filter(|noted| noted.finding == new) {
            noted.leaves = false;
            return false;
        }
        let noted = Noted {
            finding: new.clone(),
            told: false,
            leaves: false,
        };
        self.0.insert(new.subject, noted);
        true
    }

    fn take_back(&mut self, subject: &str) -> bool {
        match self.0.get_mut(subject) {
            None => false,
            Some(noted) if !noted.told && noted.finding.state == FindingState::Absent => {
                noted.leaves = true;
                true
            }
            Some(_) => self.0.remove(subject).is_some(),
        }
    }

    /// The whole of it, which is told now.
    fn tell(&mut self) -> Vec<Finding> {
        let all = self.0.values().map(|noted| noted.finding.clone()).collect();
        self.0.retain(|_, noted| !noted.leaves);
        for noted in self.0.values_mut() {
            noted.told = true;
        }
        all
    }
}

/// The operating system's name for itself.
fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("Linux", |name| name.trim_matches('"'))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::taken_back;

    fn finding(subject: &str, detail: &str) -> Finding {
        let (subject, detail) = (subject.to_owned(), detail.to_owned());
        Finding {
            subject,
            state: FindingState::Watched,
            detail,
        }
    }

    fn absent(subject: &str) -> Finding {
        Finding {
            state: FindingState::Absent,
            ..finding(subject, "it is no longer configured")
        }
    }

    /// What is reported when this is said, each part a second after the one before.
    async fn reported(parts: Vec<Vec<Finding>>) -> Vec<Vec<Finding>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (keeper, mut kept) = Keeper::new();
        let told = async move {
            for part in parts {
                for finding in part {
                    sender.send(finding).unwrap();
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let (done, ()) = tokio::join!(report(receiver, keeper, Stop::new()), told);
        done.unwrap();
        let mut reports = Vec::new();
        while let Some(entry) = kept.recv().await {
            let [Report::Doctor(doctor)] = &entry.reports[..] else {
                panic!("not a doctor")
            };
            reports.push(doctor.findings.clone());
        }
        reports
    }

    #[tokio::test(start_paused = true)]
    async fn findings_are_reported_as_a_whole_and_only_when_they_change() {
        let back = |subject: &str| taken_back(subject.to_owned());
        let reports = reported(vec![
            vec![finding("b", "1"), finding("a", "1")],
            vec![finding("a", "1")],
            vec![finding("a", "2")],
            vec![back("b"), back("never said")],
        ])
        .await;
        let first = vec![finding("a", "1"), finding("b", "1")];
        let changed = vec![finding("a", "2"), finding("b", "1")];
        assert_eq!(reports, [first, changed, vec![finding("a", "2")]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gone_is_told_once_and_takes_no_place_for_ever() {
        let back = |subject: &str| taken_back(subject.to_owned());
        let (a, b) = (finding("a", "1"), finding("b", "1"));
        let reports = reported(vec![
            vec![a.clone(), b.clone()],
            vec![absent("b"), back("b")],
            vec![finding("a", "2")],
            // Gone and there again before anybody was told.
            vec![absent("a"), back("a"), a.clone()],
            vec![b.clone()],
        ])
        .await;
        let expected = [
            vec![a.clone(), b.clone()],
            vec![a.clone(), absent("b")],
            vec![finding("a", "2")],
            vec![a.clone()],
            vec![a, b],
        ];
        assert_eq!(reports, expected);
    }
}
