//! The key by which this collector signs receipts, sealed at rest.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use watchward_protocol::receipt::{Public, signed};
use watchward_protocol::time::Timestamp;

use crate::keys::rows::signer as rows;
use crate::sealing::{Sealed, Sealing};
use crate::store::Store;

/// What it is sealed for.
const WHAT: &str = "keys.signer";

/// Signs receipts.
#[derive(Clone)]
pub struct Signer(Arc<Inner>);

struct Inner {
    public: Public,
    /// Why nothing can be signed, if so.
    pair: Result<Ed25519KeyPair, String>,
}

impl Signer {
    /// The key that is kept, which is made at the first start. One that cannot be unsealed signs
    /// nothing, and hinders nothing else.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(store: &Store, sealing: &Sealing, now: Timestamp) -> anyhow::Result<Self> {
        let (public, sealed) = match rows::find(store).await? {
            Some(kept) => kept,
            None => {
                make(store, sealing, now).await?;
                // Of two that make one at once, both use the first.
                rows::find(store).await?.context("it was not kept")?
            }
        };
        let pair = unsealed(sealing, &sealed);
        match &pair {
            Ok(_) if !sealing.is_current(&sealed) => reseal(store, sealing, sealed).await?,
            Ok(_) => {}
            Err(error) => tracing::error!(error, "the key that signs receipts cannot be used"),
        }
        let public = Public(public);
        Ok(Self(Arc::new(Inner { public, pair })))
    }

    /// What receipts are looked at with.
    pub fn public(&self) -> Public {
        self.0.public
    }

    /// The text of a receipt or a report, signed.
    ///
    /// # Errors
    /// Why the key cannot be used, for people.
    pub fn sign(&self, what: &impl Serialize) -> Result<String, String> {
        let pair = self.0.pair.as_ref().map_err(Clone::clone)?;
        let sign = |body: &[u8]| {
            let signature = pair.sign(body);
            <[u8; 64]>::try_from(signature.as_ref()).unwrap_or([0; 64])
        };
        let text = signed(what, sign);
        text.map_err(|error| format!("what is to be signed cannot be written: {error}"))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.0.public)
    }
}

fn unsealed(sealing: &Sealing, sealed: &Sealed) -> Result<Ed25519KeyPair, String> {
    let secret = sealing.unseal(WHAT, sealed);
    let secret = secret.map_err(|shut| format!("the key that signs receipts: {shut}"))?;
    let pair = Ed25519KeyPair::from_pkcs8(&secret);
    pair.map_err(|error| format!("the key that signs receipts is none: {error}"))
}

async fn make(store: &Store, sealing: &Sealing, now: Timestamp) -> anyhow::Result<()> {
    let none = |_| anyhow!("no key can be made that signs receipts");
    let pair = Ed25519KeyPair::generate().map_err(none)?;
    let document = pair.to_pkcs8v1().map_err(none)?;
    let sealed = sealing.seal(WHAT, document.as_ref())?;
    let public = pair.public_key().as_ref().try_into()?;
    let mut tx = store.begin().await?;
    rows::keep(&mut tx, (public, sealed), now).await?;
    Ok(tx.commit().await?)
}

async fn reseal(store: &Store, sealing: &Sealing, old: Sealed) -> anyhow::Result<()> {
    let secret = sealing.unseal(WHAT, &old)?;
    let new = sealing.seal(WHAT, &secret)?;
    let mut tx = store.begin().await?;
    rows::reseal(&mut tx, (old, new)).await?;
    Ok(tx.commit().await?)
}
