//! The collector's own certificate authority: its file, and what it signs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::{Digest, Sha256};
use watchward_daemon::tls;
use watchward_protocol::hosts::{COLLECTOR, HostId};
use watchward_protocol::time::Timestamp;

use crate::intake::Host;

/// How far clocks may be apart before a new certificate seems not to be valid yet.
const SKEW: Duration = Duration::from_secs(300);
/// How long the authority itself lives.
const LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Signs hosts' certificates and the collector's own.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate that was just signed.
pub(super) struct Signed {
    /// The certificate and its authority's, PEM.
    pub(super) chain: String,
    /// When it ends.
    pub(super) expires: Timestamp,
}

impl Authority {
    /// Reads the authority's file, key and certificate; makes it the first time.
    pub(super) fn open(file: &Path, now: Timestamp) -> anyhow::Result<Self> {
        if !file.exists() {
            make(file, now).with_context(|| format!("cannot write {}", file.display()))?;
            tracing::info!(file = %file.display(), "made a certificate authority");
        }
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let damaged = || format!("{} is damaged", file.display());
        let pair = KeyPair::from_pem(&text).with_context(damaged)?;
        let own = tls::certificates(&text).with_context(damaged)?;
        let certificate = own.into_iter().next().with_context(damaged)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, pair).with_context(damaged)?;
        let begin = text.find("-----BEGIN CERTIFICATE").with_context(damaged)?;
        let pem = text.get(begin..).unwrap_or_default().to_owned();
        Ok(Self {
            issuer,
            certificate,
            pem,
        })
    }

    /// When its own certificate ends.
    ///
    /// # Errors
    /// It is no certificate.
    pub(super) fn expires(&self) -> anyhow::Result<Timestamp> {
        let (_, own) = x509_parser::parse_x509_certificate(&self.certificate)?;
        let seconds = own.validity().not_after.timestamp();
        Ok(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    }

    /// Its certificate, PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The SHA-256 fingerprint of its certificate, as tokens carry it.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.certificate).into()
    }

    /// A certificate for a host, for the key that its signing request (DER) proves to have.
    ///
    /// # Errors
    /// It is no signing request, or its signature is wrong.
    pub(super) fn certify(
        &self,
        host: &Host,
        request: &[u8],
        life: Duration,
        now: Timestamp,
    ) -> anyhow::Result<Signed> {
        let request = CertificateSigningRequestDer::from(request);
        let mut request = CertificateSigningRequestParams::from_der(&request)?;
        // Of what a request asks for, only the public key is taken.
        let name = SanType::URI(format!("{}{}", HostId::URI_PREFIX, host.id).try_into()?);
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let (params, expires) = leaf(&host.name, name, client, (now, life))?;
        request.params = params;
        let own = request.signed_by(&self.issuer)?;
        Ok(Signed {
            chain: format!("{}{}", own.pem(), self.pem),
            expires,
        })
    }

    /// A certificate for the collector itself, with a new key (PEM).
    pub(super) fn certify_collector(
        &self,
        life: Duration,
        now: Timestamp,
    ) -> anyhow::Result<(Signed, String)> {
        let key = KeyPair::generate()?;
        let name = SanType::DnsName(COLLECTOR.try_into()?);
        let server = ExtendedKeyUsagePurpose::ServerAuth;
        let (params, expires) = leaf(COLLECTOR, name, server, (now, life))?;
        let own = params.signed_by(&key, &self.issuer)?;
        let signed = Signed {
            chain: format!("{}{}", own.pem(), self.pem),
            expires,
        };
        Ok((signed, key.serialize_pem()))
    }
}

/// When to renew a certificate: at two thirds of its life.
pub(super) fn renew_at(now: Timestamp, life: Duration) -> Timestamp {
    now + life * 2 / 3
}

fn leaf(
    name: &str,
    subject: SanType,
    purpose: ExtendedKeyUsagePurpose,
    (now, life): (Timestamp, Duration),
) -> anyhow::Result<(CertificateParams, Timestamp)> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![subject];
    params.serial_number = Some(serial());
    params.not_before = moment(now - SKEW)?;
    params.not_after = moment(now + life)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    Ok((params, now + life))
}

fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    // A serial number is positive.
    bytes[0] &= 0x7f;
    SerialNumber::from_slice(&bytes)
}

fn moment(at: Timestamp) -> anyhow::Result<time::OffsetDateTime> {
    Ok(time::OffsetDateTime::from_unix_timestamp(
        at.as_micros().div_euclid(1_000_000),
    )?)
}

/// Makes an authority: key and certificate in one file, whole or not at all.
fn make(file: &Path, now: Timestamp) -> anyhow::Result<()> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Watchward authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial());
    params.not_before = moment(now - SKEW)?;
    params.not_after = moment(now + LIFE)?;
    let own = params.self_signed(&pair)?;
    let folder = file.parent().context("it has no folder")?;
    std::fs::create_dir_all(folder)?;
    let beside = file.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    new.write_all(format!("{}{}", pair.serialize_pem(), own.pem()).as_bytes())?;
    new.sync_all()?;
    std::fs::rename(&beside, file)?;
    Ok(std::fs::File::open(folder)?.sync_all()?)
}
