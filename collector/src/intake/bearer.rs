//! Who a certificate says its bearer is.

use watchward_protocol::hosts::HostId;
use watchward_protocol::time::Timestamp;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// A host, as its certificate names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// Who it is.
    pub(super) id: HostId,
    /// Until when the certificate says so.
    pub(super) expires: Timestamp,
}

impl Bearer {
    /// The bearer of a certificate (DER); none when it is no host's.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        let mut ids = names.value.general_names.iter().filter_map(|name| {
            let GeneralName::URI(uri) = name else {
                return None;
            };
            uri.strip_prefix(HostId::URI_PREFIX)?.parse().ok()
        });
        let seconds = certificate.validity().not_after.timestamp();
        let expires = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        Some(Self {
            id: ids.next()?,
            expires,
        })
    }
}
