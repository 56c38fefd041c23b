//! Sees a server's certificates in a handshake, and what is wrong with them, without ending it.

use std::sync::{Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use watchward_daemon::tls::provider;

/// What was seen of a server.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Whether the chain leads to somebody who is trusted.
    pub(super) trusted: Result<(), Error>,
    /// Whether the certificate has the name that was asked for.
    pub(super) named: Result<(), Error>,
    /// Whether the server has shown that it has the certificate's key.
    pub(super) proven: bool,
}

/// Who is trusted.
#[derive(Debug)]
pub(super) struct Trusted {
    /// Who vouches for others.
    pub(super) roots: RootCertStore,
    /// Who needs nobody to vouch for them: a server's own certificate, byte for byte. One that is
    /// self-signed and calls itself an authority is no server's to whoever follows the chain.
    pub(super) themselves: Vec<CertificateDer<'static>>,
}

/// Looks on in one handshake.
#[derive(Debug)]
pub(super) struct Witness {
    trusted: Trusted,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Option<Seen>>,
}

impl Witness {
    pub(super) fn new(trusted: Trusted) -> Self {
        Self {
            trusted,
            algorithms: provider().signature_verification_algorithms,
            seen: Mutex::default(),
        }
    }

    /// What was seen, if there was anything to see.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proven(
        &self,
        valid: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let (Ok(_), Some(seen)) = (&valid, self.lock().as_mut()) {
            seen.proven = true;
        }
        valid
    }
}

/// When the certificate was valid, if that it is not is what is wrong.
fn valid_at(error: &Error) -> Option<UnixTime> {
    let Error::InvalidCertificate(wrong) = error else {
        return None;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only these are of dates, among many"
    )]
    match wrong {
        CertificateError::ExpiredContext { not_after, .. } => Some(*not_after),
        CertificateError::NotValidYetContext { not_before, .. } => Some(*not_before),
        _ => None,
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let itself = self.trusted.themselves.contains(end_entity);
        let verify = |at| {
            if itself {
                return Ok(());
            }
            let (roots, algorithms) = (&self.trusted.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, at, algorithms)
        };
        // The dates are judged by themselves, and must not hide what else is wrong.
        let trusted = verify(now).or_else(|error| verify(valid_at(&error).ok_or(error)?));
        let served = std::iter::once(end_entity).chain(intermediates);
        *self.lock() = Some(Seen {
            chain: served.map(|one| one.clone().into_owned()).collect(),
            trusted,
            named: verify_server_name(&parsed, server_name),
            proven: false,
        });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(verify_tls12_signature(message, cert, dss, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.proven(verify_tls13_signature(message, cert, dss, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
