//! The file with this host's key and certificate: replaced whole, or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use anyhow::Context;
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use watchward_daemon::tls::Identity;
use watchward_protocol::time::Timestamp;

use crate::uplink::{Address, Credentials, Standing};

/// What the file holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    key: String,
    pub(super) chain: String,
    authorities: String,
    pub(super) renew_at: Timestamp,
    /// Where the host enrolled.
    #[serde(default)]
    pub(super) collector: Option<Address>,
}

/// A new private key (PEM), and the request to certify it (DER).
pub(super) fn request() -> anyhow::Result<(String, Vec<u8>)> {
    let key = KeyPair::generate().context("cannot make a key")?;
    // Whatever a request asks for, the collector takes only the public key from it.
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

impl Kept {
    pub(super) fn new(key: String, given: Credentials, collector: Option<Address>) -> Self {
        let Credentials {
            chain,
            authorities,
            renew_at,
        } = given;
        Self {
            key,
            chain,
            authorities,
            renew_at,
            collector,
        }
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            let path = path.display();
            format!("this host is not enrolled ({path} cannot be read); run watchward-agent enroll")
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().context("the identity's file has no folder")?;
        let beside = path.with_extension("new");
        let text = serde_json::to_string_pretty(self)?;
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            let _ = std::fs::remove_file(&beside);
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(text.as_bytes())?;
            give_to_owner_of(folder, &file)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            File::open(folder)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn standing(&self) -> anyhow::Result<Standing> {
        Ok(Standing {
            collector: self.collector.clone(),
            identity: Identity::from_pem(&self.chain, &self.key)?,
            authorities: self.authorities.clone().into(),
            changed: Notify::new(),
        })
    }

    /// Has a running program use this from its next connection on.
    pub(super) fn adopt(&self, standing: &Standing) -> anyhow::Result<()> {
        standing.identity.exchange(&self.chain, &self.key)?;
        let mut known = standing
            .authorities
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        known.clone_from(&self.authorities);
        drop(known);
        standing.changed.notify_one();
        Ok(())
    }
}

/// Root enrols, and the agent runs as the user that its folder belongs to.
fn give_to_owner_of(folder: &Path, file: &File) -> std::io::Result<()> {
    let (owner, own) = (folder.metadata()?, file.metadata()?);
    if own.uid() != 0 || owner.uid() == own.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}
