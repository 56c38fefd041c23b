//! One door: a connection to sshd, which is asked about keys and shown no signature (RFC 4252, section 7).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use russh::client::{AuthResult, Config, Handle, Handler, connect_stream};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Disconnect, SshId};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use watchward_protocol::proof::{Door, Said};
use watchward_protocol::text::Foreign;

use super::key::{Wanted, control, each};
use crate::own::{Call, Own};

/// How long each step of a connection may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What came of asking.
#[derive(Debug)]
pub(super) struct Heard {
    /// What the server said to the first keys, one after the other; or why it cannot be told. For the
    /// others there was no room in this connection.
    pub(super) said: Vec<Result<Said, String>>,
    /// The fingerprint of a key that it would take.
    pub(super) control: Option<String>,
    /// Nobody was there to be asked.
    pub(super) is_silent: bool,
    /// Whether the login at its end worked, or why not; none: there was none.
    pub(super) opened: Option<Result<(), String>>,
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
    /// How many tries sshd bears in one connection.
    pub(super) tries: u32,
    /// Whose sshd it should be, for a sentence: `this host's`.
    pub(super) whose: &'static str,
}

impl Asking<'_> {
    /// Asks first about keys that should open the account, and then, in the same connection, about
    /// those in question, as many as sshd bears. Whoever has a key to leave by logs in with it at the end, and is not
    /// penalised by sshd as one who only asks (`PerSourcePenalties`, `noauth`).
    pub(super) async fn ask(
        self,
        account: &Foreign,
        (controls, keys): (&[Vec<u8>], &[Wanted]),
        leaves_by: Option<PrivateKey>,
    ) -> Heard {
        let nothing = |why: &str| Heard {
            said: vec![Err(why.to_owned()); keys.len()],
            control: None,
            is_silent: false,
            opened: None,
        };
        let Ok(account) = std::str::from_utf8(account.as_bytes()) else {
            return nothing("its name cannot be told to sshd");
        };
        let (mut line, _call) = match self.line().await {
            Ok(line) => line,
            Err(Closed { why, is_silent }) => {
                return Heard {
                    is_silent,
                    ..nothing(&why)
                };
            }
        };
        let mut room = self.tries.saturating_sub(1);
        let control = control(&mut line, account, (controls, &mut room)).await;
        let said = each(&mut line, account, (keys, room)).await;
        let opened = match leaves_by {
            Some(key) => Some(enter(&mut line, account, key).await),
            None => None,
        };
        // The server may have gone already.
        let _ = line.disconnect(Disconnect::ByApplication, "", "en").await;
        Heard {
            said,
            control,
            is_silent: false,
            opened,
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
        let entered = enter(&mut line, account, key).await;
        // The server may have gone already.
        let _ = line.disconnect(Disconnect::ByApplication, "", "en").await;
        entered.map_err(|why| no(&why))
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
        if is_sent_away(&stream).await {
            return Err(closed(Door::FULL.to_owned(), false));
        }
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
    pub(super) async fn connect(self) -> anyhow::Result<(TcpStream, Call)> {
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

/// Whether sshd says instead of its name that it has no room: so it does from OpenSSH 8.2 on, and in
/// other words from 9.8 on. Whoever is only slow is waited for elsewhere.
async fn is_sent_away(stream: &TcpStream) -> bool {
    const WORDS: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];
    let mut first = [0; 24];
    let peeked = timeout(PATIENCE, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1..))) && WORDS.iter().any(|it| first.starts_with(it))
}

pub(super) fn config() -> Config {
    let name = concat!("SSH-2.0-Watchward_", env!("CARGO_PKG_VERSION"));
    Config {
        client_id: SshId::Standard(Cow::Borrowed(name)),
        inactivity_timeout: Some(PATIENCE),
        ..Config::default()
    }
}

/// Logs in with a key; why it cannot, in one sentence.
async fn enter(line: &mut Handle<Sshd>, account: &str, key: PrivateKey) -> Result<(), String> {
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), Some(HashAlg::Sha512));
    match timeout(PATIENCE, line.authenticate_publickey(account, key)).await {
        Ok(Ok(AuthResult::Success)) => Ok(()),
        Ok(Ok(AuthResult::Failure {
            partial_success: true,
            ..
        })) => Err("sshd took the key, and asks for more".to_owned()),
        Ok(Ok(AuthResult::Failure { .. })) => Err("sshd refused the key".to_owned()),
        Ok(Err(error)) => Err(format!("sshd ended the connection: {error}")),
        Err(_) => Err("sshd does not answer in time".to_owned()),
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
