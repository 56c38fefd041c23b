//! What is to be said of the certificates that a server showed.

use std::time::Duration;

use rustls::{CertificateError, Error};
use watchward_protocol::checks::tls::Config;
use watchward_protocol::health::Value;
use watchward_protocol::time::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

use super::witness::Seen;
use crate::health::Found;
use crate::health::words::{day, roughly, shortened};

/// How many names of a certificate that has another one are told.
const NAMES: usize = 3;

/// Judges what was seen: all that is wrong, or how long it will be right.
pub(super) fn judge(config: &Config, seen: &Seen, now: Timestamp) -> Found {
    let chain = seen.chain.iter().map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der)?;
        Ok::<_, x509_parser::nom::Err<X509Error>>(certificate)
    });
    let chain: Result<Vec<_>, _> = chain.collect();
    let chain = match chain {
        Ok(chain) => chain,
        Err(error) => {
            let address = &config.address;
            return Found::failed(format!("{address} showed a malformed certificate: {error}"));
        }
    };
    let Some(own) = chain.first() else {
        return Found::failed(format!("{} showed no certificate", config.address));
    };
    let ends = chain.iter().map(|one| until(one.validity().not_after));
    let (place, end) = ends
        .enumerate()
        .min_by_key(|(_, end)| *end)
        .unwrap_or_default();
    let first = who(config, &chain, place);

    let problems: Vec<String> = [
        expiry(&first, end, config.warn.duration(), now),
        early(config, &chain, now),
        stranger(config, own, seen),
        misnamed(config, own, seen),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut found = if problems.is_empty() {
        let left = roughly(end.since(now));
        Found::passed(format!("{first} is valid for {left} (until {})", day(end)))
    } else {
        Found::failed(problems.join("; "))
    };
    found.values = vec![Value::new("expires", days(end, now), "d")];
    found
}

fn expiry(who: &str, end: Timestamp, warn: Duration, now: Timestamp) -> Option<String> {
    let date = day(end);
    if end <= now {
        return Some(format!(
            "{who} expired {} ago ({date})",
            roughly(now.since(end))
        ));
    }
    let left = end.since(now);
    (left < warn).then(|| format!("{who} expires in {} ({date})", roughly(left)))
}

/// A certificate that is not valid yet.
fn early(config: &Config, chain: &[X509Certificate<'_>], now: Timestamp) -> Option<String> {
    let starts = chain.iter().map(|one| until(one.validity().not_before));
    let (place, start) = starts.enumerate().find(|(_, start)| *start > now)?;
    let who = who(config, chain, place);
    Some(format!("{who} is not valid before {start}"))
}

/// A chain that leads to nobody who is trusted.
fn stranger(config: &Config, own: &X509Certificate<'_>, seen: &Seen) -> Option<String> {
    let error = seen.trusted.as_ref().err()?;
    let address = &config.address;
    let trusted = match config.ca_file {
        Some(ref file) => format!("no authority in {file} vouches for"),
        None => "no authority that this host trusts vouches for".to_owned(),
    };
    if own.issuer() == own.subject() {
        return Some(format!(
            "the certificate of {address} is self-signed, {trusted} it"
        ));
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "of the many ways to be wrong two have words of their own"
    )]
    match error {
        // Said with the dates.
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => None,
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let issuer = shortened(own.issuer().to_string().as_bytes(), 100);
            let served = match seen.chain.len() {
                1 => "no intermediate certificate is served",
                _ => "and for none in its chain",
            };
            Some(format!(
                "{trusted} the certificate of {address}, which is by \"{issuer}\" ({served})"
            ))
        }
        error => Some(format!(
            "the certificates of {address} prove nothing: {error}"
        )),
    }
}

fn misnamed(config: &Config, own: &X509Certificate<'_>, seen: &Seen) -> Option<String> {
    seen.named.as_ref().err()?;
    let named = config.server_name.as_ref().map(|name| name.as_str());
    let wanted = named.unwrap_or_else(|| config.address.host());
    let names = names(own);
    let known = if names.is_empty() {
        "has no name".to_owned()
    } else {
        format!("is for {}", names.join(", "))
    };
    let address = &config.address;
    Some(format!(
        "the certificate of {address} {known}, not for {wanted}"
    ))
}

/// Some of the names that a certificate has.
fn names(own: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = own.subject_alternative_name() else {
        return Vec::new();
    };
    let all = &alternative.value.general_names;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds of names are not for servers"
    )]
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(shortened(name.as_bytes(), 100)),
        GeneralName::IPAddress(bytes) => ip(bytes),
        _ => None,
    };
    let mut names: Vec<_> = all.iter().filter_map(name).collect();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names
}

fn ip(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let six = <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    four.or(six).ok().map(|ip| ip.to_string())
}

/// A certificate of the chain as it is spoken of.
fn who(config: &Config, chain: &[X509Certificate<'_>], place: usize) -> String {
    let address = &config.address;
    match chain.get(place) {
        Some(one) if place > 0 => {
            let subject = shortened(one.subject().to_string().as_bytes(), 100);
            format!("certificate \"{subject}\" in the chain of {address}")
        }
        _ => format!("certificate of {address}"),
    }
}

fn until(time: ASN1Time) -> Timestamp {
    Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
}

/// Days that are left, below zero where it is over; to a hundredth.
#[expect(
    clippy::cast_precision_loss,
    reason = "nobody reads microseconds of years"
)]
fn days(end: Timestamp, now: Timestamp) -> f64 {
    let left = end.as_micros().saturating_sub(now.as_micros());
    (left as f64 / 864_000_000.0).round() / 100.0
}
