//! What this host's own certificate says of itself, for the inventory of keys.

use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};
use watchward_daemon::tls;
use watchward_protocol::keys::{Means, Opening, PublicKey};
use watchward_protocol::time::Timestamp;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::{ASN1Time, GeneralName, X509Certificate};
use x509_parser::public_key::PublicKey as Key;

use super::identity::Kept;

/// The certificate by which this agent speaks to its collector. Its fingerprint is that of its
/// `SubjectPublicKeyInfo`.
///
/// # Errors
/// The host is not enrolled, or the file is damaged.
pub fn certificate(identity: &Path) -> anyhow::Result<Opening> {
    let chain = tls::certificates(&Kept::read(identity)?.chain)?;
    let own = chain.first().context("the chain is empty")?;
    let (_, own) = parse_x509_certificate(own).context("the certificate cannot be read")?;
    let spki = own.public_key();
    let (kind, bits) = match spki.parsed() {
        Ok(Key::EC(point)) => ("x509-ecdsa", point.key_size()),
        Ok(Key::RSA(key)) => ("x509-rsa", key.key_size()),
        _ => ("x509", 0),
    };
    let digest = STANDARD_NO_PAD.encode(Sha256::digest(spki.raw));
    let moment = |time: ASN1Time| {
        let micros = time.timestamp().saturating_mul(1_000_000);
        Some(Timestamp::from_micros(micros))
    };
    Ok(Opening {
        means: Means::AgentCertificate,
        key: Some(PublicKey {
            kind: kind.to_owned(),
            bits: u32::try_from(bits).unwrap_or(0),
            fingerprint: format!("SHA256:{digest}"),
            wire: Vec::new(),
        }),
        file: identity.display().to_string(),
        line: None,
        comment: uri(&own).as_str().into(),
        options: format!("serial {}", own.raw_serial_as_string())
            .as_str()
            .into(),
        principals: Vec::new(),
        not_before: moment(own.validity().not_before),
        not_after: moment(own.validity().not_after),
        condition: None,
    })
}

/// Whose it is: the URI with the host's id.
fn uri(own: &X509Certificate<'_>) -> String {
    let names = own.subject_alternative_name().ok().flatten();
    let names = names
        .map(|it| &it.value.general_names[..])
        .unwrap_or_default();
    for name in names {
        if let GeneralName::URI(uri) = name {
            return (*uri).to_owned();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;
    use crate::uplink::Credentials;

    #[test]
    fn says_whose_it_is_and_until_when() {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::default();
        let uri = "watchward://host/00".try_into().unwrap();
        wanted.subject_alt_names = vec![SanType::URI(uri)];
        wanted.not_before = date_time_ymd(2026, 1, 1);
        wanted.not_after = date_time_ymd(2027, 1, 1);
        let certified = wanted.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("identity.json");
        let given = Credentials {
            chain: certified.pem(),
            authorities: String::new(),
            renew_at: Timestamp::default(),
        };
        Kept::new(key.serialize_pem(), given, None)
            .write(&file)
            .unwrap();

        let own = certificate(&file).unwrap();
        let key = own.key.unwrap();
        assert_eq!((key.kind.as_str(), key.bits), ("x509-ecdsa", 256));
        assert!(key.fingerprint.starts_with("SHA256:") && key.fingerprint.len() == 50);
        assert_eq!(own.comment, "watchward://host/00".into());
        let times = [own.not_before, own.not_after].map(|time| time.unwrap().to_string());
        assert_eq!(times, ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
        assert!(certificate(&folder.path().join("none")).is_err());
    }
}
