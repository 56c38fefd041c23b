//! One door: a connection to sshd, which is asked about keys and shown no signature (RFC 4252, section 7).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use russh::client::{AuthResult, Config, Handle, Handler, connect_stream};
use russh::keys::agent::AgentIdentity;
use russh::keys::{
    Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey,
    PublicKeyOrCertificate,
};
use russh::{Disconnect, SendError, SshId};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use watchward_protocol::proof::Said;
use watchward_protocol::text::Foreign;

use crate::own::{Call, Own};

/// How long each step of a connection may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// What is asked about.
#[derive(Debug)]
pub(super) enum Key {
    Plain(PublicKey),
    Certificate(Box<Certificate>),
}

impl Key {
    /// Reads one as it is on the wire.
    ///
    /// # Errors
    /// It is no key that this program can ask about.
    pub(super) fn read(wire: &[u8]) -> Result<Self, String> {
        let certificate = |_| {
            Certificate::from_bytes(wire)
                .map(Box::new)
                .map(Self::Certificate)
        };
        let plain = PublicKey::from_bytes(wire).map(Self::Plain);
        let key = plain.or_else(certificate);
        key.map_err(|error| format!("this key cannot be asked about: {error}"))
    }

    /// How a signature by it may be called: a server may take one of them and not another.
    fn hashes(&self) -> &'static [Option<HashAlg>] {
        let algorithm = match self {
            Self::Plain(key) => key.algorithm(),
            Self::Certificate(certificate) => certificate.algorithm(),
        };
        if matches!(algorithm, Algorithm::Rsa { .. }) {
            &[Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
        } else {
            &[None]
        }
    }
}

/// What came of asking.
#[derive(Debug)]
pub(super) struct Heard {
    /// What the server said; or why it cannot be told.
    pub(super) said: Result<Said, String>,
    /// The fingerprint of a key that it would take.
    pub(super) control: Option<String>,
    /// Nobody was there to be asked.
    pub(super) is_silent: bool,
}

/// Why there is no way to ask.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) why: String,
    /// Nobody was there.
    pub(super) is_silent: bool,
}

/// Where and from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) at: SocketAddr,
    /// Without a port: from any.
    pub(super) source: Option<SocketAddr>,
    pub(super) own: &'a Own,
    /// By which keys sshd proves itself, as on the wire.
    pub(super) host_keys: &'a [Vec<u8>],
    /// Whose sshd it should be, for a sentence: `this host's`.
    pub(super) whose: &'static str,
}

impl Asking<'_> {
    /// Asks first about keys that should open the account, and then, in the same connection, about
    /// the one in question.
    pub(super) async fn ask(self, account: &Foreign, controls: &[Vec<u8>], key: &Key) -> Heard {
        let Ok(account) = std::str::from_utf8(account.as_bytes()) else {
            return unknown("its name cannot be told to sshd");
        };
        let (mut line, _call) = match self.line().await {
            Ok(line) => line,
            Err(Closed { why, is_silent }) => {
                return Heard {
                    is_silent,
                    ..unknown(&why)
                };
            }
        };
        let mut control = None;
        for wire in controls {
            let Ok(other) = Key::read(wire) else { continue };
            if accepts(&mut line, account, &other).await == Ok(Said::Accepted) {
                control = other.fingerprint();
                break;
            }
        }
        let said = accepts(&mut line, account, key).await;
        // The server may have gone already.
        let _ = line.disconnect(Disconnect::ByApplication, "", "en").await;
        Heard {
            said,
            control,
            is_silent: false,
        }
    }

    /// Logs in with a key, and leaves at once: nothing is begun there.
    ///
    /// # Errors
    /// It is not let in, in one sentence.
    pub(super) async fn log_in(self, account: &Foreign, key: PrivateKey) -> Result<(), Closed> {
        let no = |why: &str| Closed {
            why: why.to_owned(),
            is_silent: false,
        };
        let account = std::str::from_utf8(account.as_bytes());
        let account = account.map_err(|_| no("its name cannot be told to sshd"))?;
        let (mut line, _call) = self.line().await?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(HashAlg::Sha512));
        let said = timeout(PATIENCE, line.authenticate_publickey(account, key)).await;
        // The server may have gone already.
        let _ = line.disconnect(Disconnect::ByApplication, "", "en").await;
        match said {
            Ok(Ok(AuthResult::Success)) => Ok(()),
            Ok(Ok(AuthResult::Failure {
                partial_success: true,
                ..
            })) => Err(no("sshd took the key, and asks for more")),
            Ok(Ok(AuthResult::Failure { .. })) => Err(no("sshd refused the key")),
            Ok(Err(error)) => Err(no(&format!("sshd ended the connection: {error}"))),
            Err(_) => Err(no("sshd does not answer in time")),
        }
    }

    /// A connection to sshd, which has proved that it is the right one.
    async fn line(self) -> Result<(Handle<Sshd>, Call), Closed> {
        let closed = |why: String, is_silent| Closed { why, is_silent };
        let connected = match timeout(PATIENCE, self.connect()).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(closed(format!("sshd does not answer: {error:#}"), true)),
            Err(_) => return Err(closed("sshd does not answer in time".to_owned(), true)),
        };
        let (stream, call) = connected;
        let sshd = Sshd::of(self.host_keys, self.whose);
        let stranger = Arc::clone(&sshd.stranger);
        let line = connect_stream(Arc::new(config()), stream, sshd);
        let line = timeout(PATIENCE, line).await;
        if let Some(stranger) = stranger.get() {
            return Err(closed(stranger.clone(), false));
        }
        match line {
            Ok(Ok(line)) => Ok((line, call)),
            Ok(Err(error)) => Err(closed(format!("sshd does not speak: {error}"), false)),
            Err(_) => Err(closed("sshd does not answer in time".to_owned(), false)),
        }
    }

    /// The connection is known as the agent's own before it is made.
    async fn connect(self) -> anyhow::Result<(TcpStream, Call)> {
        let (socket, any): (_, IpAddr) = match self.at {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, Ipv6Addr::UNSPECIFIED.into()),
        };
        let source = self.source.unwrap_or(SocketAddr::new(any, 0));
        let bound = socket.bind(source);
        bound.with_context(|| format!("it cannot be asked from {source}"))?;
        let port = socket.local_addr()?.port();
        // What comes from nowhere in particular comes from where it goes to: it is this host.
        let from = self.source.map_or(self.at.ip(), |it| it.ip());
        let call = self.own.expect(SocketAddr::new(from, port));
        Ok((socket.connect(self.at).await?, call))
    }
}

