//! Secrets at rest: sealed with a master key that is not in the database, so that neither the database
//! nor a backup of it opens anything.

mod config;
mod key;
mod salt;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::store::Store;

use key::Key;

pub use config::Config;
pub use salt::SCHEMA;

/// The first byte of whatever is sealed in this form: version, the key's id, nonce, AES-256-GCM.
const VERSION: u8 = 1;

/// Something sealed, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// As it was kept.
    pub fn kept(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What is kept of it.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

/// Why something cannot be unsealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Shut {
    /// The master key that it was sealed with is not here.
    #[error("it is sealed with the master key {0}, which is not here")]
    OtherKey(String),
    /// It was changed, or is somebody else's.
    #[error("it was changed since it was sealed, or was sealed for something else")]
    Broken,
}

/// The master keys: the first seals, each opens what it has sealed.
#[derive(Clone)]
pub struct Sealing(Arc<[Key]>);

impl Sealing {
    /// Reads the master keys that the configuration names; if it names none, those in `master.key`
    /// beside the certificate authority's file, which is made at the first start.
    ///
    /// # Errors
    /// A file cannot be read or made, or what it says is no key; the database's.
    pub async fn open(store: &Store, config: &Config, authority: &Path) -> anyhow::Result<Self> {
        let keys = match (&config.master_key, &config.passphrase_file) {
            (Some(file), _) => key::parse(file.read()?.reveal()).context("[sealing] master_key")?,
            (None, Some(file)) => {
                let salt = salt::salt(store).await?;
                let passphrase = file.read().context("[sealing] passphrase_file")?;
                vec![key::from_passphrase(passphrase, salt).await?]
            }
            (None, None) => key::beside(&authority.with_file_name("master.key"))?,
        };
        Ok(Self(keys.into()))
    }

    /// A master key that nobody keeps.
    pub fn fleeting() -> Self {
        Self([Key::new(&Zeroizing::new(rand::random()))].into())
    }

    /// The master keys of this text.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(key::parse(text).unwrap().into())
    }

    /// Seals the secret of `what`, such as `people.factor 12`: opened as anything else it is broken.
    ///
    /// # Errors
    /// None that is known of.
    pub fn seal(&self, what: &str, secret: &[u8]) -> anyhow::Result<Sealed> {
        let key = self.0.first().context("there is no master key")?;
        let mut bytes = vec![VERSION];
        bytes.extend(key.id());
        bytes.extend(key.seal(what, secret)?);
        Ok(Sealed(bytes))
    }

    /// The secret of `what`, wiped when it is dropped. Each unsealing is said in the log.
    ///
    /// # Errors
    /// Why it cannot be unsealed.
    pub fn unseal(&self, what: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Shut> {
        let Some((VERSION, rest)) = sealed.0.split_first().map(|(first, rest)| (*first, rest))
        else {
            return Err(Shut::Broken);
        };
        let (id, rest) = rest.split_first_chunk::<4>().ok_or(Shut::Broken)?;
        let Some(key) = self.0.iter().find(|key| key.id() == *id) else {
            return Err(Shut::OtherKey(key::words(*id)));
        };
        let secret = key.open(what, rest).ok_or(Shut::Broken)?;
        tracing::info!(what, key = key::words(*id), "unsealed");
        Ok(secret)
    }

    /// Whether this was sealed with the newest master key.
    pub fn is_current(&self, sealed: &Sealed) -> bool {
        let id = sealed.0.get(1..5);
        self.0.first().is_some_and(|key| id == Some(&key.id()[..]))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing")
    }
}
