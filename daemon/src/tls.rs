//! A program's identity in TLS: a certificate and its key, exchanged while connections go on.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, SupportedProtocolVersion};

/// The only version of TLS that is spoken between agent and collector.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The cryptography of the whole program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate chain and its key; new connections use what was put there last.
#[derive(Debug)]
pub struct Identity(ArcSwap<CertifiedKey>);

impl Identity {
    /// An identity from a chain (own certificate first) and its private key, both in PEM.
    ///
    /// # Errors
    /// One of them cannot be read, or the key is not the certificate's.
    pub fn from_pem(chain: &str, key: &str) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(
            chain, key,
        )?))))
    }

    /// Puts another chain and key in its place.
    ///
    /// # Errors
    /// As [`Identity::from_pem`]; then the old ones stay.
    pub fn exchange(&self, chain: &str, key: &str) -> anyhow::Result<()> {
        self.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }
}

fn certified(chain: &str, key: &str) -> anyhow::Result<CertifiedKey> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).context("no private key in PEM")?;
    CertifiedKey::from_der(chain, key, &provider())
        .context("key and certificate do not belong together")
}

/// The certificates in a PEM text, in order.
///
/// # Errors
/// There is none, or one is malformed.
pub fn certificates(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.context("no certificate in PEM")?;
    anyhow::ensure!(!all.is_empty(), "no certificate in PEM");
    Ok(all)
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