impl Key {
    fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Plain(key) => Some(key.fingerprint(HashAlg::Sha256).to_string()),
            Self::Certificate(_) => None,
        }
    }
}

fn unknown(why: &str) -> Heard {
    Heard {
        said: Err(why.to_owned()),
        control: None,
        is_silent: false,
    }
}

fn config() -> Config {
    let name = concat!("SSH-2.0-Watchward_", env!("CARGO_PKG_VERSION"));
    Config {
        client_id: SshId::Standard(Cow::Borrowed(name)),
        inactivity_timeout: Some(PATIENCE),
        ..Config::default()
    }
}

/// Whether the server would take a signature by this key.
async fn accepts(line: &mut Handle<Sshd>, account: &str, key: &Key) -> Result<Said, String> {
    for hash in key.hashes() {
        let mut pen = NoPen { wanted: false };
        let asking = async {
            match key {
                Key::Plain(key) => {
                    line.authenticate_publickey_with(account, key.clone(), *hash, &mut pen)
                        .await
                }
                Key::Certificate(certificate) => {
                    let certificate = certificate.as_ref().clone();
                    line.authenticate_certificate_with(account, certificate, *hash, &mut pen)
                        .await
                }
            }
        };
        let said = timeout(PATIENCE, asking).await;
        let said = said.map_err(|_| "sshd does not answer in time".to_owned())?;
        match said {
            _ if pen.wanted => return Ok(Said::Accepted),
            // Who accepts without a signature accepts.
            Ok(AuthResult::Success) => return Ok(Said::Accepted),
            // It names what it would go on with. That nothing is named means that it has gone.
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) if !remaining_methods.is_empty() => {}
            Ok(AuthResult::Failure { .. }) | Err(Declined) => {
                return Err("sshd ended the connection".to_owned());
            }
        }
    }
    Ok(Said::Refused)
}

/// Whoever is asked for a signature notes it and gives none: nobody is let in by asking.
struct NoPen {
    wanted: bool,
}

/// No signature was given, or nobody was there to ask.
struct Declined;

impl From<SendError> for Declined {
    fn from(_: SendError) -> Self {
        Self
    }
}

impl russh::Signer for NoPen {
    type Error = Declined;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        _hash: Option<HashAlg>,
        _to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Declined> {
        self.wanted = true;
        Err(Declined)
    }
}

/// Only the right sshd is asked: where this host's own does not listen, anybody of this host could, and
/// say of any key that it is refused.
pub(super) struct Sshd {
    keys: Vec<Vec<u8>>,
    whose: &'static str,
    /// What is wrong with the key that was shown.
    pub(super) stranger: Arc<OnceLock<String>>,
}

impl Sshd {
    pub(super) fn of(keys: &[Vec<u8>], whose: &'static str) -> Self {
        Self {
            keys: keys.to_vec(),
            whose,
            stranger: Arc::default(),
        }
    }
}

impl Handler for Sshd {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.key_data(),
            PublicKeyOrCertificate::Certificate(certificate) => certificate.public_key(),
        };
        let known =
            |wire: &Vec<u8>| PublicKey::from_bytes(wire).is_ok_and(|own| own.key_data() == key);
        if self.keys.iter().any(known) {
            return Ok(true);
        }
        let whose = self.whose;
        let stranger = match self.keys.is_empty() {
            true => format!(
                "the keys of {whose} own sshd cannot be read, so that whoever answers there may be \
                 another"
            ),
            false => {
                let shown = PublicKey::from(key.clone()).fingerprint(HashAlg::Sha256);
                format!("what answers there is not {whose} sshd: it shows {shown}")
            }
        };
        // There is one for each connection.
        let _ = self.stranger.set(stranger);
        Ok(false)
    }
}
