//! `[health.tls.NAME]`: a server whose certificates should be right, and not about to expire.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::{Address, Host};
use super::pace::{Pace, paced};
use super::path::AbsolutePath;
use crate::span::Span;

paced! {
    Pace::USUAL.every(Span::minutes(5)).within(Span::seconds(10));
    /// A server whose certificates should be right, and not about to expire.
    pub struct Config {
        /// Host and port: `www.example.org:443`.
        pub address: Address,
        /// The name that is asked for and that the certificate must have, where it is not the host.
        pub server_name: Option<Host>,
        /// What is spoken before TLS begins, where it does not begin at once.
        pub starttls: Option<StartTls>,
        /// Whom to trust, in PEM, instead of this host's authorities.
        pub ca_file: Option<AbsolutePath>,
        /// It fails when less than this is left until the first of the certificates expires.
        #[serde(default = "three_weeks")]
        pub warn: Span,
    }
}

fn three_weeks() -> Span {
    Span::days(21)
}

/// A protocol in which TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartTls {
    /// Mail between servers, or from programs to theirs (RFC 3207).
    Smtp,
    /// Mailboxes (RFC 9051).
    Imap,
    /// Mailboxes (RFC 2595).
    Pop3,
    /// PostgreSQL's `SSLRequest`.
    Postgres,
    /// Directories (RFC 4511, section 4.14).
    Ldap,
}

impl fmt::Display for StartTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smtp => "SMTP",
            Self::Imap => "IMAP",
            Self::Pop3 => "POP3",
            Self::Postgres => "PostgreSQL",
            Self::Ldap => "LDAP",
        })
    }
}
