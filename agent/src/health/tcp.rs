//! Whether an address accepts a TCP connection.

use std::io::ErrorKind;

use tokio::net::TcpStream;
use watchward_protocol::checks::tcp::Config;

use super::Found;

/// Connects once, and hangs up.
pub(super) async fn check(config: &Config) -> Found {
    let address = &config.address;
    match TcpStream::connect((address.host(), address.port())).await {
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
        toml::from_str(&format!("address = {address:?}")).unwrap()
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
