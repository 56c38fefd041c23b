//! Enrolment: a one-time token that also says which authority to believe, so that nothing is
//! trusted blindly at first use.

use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use watchward_daemon::tls;
use watchward_protocol::wire::v1;

use super::{Config, Credentials, dial};

/// A one-time token: `wwt1-` and 128 hexadecimal digits, 64 of the secret and 64 of the SHA-256
/// fingerprint of the collector's authority.
#[derive(Clone)]
pub struct Token {
    secret: [u8; 32],
    authority: [u8; 32],
}

/// A text that is no token.
#[derive(Debug, thiserror::Error)]
#[error("this is no token: it begins with wwt1- and has 128 hexadecimal digits after it")]
pub struct NotAToken;

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let digits = text.trim().strip_prefix("wwt1-").ok_or(NotAToken)?;
        let mut bytes = [0; 64];
        if digits.len() != 2 * bytes.len() || !digits.is_ascii() {
            return Err(NotAToken);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digits.get(2 * index..2 * index + 2).ok_or(NotAToken)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAToken)?;
        }
        let (secret, authority) = bytes.split_at(32);
        let half = |half: &[u8]| half.try_into().map_err(|_| NotAToken);
        Ok(Self {
            secret: half(secret)?,
            authority: half(authority)?,
        })
    }
}

/// Asks for a host's first certificate, for the signing request (DER) of a key made here.
///
/// # Errors
/// The collector cannot be reached, is not the one that made the token, or refuses the token.
pub async fn enrol(
    config: &Config,
    token: &Token,
    name: &str,
    request: Vec<u8>,
) -> anyhow::Result<Credentials> {
    let verifier = Pinned {
        authority: token.authority,
        provider: tls::provider(),
    };
    let settings = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let line = dial::connect(&config.door()?, config, settings).await?;
    let request = v1::EnrolRequest {
        name: name.to_owned(),
        secret: token.secret.to_vec(),
        request,
    };
    let answer = v1::enrolment_client::EnrolmentClient::new(line)
        .enrol(request)
        .await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().into()),
        Err(refusal) => {
            Err(anyhow::anyhow!("{}", refusal.message()).context("the collector refuses the token"))
        }
    }
}

/// Believes the one authority whose fingerprint it was given, and what that authority signed.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = |shown: &&CertificateDer<'_>| Sha256::digest(shown)[..] == self.authority;
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authority = intermediates.iter().find(pinned).ok_or(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_form() {
        let good = format!("wwt1-{}{}", "0a".repeat(32), "ff".repeat(32));
        let token: Token = good.parse().unwrap();
        assert_eq!((token.secret, token.authority), ([10; 32], [255; 32]));
        for bad in [
            "",
            "wwt1-",
            &good[..132],
            &good[1..],
            &good.replace("ff", "fg"),
        ] {
            assert!(bad.parse::<Token>().is_err(), "{bad} was taken");
        }
    }
}
