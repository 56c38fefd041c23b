//! The table `[web]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use url::Url;
use watchward_daemon::secret::SecretFile;
use watchward_daemon::tls::Identity;

/// The table `[web]`: the page for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where it listens. Without TLS only this machine may: `127.0.0.1` or `[::1]`.
    pub listen: SocketAddr,
    /// The file of the certificate, its chain below it, in PEM; read again at each reload.
    pub certificate: Option<PathBuf>,
    /// The file of the certificate's private key, in PEM; read again at each reload.
    pub key: Option<SecretFile>,
    /// Whether a proxy in front of it speaks TLS. Then any address may be listened on, and
    /// strangers cannot be told apart: what the proxy says of them is not believed.
    pub behind_proxy: bool,
    /// How people reach it, such as `https://watch.example.org`: for links in messages.
    pub public_url: Option<PublicUrl>,
    /// The file with the token that opens `/metrics` from elsewhere; from this machine it is open.
    pub metrics_token_file: Option<SecretFile>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7080)),
            certificate: None,
            key: None,
            behind_proxy: false,
            public_url: None,
            metrics_token_file: None,
        }
    }
}

/// The address of the page as people type it: `https://` or `http://`, a name, perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The address as browsers name it, without a `/` at its end.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected an address such as \"https://watch.example.org\"";
        let url = Url::parse(&text).map_err(|_| EXPECTED)?;
        let plain = matches!(url.scheme(), "https" | "http")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty();
        if plain { Ok(Self(url)) } else { Err(EXPECTED) }
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.origin()
    }
}

impl Config {
    /// How people reach it, without a `/` at its end; how this machine does, if that is not said.
    pub fn address(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        match &self.public_url {
            Some(url) => url.origin(),
            None => format!("{scheme}://{}", self.listen),
        }
    }

    /// Whether a browser speaks TLS with it, or with the proxy in front of it.
    pub(super) fn is_secure(&self) -> bool {
        self.certificate.is_some() || self.behind_proxy
    }

    /// The certificate and its key, if it has one.
    ///
    /// # Errors
    /// Only one of both is named, or a file cannot be used; or an address other than this machine's
    /// own would be listened on without TLS.
    pub(super) fn identity(&self) -> anyhow::Result<Option<Arc<Identity>>> {
        let Some((chain, key)) = self.pem()? else {
            ensure!(
                self.listen.ip().to_canonical().is_loopback() || self.behind_proxy,
                "[web] listen = \"{}\" would send passwords over the network as they are: name a \
                 certificate and a key, or set behind_proxy = true if a proxy in front of it \
                 speaks TLS",
                self.listen
            );
            return Ok(None);
        };
        Identity::from_pem(&chain, &key)
            .with_context(|| self.place())
            .map(Some)
    }

    /// Puts the certificate and key that are there now in place of the ones in use.
    ///
    /// # Errors
    /// As [`Config::identity`]; then the old ones stay.
    pub(super) fn renew(&self, identity: &Identity) -> anyhow::Result<()> {
        let Some((chain, key)) = self.pem()? else {
            bail!("[web] no certificate is named any more: that counts at the next start");
        };
        identity
            .exchange(&chain, &key)
            .with_context(|| self.place())
    }

    /// Where the certificate is.
    fn place(&self) -> String {
        let file = self.certificate.as_deref().unwrap_or(Path::new(""));
        format!("[web] certificate = \"{}\" and its key", file.display())
    }

    fn pem(&self) -> anyhow::Result<Option<(String, String)>> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                let chain = std::fs::read_to_string(certificate)
                    .with_context(|| format!("cannot read {}", certificate.display()))?;
                Ok(Some((chain, key.read()?.reveal().to_owned())))
            }
            (Some(_), None) => bail!("[web] names a certificate and no key"),
            (None, Some(_)) => bail!("[web] names a key and no certificate"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str, behind_proxy: bool) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            behind_proxy,
            ..Config::default()
        }
    }

    #[test]
    fn passwords_do_not_cross_the_network_as_they_are() {
        for listen in ["0.0.0.0:7080", "[::]:7080", "192.0.2.1:80"] {
            let error = config(listen, false).identity().unwrap_err().to_string();
            assert!(
                error.contains(listen) && error.contains("behind_proxy"),
                "{error}"
            );
            assert!(config(listen, true).identity().unwrap().is_none());
        }
        for listen in ["127.0.0.1:7080", "[::1]:7080", "[::ffff:127.0.0.1]:1"] {
            assert!(
                config(listen, false).identity().unwrap().is_none(),
                "{listen}"
            );
        }
    }

    #[test]
    fn half_an_identity_is_a_mistake() {
        let config = Config {
            certificate: Some(PathBuf::from("/nowhere.pem")),
            ..Config::default()
        };
        let error = config.identity().unwrap_err().to_string();
        assert!(error.contains("no key"), "{error}");
    }
}
