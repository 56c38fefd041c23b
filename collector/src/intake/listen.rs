//! Accepts connections: TLS 1.3 without resumption, each handshake apart and bounded in time.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use watchward_daemon::tasks::Tasks;
use watchward_daemon::tls;

use super::Trust;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

impl Trust {
    /// Settings for those who have a host's certificate.
    pub(super) fn settings_with_hosts(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let mut roots = RootCertStore::empty();
        for authority in tls::certificates(&self.authorities)? {
            roots.add(authority)?;
        }
        let hosts = WebPkiClientVerifier::builder_with_provider(roots.into(), tls::provider());
        let builder = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)?
            .with_client_cert_verifier(hosts.build()?);
        Ok(finish(builder.with_cert_resolver(self.identity.clone())))
    }

    /// Settings for those who have none yet.
    pub(super) fn settings_without(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)?
            .with_no_client_auth();
        Ok(finish(builder.with_cert_resolver(self.identity.clone())))
    }
}

fn finish(mut settings: ServerConfig) -> Arc<ServerConfig> {
    // On resumption the certificate is not looked at again, so a revoked one would live on.
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    settings.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(settings)
}

/// A listening socket with its settings.
pub(super) struct Listening {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    room: Arc<Semaphore>,
}

/// Connections whose handshake is done.
pub(super) type Accepted = ReceiverStream<io::Result<Connection>>;

impl Listening {
    pub(super) fn new(socket: TcpListener, settings: Arc<ServerConfig>, connections: u32) -> Self {
        let room = Semaphore::new(usize::try_from(connections).unwrap_or(usize::MAX));
        Self {
            socket,
            acceptor: settings.into(),
            room: Arc::new(room),
        }
    }

    /// Accepts until the program stops.
    pub(super) fn accept(self, tasks: &Tasks) -> Accepted {
        let (sender, receiver) = mpsc::channel(16);
        let each = tasks.clone();
        tasks.start("accept", async move {
            let stop = each.stop();
            loop {
                let place = tokio::select! {
                    place = self.room.clone().acquire_owned() => place?,
                    () = stop.cancelled() => return Ok(()),
                };
                let stream = tokio::select! {
                    accepted = self.socket.accept() => accepted,
                    () = stop.cancelled() => return Ok(()),
                };
                let Ok((stream, _)) = stream else {
                    // Out of file descriptors, or the stranger has gone again.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (acceptor, sender) = (self.acceptor.clone(), sender.clone());
                each.start_passing("handshake", async move {
                    stream.set_nodelay(true)?;
                    // Strangers knock all day: a failed handshake is not worth a line.
                    if let Ok(Ok(stream)) =
                        tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await
                    {
                        let _ = sender
                            .send(Ok(Connection {
                                stream,
                                _place: place,
                            }))
                            .await;
                    }
                    Ok(())
                });
            }
        });
        ReceiverStream::new(receiver)
    }
}

/// A connection, and its place among those that there may be.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    _place: OwnedSemaphorePermit,
}

/// What a connection shows of whoever is at its other end.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The address it comes from.
    pub(super) from: Option<IpAddr>,
    /// The certificate it proved itself with.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

mod io_of_a_connection {
    //! A connection reads and writes as its stream does.

    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tonic::transport::server::Connected;

    use super::Connection;

    impl Connected for Connection {
        type ConnectInfo = super::Shown;

        fn connect_info(&self) -> Self::ConnectInfo {
            let (socket, session) = self.stream.get_ref();
            let own = session.peer_certificates().and_then(|chain| chain.first());
            super::Shown {
                from: socket.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
                certificate: own.map(|own| own.clone().into_owned()),
            }
        }
    }

    impl AsyncRead for Connection {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Connection {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.stream).poll_shutdown(context)
        }
    }
}
