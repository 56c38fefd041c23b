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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
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
    let shaken = tokio::time::timeout(PATIENCE, shake(stream, acceptor)).await;
    if let Ok(Ok(Some(stream))) = shaken {
        converse(stream, routes, stop).await;
    }
}

/// Shakes hands; nothing with whoever does not speak TLS, and has been told to.
async fn shake(
    stream: TcpStream,
    acceptor: TlsAcceptor,
) -> std::io::Result<Option<TlsStream<TcpStream>>> {
    if speaks_plainly(&stream).await {
        point_out(stream).await?;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}

/// Whether it begins as a request without TLS does, with the name of a method.
async fn speaks_plainly(stream: &TcpStream) -> bool {
    let mut first = [0];
    let seen = stream.peek(&mut first).await;
    seen.is_ok_and(|count| count == 1) && first.iter().all(u8::is_ascii_uppercase)
}

const POINTER: &str = "This is https: put https:// before the name, in place of http://.\n";

/// Says to whoever typed `http://` what is to be typed.
async fn point_out(mut stream: TcpStream) -> std::io::Result<()> {
    // What is not read when the socket closes may cost the answer.
    let mut head = vec![0; LONGEST_HEAD];
    let _ = stream.read(&mut head).await?;
    let length = POINTER.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{POINTER}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
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
