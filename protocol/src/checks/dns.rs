//! `[health.dns.NAME]`: a name that should be resolved, and to what.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::address::Host;
use super::pace::{Pace, paced};

paced! {
    Pace::USUAL;
    /// A name that should be resolved.
    pub struct Config {
        /// The whole name: no search domains are added.
        pub name: Host,
        /// Of what type: `A` unless said otherwise.
        #[serde(default)]
        pub record: Record,
        /// Which server is asked, where it is not the host's own: `192.0.2.53`, `[::1]:5353`.
        pub server: Option<Server>,
        /// The answers there should be, exactly these in any order; without, any will do.
        #[serde(default)]
        pub expect: Vec<String>,
    }
}

/// A type of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Record {
    /// Addresses of IPv4.
    #[default]
    A,
    /// Addresses of IPv6.
    Aaaa,
    /// Who may issue certificates: `0 issue "letsencrypt.org"`.
    Caa,
    /// Another name.
    Cname,
    /// Who takes mail: `10 mail.example.org`.
    Mx,
    /// Which servers hold the zone.
    Ns,
    /// The name of an address.
    Ptr,
    /// Where its zone begins.
    Soa,
    /// Where a service is: `10 5 5060 sip.example.org`.
    Srv,
    /// Text.
    Txt,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        })
    }
}

/// The address of a server, with port 53 unless it says another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Server(SocketAddr);

/// A text that is no server's address.
#[derive(Debug, thiserror::Error)]
#[error("expected a server's address, such as \"192.0.2.53\", \"::1\" or \"127.0.0.1:5353\"")]
pub struct NotAServer;

impl Server {
    /// Where it listens.
    pub const fn address(self) -> SocketAddr {
        self.0
    }
}

impl TryFrom<String> for Server {
    type Error = NotAServer;

    fn try_from(text: String) -> Result<Self, NotAServer> {
        let plain = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        let address = plain.or_else(|_| text.parse()).map_err(|_| NotAServer)?;
        if address.port() == 0 {
            return Err(NotAServer);
        }
        Ok(Self(address))
    }
}

impl From<Server> for String {
    fn from(server: Server) -> Self {
        server.to_string()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == 53 {
            return self.0.ip().fmt(f);
        }
        self.0.fmt(f)
    }
}
