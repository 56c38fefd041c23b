//! A connection whose handshake is done: what it shows of its other end, and how long that may be
//! silent at first.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use watchward_daemon::shares::Share;
use watchward_protocol::hosts::HostId;

use super::bearer::Bearer;

/// How long the first byte may take: nothing else ends a connection that never speaks.
const FIRST_BYTE: Duration = Duration::from_secs(10);

/// A connection, and its place among those that there may be.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    shown: Shown,
    first: Option<Pin<Box<Sleep>>>,
    _places: (OwnedSemaphorePermit, Option<Share<HostId>>),
}

/// What a connection shows of whoever is at its other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    /// The address it comes from.
    pub(super) from: Option<IpAddr>,
    /// Whose certificate it proved itself with.
    pub(super) bearer: Option<Bearer>,
}

impl Shown {
    pub(super) fn by(stream: &TlsStream<TcpStream>) -> Self {
        let (socket, session) = stream.get_ref();
        let own = session.peer_certificates().and_then(|chain| chain.first());
        Self {
            from: socket.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
            bearer: own.and_then(|own| Bearer::of(own)),
        }
    }
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        shown: Shown,
        places: (OwnedSemaphorePermit, Option<Share<HostId>>),
    ) -> Self {
        let first = Some(Box::pin(tokio::time::sleep(FIRST_BYTE)));
        Self {
            stream,
            shown,
            first,
            _places: places,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Shown;

    fn connect_info(&self) -> Shown {
        self.shown
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.first = None;
            return Poll::Ready(read);
        }
        let Some(first) = &mut self.first else {
            return Poll::Pending;
        };
        ready!(first.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
