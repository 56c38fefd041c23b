//! Opens a connection: TCP, then TLS 1.3 that both ends prove themselves in, without resumption.

use std::io;
use std::sync::{Arc, PoisonError};

use anyhow::Context;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use watchward_daemon::tls;
use watchward_protocol::hosts::COLLECTOR;

use super::{Address, Config, Standing, roots};

/// Opens a connection to talk on.
pub(super) async fn open(config: &Config, standing: &Standing) -> anyhow::Result<Channel> {
    let authorities = standing
        .authorities
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let settings = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)?
        .with_root_certificates(roots(&authorities)?)
        .with_client_cert_resolver(standing.identity.clone());
    let collector = config.collector.as_ref().or(standing.collector.as_ref());
    let collector = collector.context("`collector` in [uplink] does not say where it is")?;
    connect(collector, config, settings).await
}

/// Opens a connection with these TLS settings.
pub(super) async fn connect(
    to: &Address,
    config: &Config,
    mut settings: ClientConfig,
) -> anyhow::Result<Channel> {
    // On resumption a server does not look at the certificate again, so a revoked one would live on.
    settings.resumption = Resumption::disabled();
    settings.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(settings));
    let address = to.to_string();
    let limit = config.timeout.duration();
    let dial = tower::service_fn(move |_| {
        let (connector, address) = (connector.clone(), address.clone());
        async move {
            let stream = async {
                let stream = TcpStream::connect(&address).await?;
                stream.set_nodelay(true)?;
                let name = ServerName::try_from(COLLECTOR).map_err(io::Error::other)?;
                connector.connect(name, stream).await
            };
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
            Ok::<_, io::Error>(TokioIo::new(
                tokio::time::timeout(limit, stream).await.map_err(late)??,
            ))
        }
    });
    // The scheme is http because TLS is the connector's business.
    Endpoint::from_static("http://collector")
        .http2_keep_alive_interval(config.beat.duration() * 3)
        .keep_alive_timeout(limit)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(256 << 10)
        .connect_with_connector(dial)
        .await
        .with_context(|| format!("cannot reach the collector at {to}"))
}
