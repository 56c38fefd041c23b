//! A real SMTP server, Postfix on a host of its own, with STARTTLS and a mailbox that tests read.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, SanType};

use crate::host::Host;
use crate::mime::Mail;
use crate::network::Network;

/// Its host name.
pub const NAME: &str = "mail.test";

/// `/etc/postfix/main.cf`: everything for anybody goes to one folder, and nothing asks the DNS.
const CONFIGURATION: &str = "
compatibility_level = 3.6
myhostname = mail.test
mydestination =
inet_interfaces = all
inet_protocols = ipv4
mynetworks = 10.213.0.0/16
smtpd_peername_lookup = no
disable_dns_lookups = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = /etc/postfix/cert.pem
smtpd_tls_key_file = /etc/postfix/key.pem
virtual_mailbox_domains = static:any
virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = /srv/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1000
";

/// A running mail server that takes mail for anybody.
#[derive(Debug)]
pub struct MailServer {
    host: Host,
    certificate: String,
}

impl MailServer {
    /// Boots the host and starts the server.
    pub fn start(network: &Network) -> Result<Self> {
        let host = Host::boot(network, NAME)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
        params
            .subject_alt_names
            .push(SanType::IpAddress(host.address().into()));
        let certificate = params.self_signed(&key)?.pem();
        host.write("/etc/postfix/cert.pem", certificate.as_bytes(), 0o644)?;
        host.write(
            "/etc/postfix/key.pem",
            key.serialize_pem().as_bytes(),
            0o600,
        )?;
        host.write("/etc/postfix/main.cf", CONFIGURATION.as_bytes(), 0o644)?;
        host.sh("install -d -o nobody -g nogroup /srv/mail")?;
        host.sh("systemctl start postfix || { journalctl --no-pager -u 'postfix*' >&2; exit 1; }")?;
        Ok(Self { host, certificate })
    }

    /// Where it listens, on port 25.
    pub fn address(&self) -> Ipv4Addr {
        self.host.address()
    }

    /// The certificate that it shows after STARTTLS, and that its clients must trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Stops the server: connections are refused.
    pub fn down(&self) -> Result<()> {
        self.host.sh("systemctl stop postfix").map(drop)
    }

    /// Starts it again.
    pub fn up(&self) -> Result<()> {
        self.host.sh("systemctl start postfix").map(drop)
    }

    /// All it delivered, oldest first.
    pub fn delivered(&self) -> Result<Vec<Mail>> {
        let folder = self.host.outside_path("/srv/mail/inbox/new")?;
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let read = |(_, path): &(_, std::path::PathBuf)| {
            let raw = fs::read(path)?;
            Mail::parse(&String::from_utf8_lossy(&raw)).context("a delivered email")
        };
        files.iter().map(read).collect()
    }
}
