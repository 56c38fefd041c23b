//! Whether a server's certificates are right, and how long they will be.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use watchward_daemon::tls::provider;
use watchward_protocol::checks::AbsolutePath;
use watchward_protocol::checks::tls::Config;
use watchward_protocol::time::Timestamp;

use super::Found;
use super::look::{self, Look};

mod judge;
mod starttls;
mod witness;

use witness::{Seen, Trusted, Witness};

/// How large a file of authorities may be: that of a whole system has a quarter of this.
const CA_FILE: u64 = 1024 * 1024;

/// Why nothing was seen of the server's certificates.
#[derive(Debug)]
enum Blind {
    /// For a reason on this host.
    Here(String),
    /// For a reason on the server, or on the way.
    There(String),
}

/// Connects once, looks at the certificates, and hangs up.
pub(super) async fn check(config: &Config, look: &Look, now: Timestamp) -> Found {
    match seen(config, look).await {
        Ok(seen) => judge::judge(config, &seen, now),
        Err(Blind::Here(why)) => Found::unknown(why),
        Err(Blind::There(why)) => Found::failed(why),
    }
}

async fn seen(config: &Config, look: &Look) -> Result<Seen, Blind> {
    let address = &config.address;
    let file = config.ca_file.clone();
    let trusted = look.at(move || trusted(file.as_ref())).await;
    let trusted = trusted.map_err(|stuck| Blind::Here(stuck.to_string()))?;
    let witness = Arc::new(Witness::new(trusted.map_err(Blind::Here)?));
    let name = name(config).ok_or_else(|| {
        Blind::Here(format!(
            "{} is no name that a certificate can have",
            address.host()
        ))
    })?;
    let client = client(witness.clone()).map_err(|error| Blind::Here(error.to_string()))?;

    let mut stream = TcpStream::connect((address.host(), address.port()))
        .await
        .map_err(|error| Blind::There(unreachable(config, &error)))?;
    if let Some(protocol) = config.starttls {
        starttls::ask(protocol, &mut stream)
            .await
            .map_err(|error| {
                Blind::There(format!(
                    "{address} does not begin TLS in {protocol}: {error}"
                ))
            })?;
    }
    let shaken = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await;
    match (witness.seen(), shaken) {
        // Who wants a certificate of ours says so only after theirs was proven.
        (Some(seen), Ok(_)) => Ok(seen),
        (Some(seen), Err(_)) if seen.proven => Ok(seen),
        (_, Err(error)) => {
            let error = format!("{address} does not speak TLS with this host: {error}");
            Err(Blind::There(error))
        }
        (None, Ok(_)) => Err(Blind::There(format!("{address} showed no certificate"))),
    }
}

fn unreachable(config: &Config, error: &io::Error) -> String {
    let address = &config.address;
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return format!("connection refused by {address}");
    }
    format!("no connection to {address}: {error}")
}

/// The name that is asked for, and that the certificate must have.
fn name(config: &Config) -> Option<ServerName<'static>> {
    let named = config.server_name.as_ref().map(|name| name.as_str());
    let name = named.unwrap_or_else(|| config.address.host());
    ServerName::try_from(name.to_owned()).ok()
}

/// Whom to trust: those of the file, or this host's authorities.
fn trusted(file: Option<&AbsolutePath>) -> Result<Trusted, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let (taken, _) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return match taken {
            0 => Err("this host has no authorities to trust (ca-certificates)".to_owned()),
            _ => Ok(Trusted {
                roots,
                themselves: Vec::new(),
            }),
        };
    };
    let themselves = read(file)?;
    match roots.add_parsable_certificates(themselves.iter().cloned()) {
        (0, _) => Err(format!("no authority in {file}")),
        _ => Ok(Trusted { roots, themselves }),
    }
}

fn read(file: &AbsolutePath) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = look::read(file.as_path(), CA_FILE)
        .map_err(|error| format!("the agent cannot read {file}: {error}"))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    all.map_err(|error| format!("{file} is no PEM: {error}"))
}

/// A client that goes through with the handshake whatever the certificate is: the witness keeps what
/// is to be said of it. Nothing is ever sent over such a connection.
fn client(witness: Arc<Witness>) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness)
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests;
