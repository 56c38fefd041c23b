//! What a policy is read with, and what it has to be like before it comes into force.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use watchward_daemon::config::Invalid;
use watchward_daemon::service;
use watchward_protocol::time::Timestamp;

use crate::alerting::Contact;
use crate::config::{Config, Policy};
use crate::policy::Signers;
use crate::restriction::Own;

/// What a policy is read with.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// The policy's file.
    pub(super) file: PathBuf,
    signers: Option<PathBuf>,
    contacts: Vec<Contact>,
    own: Own,
}

/// A policy as somebody brings it.
#[derive(Clone, Debug, Default)]
pub(super) struct Brought {
    /// What errors call it.
    pub(super) named: PathBuf,
    /// Its text.
    pub(super) text: String,
    /// Its signature, as `ssh-keygen -Y sign` makes one.
    pub(super) signature: Option<String>,
}

impl Basis {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            file: config.policy.file.clone(),
            signers: config.policy.signers.clone(),
            contacts: config.alerting.contacts.clone(),
            own: Own {
                machine: service::machine(),
                ports: vec![config.intake.listen.port(), config.intake.enrolment.port()],
            },
        }
    }

    /// How the file is known among those of other collectors.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.own.machine, self.file.display())
    }

    /// What the text says.
    pub(super) fn read(&self, text: &str, named: &Path) -> Result<Policy, Invalid> {
        Policy::parse(text, named, &self.contacts)
    }

    /// Looks whether hosts elsewhere could still reach the collector.
    pub(super) fn spares(&self, policy: &Policy, brought: &Brought) -> Result<(), Invalid> {
        let spared = policy.restriction.spares(&self.own);
        spared.map_err(|place| Invalid::misplaced(&brought.named, &brought.text, &place))
    }

    /// Who has signed it; nobody, where nobody has to.
    pub(super) fn signer(
        &self,
        brought: &Brought,
        now: Timestamp,
    ) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.signers else {
            return Ok(None);
        };
        let signers = Signers::read(file)?;
        let named = brought.named.display();
        let Some(signature) = &brought.signature else {
            anyhow::bail!(
                "{named} is not signed, and only a policy that somebody in {} has signed comes into \
                 force: `watchward policy apply --sign KEYFILE`",
                file.display()
            );
        };
        let who = signers.who(&brought.text, signature, now);
        Ok(Some(who.map_err(|why| anyhow::anyhow!("{named}: {why}"))?))
    }

    /// What stands in the policy's file now, with its signature beside it; none if there is no file.
    pub(super) fn brought(&self) -> Result<Option<Brought>, Invalid> {
        let text = match std::fs::read_to_string(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Invalid::Unreadable {
                path: self.file.clone(),
                error,
            })?,
        };
        let mut beside = self.file.clone().into_os_string();
        beside.push(".sig");
        Ok(Some(Brought {
            named: self.file.clone(),
            text,
            signature: std::fs::read_to_string(beside).ok(),
        }))
    }
}
