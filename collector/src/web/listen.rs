//! Accepts connections of browsers: with TLS or without, each bounded in time and in size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_daemon::tls::{self, Identity};

use super::patient::Patient;
use super::places::Places;

/// How long a handshake may take, and a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a request's head may be, in bytes, and how many headers it may have.
const LONGEST_HEAD: usize = 16 << 10;
const HEADERS: usize = 64;

/// How long a connection that is being used may take to end with the program.
const FAREWELL: Duration = Duration::from_secs(2);

/// A socket, and whom browsers find there.
pub(super) struct Listening {
    socket: TcpListener,
    acceptor: Option<TlsAcceptor>,
}

impl Listening {
    /// Listens at this address.
    pub(super) async fn at(
        address: SocketAddr,
        identity: Option<Arc<Identity>>,
    ) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on [web] {address}"))?;
        let acceptor = identity.map(settings).transpose()?.map(TlsAcceptor::from);
        Ok(Self { socket, acceptor })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Serves until told to stop.
    pub(super) async fn serve(
        self,
        tasks: Tasks,
        routes: Router,
        places: Places,
    ) -> anyhow::Result<()> {
        let stop = tasks.stop();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => return Ok(()),
            };
            let Ok((stream, from)) = accepted else {
                // Out of file descriptors, or the stranger has gone again.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(place) = places.take(from.ip()) else {
                continue;
            };
            let routes = routes.clone().layer(axum::Extension(ConnectInfo(from)));
            let (acceptor, stop) = (self.acceptor.clone(), stop.clone());
            tasks.start_passing("browser", async move {
                greet(stream, acceptor, routes, stop).await;
                drop(place);
                Ok(())
            });
        }
    }
}

fn settings(identity: Arc<Identity>) -> anyhow::Result<Arc<ServerConfig>> {
    let mut settings = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(identity);
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(settings))
}

/// Strangers knock all day: a connection that fails is not worth a line.
async fn greet(stream: TcpStream, acceptor: Option<TlsAcceptor>, routes: Router, stop: Stop) {
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return converse(stream, routes, stop).await;
    };
    let shaken = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
    if let Ok(Ok(stream)) = shaken {
        converse(stream, routes, stop).await;
    }
}

async fn converse<S>(stream: S, routes: Router, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(HEADERS);
    let service = TowerToHyperService::new(routes);
    let connection = builder.serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(FAREWELL, connection).await;
}
