//! Whether an address accepts a TCP connection.

use std::fmt;
use std::io::ErrorKind;
use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use watchward_daemon::span::Span;

use super::Found;
use super::config::{self, Interval, paced};

/// `[health.tcp.NAME]`: an address that should accept a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Host and port: `127.0.0.1:5432`, `[::1]:22`, `db.example.org:5432`.
    pub address: Address,
    /// How often it is checked.
    #[serde(default = "config::interval")]
    pub interval: Interval,
    /// How long a connection may take.
    #[serde(default = "config::timeout")]
    pub timeout: Span,
    /// How many failures in a row make it down.
    #[serde(default = "config::failures")]
    pub failures: NonZeroU32,
}

paced!(Config);

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

/// Connects once, and hangs up.
pub(super) async fn check(config: &Config) -> Found {
    let address = &config.address;
    match TcpStream::connect((address.host.as_str(), address.port.get())).await {
        Ok(_) => Found::passed(format!("{address} accepts connections")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Found::failed(format!("connection refused by {address}"))
        }
        Err(error) => Found::failed(format!("no connection to {address}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use watchward_protocol::health::Verdict;

    use super::*;

    fn config(address: &str) -> Config {
        Config {
            address: Address::try_from(address.to_owned()).unwrap(),
            interval: config::INTERVAL,
            timeout: config::TIMEOUT,
            failures: config::FAILURES,
        }
    }

    #[tokio::test]
    async fn passes_while_somebody_listens_and_fails_after() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(check(&config(&address)).await.verdict, Verdict::Passed);
        drop(listener);
        let found = check(&config(&address)).await;
        assert_eq!(found.verdict, Verdict::Failed);
        assert_eq!(found.detail, format!("connection refused by {address}"));
    }
}
