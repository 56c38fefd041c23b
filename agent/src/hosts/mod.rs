//! What the agent knows of itself: who it is, and what it found on its host.

mod certificate;
mod identity;
mod renewal;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use watchward_daemon::tasks::Stop;
use watchward_protocol::hosts::{Doctor, Finding};
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
    let mut doctor = Doctor {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        system: system(),
        findings: Vec::new(),
    };
    while let Some(first) = findings.recv().await {
        let mut changed = note(&mut doctor, first);
        // Rooms speak at about the same time: wait for the others, and report once.
        let settled = tokio::time::sleep(Duration::from_millis(300));
        tokio::pin!(settled);
        loop {
            tokio::select! {
                next = findings.recv() => match next {
                    Some(next) => changed |= note(&mut doctor, next),
                    None => break,
                },
                () = &mut settled => break,
                () = stop.cancelled() => break,
            }
        }
        if changed {
            let reports = vec![Report::Doctor(doctor.clone())];
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

/// Takes a finding in; says whether that changes anything.
fn note(doctor: &mut Doctor, new: Finding) -> bool {
    let findings = &mut doctor.findings;
    if takes_back(&new) {
        let before = findings.len();
        findings.retain(|old| old.subject != new.subject);
        return findings.len() < before;
    }
    match findings.iter_mut().find(|old| old.subject == new.subject) {
        Some(old) if *old == new => false,
        Some(old) => {
            *old = new;
            true
        }
        None => {
            findings.push(new);
            findings.sort_by(|a, b| a.subject.cmp(&b.subject));
            true
        }
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
    use watchward_protocol::hosts::FindingState;

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

    #[tokio::test]
    async fn findings_are_reported_as_a_whole_and_only_when_they_change() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (keeper, mut kept) = Keeper::new();
        let told = async move {
            sender.send(finding("b", "1")).unwrap();
            sender.send(finding("a", "1")).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send(finding("a", "1")).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send(finding("a", "2")).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            for subject in ["b", "never said"] {
                sender.send(taken_back(subject.to_owned())).unwrap();
            }
        };
        tokio::time::pause();
        let (done, ()) = tokio::join!(report(receiver, keeper, Stop::new()), told);
        done.unwrap();
        let mut reports = Vec::new();
        while let Some(entry) = kept.recv().await {
            let [Report::Doctor(doctor)] = &entry.reports[..] else {
                panic!("not a doctor")
            };
            reports.push(doctor.findings.clone());
        }
        let first = vec![finding("a", "1"), finding("b", "1")];
        let changed = vec![finding("a", "2"), finding("b", "1")];
        assert_eq!(reports, [first, changed, vec![finding("a", "2")]]);
    }
}
