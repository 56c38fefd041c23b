//! A host, or a host and a port, as checks are told where to look.

use std::fmt;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

/// A host and a port above zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: NonZeroU16,
}

/// A text that is no host and port.
#[derive(Debug, thiserror::Error)]
#[error("expected host and port, such as \"127.0.0.1:5432\", \"[::1]:22\" or \"localhost:25\"")]
pub struct NotAnAddress;

impl Address {
    /// A name or an address; one of IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port.get()
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let port = port.parse().map_err(|_| NotAnAddress)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let host = match bare {
            Some(six) if six.parse::<std::net::Ipv6Addr>().is_ok() => six,
            None if (1..=253).contains(&host.len()) && host.bytes().all(plain) => host,
            Some(_) | None => return Err(NotAnAddress),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The name or the address of a host, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// A text that is no host.
#[derive(Debug, thiserror::Error)]
#[error("expected a host's name or address, such as \"www.example.org\", \"192.0.2.1\" or \"::1\"")]
pub struct NotAHost;

impl Host {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = NotAHost;

    fn try_from(text: String) -> Result<Self, NotAHost> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let named = (1..=253).contains(&text.len()) && text.bytes().all(plain);
        if named || text.parse::<std::net::Ipv6Addr>().is_ok() {
            return Ok(Self(text));
        }
        Err(NotAHost)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
