//! Accepts connections: TLS 1.3 without resumption, each handshake apart and bounded in time.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use watchward_daemon::customer::Customer;
use watchward_daemon::shares::{Share, Shares};
use watchward_daemon::tasks::Tasks;
use watchward_daemon::tls;
use watchward_protocol::hosts::HostId;

use super::Trust;
use super::connection::{Connection, Shown};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How many handshakes there may be at once.
const HANDSHAKES: usize = 256;
/// How many of them of one customer.
const HANDSHAKES_OF_A_CUSTOMER: u32 = 64;
/// How many connections one host may have: more than one only while it dials anew.
const CONNECTIONS_OF_A_HOST: u32 = 4;

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

/// A listening socket with its settings, and who may hold how much of it.
#[derive(Clone)]
pub(super) struct Listening {
    socket: Arc<TcpListener>,
    acceptor: TlsAcceptor,
    /// Handshakes have room of their own: strangers take none from hosts.
    handshakes: Arc<Semaphore>,
    customers: Arc<Shares<Customer>>,
    connections: Arc<Semaphore>,
    hosts: Arc<Shares<HostId>>,
}

/// Connections whose handshake is done.
pub(super) type Accepted = ReceiverStream<io::Result<Connection>>;

impl Listening {
    pub(super) fn new(socket: TcpListener, settings: Arc<ServerConfig>, connections: u32) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        Self {
            socket: Arc::new(socket),
            acceptor: settings.into(),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            customers: Arc::new(Shares::of(HANDSHAKES_OF_A_CUSTOMER)),
            connections: Arc::new(Semaphore::new(connections)),
            hosts: Arc::new(Shares::of(CONNECTIONS_OF_A_HOST)),
        }
    }

    /// Accepts until the program stops.
    pub(super) fn accept(self, tasks: &Tasks) -> Accepted {
        let (sender, receiver) = mpsc::channel(16);
        let each = tasks.clone();
        tasks.start("accept", async move {
            let stop = each.stop();
            loop {
                let (stream, places) = tokio::select! {
                    knock = self.knock() => knock?,
                    () = stop.cancelled() => return Ok(()),
                };
                let (door, sender) = (self.clone(), sender.clone());
                each.start_passing("handshake", async move {
                    if let Some(connection) = door.greet(stream).await {
                        let _ = sender.send(Ok(connection)).await;
                    }
                    drop(places);
                    Ok(())
                });
            }
        });
        ReceiverStream::new(receiver)
    }

    /// The next stranger for whom there is room.
    async fn knock(&self) -> anyhow::Result<(TcpStream, (OwnedSemaphorePermit, Share<Customer>))> {
        loop {
            let place = self.handshakes.clone().acquire_owned().await?;
            let Ok((stream, from)) = self.socket.accept().await else {
                // Out of file descriptors, or the stranger has gone again.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if let Some(share) = self.share(from.ip()) {
                return Ok((stream, (place, share)));
            }
        }
    }

    /// Room for one more handshake with whoever comes from there, if there is any.
    fn share(&self, from: IpAddr) -> Option<Share<Customer>> {
        self.customers.take(Customer::of(from))
    }

    /// Shakes hands. Strangers knock all day: one that fails is not worth a line.
    async fn greet(&self, stream: TcpStream) -> Option<Connection> {
        stream.set_nodelay(true).ok()?;
        let shaken = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await;
        let stream = shaken.ok()?.ok()?;
        let shown = Shown::by(&stream);
        let share = match shown.bearer {
            Some(bearer) => Some(self.hosts.take(bearer.id)?),
            None => None,
        };
        let Ok(place) = self.connections.clone().try_acquire_owned() else {
            tracing::warn!("there are as many connections as [intake] connections allows");
            return None;
        };
        Some(Connection::new(stream, shown, (place, share)))
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::ResolvesServerCertUsingSni;

    use super::*;

    #[tokio::test]
    async fn a_customers_many_addresses_take_no_more_handshakes_than_one() {
        let nobody = Arc::new(ResolvesServerCertUsingSni::new());
        let settings = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(nobody);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening = Listening::new(socket, Arc::new(settings), 1);
        let take = |text: String| listening.share(text.parse().unwrap());
        let taken: Vec<_> = (0..100)
            .filter_map(|n| take(format!("2001:db8::{n}")))
            .collect();
        assert_eq!(taken.len(), 64);
        assert!(take("2001:db8:0:1::1".to_owned()).is_some(), "of another");
        assert!(take("192.0.2.1".to_owned()).is_some());
    }
}
