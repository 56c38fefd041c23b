//! The agent's side of the conversation: dials, says what the spool holds, and hears what is kept.

mod conversation;
mod dial;
mod enrol;
mod lineage;
mod orders;
mod questions;
mod redial;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, oneshot};
use watchward_daemon::config::Live;
use watchward_daemon::tasks::Stop;
use watchward_daemon::tls::Identity;
use watchward_daemon::watchdog::Pulse;
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

use crate::spool::{Grown, Spool};

pub use enrol::{Token, enrol};
pub use orders::{Buckets, Ordered, Orders};
pub use questions::{Answerers, Asked};
pub use redial::{Redial, Wishes, redial};

/// The table `[uplink]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the collector listens for agents; where the host enrolled, unless said here.
    pub collector: Option<Address>,
    /// Where the collector listens for enrolment; port 7444 of the same machine, unless said here.
    pub enrolment: Option<Address>,
    /// How often to give a sign of life.
    pub beat: Span,
    /// The longest time between two attempts to reach the collector. The first is at once; each
    /// wait is random and on average twice as long as the one before.
    pub retry: Span,
    /// How long an attempt may take.
    pub timeout: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            collector: None,
            enrolment: None,
            beat: Span::seconds(10),
            retry: Span::seconds(30),
            timeout: Span::seconds(10),
        }
    }
}

impl Config {
    /// Where to enrol.
    fn door(&self) -> anyhow::Result<Address> {
        let collector = self.collector.as_ref().context(
            "it is not known where the collector is: say so with --collector, or with `collector` \
             in [uplink] of the configuration",
        )?;
        Ok(match &self.enrolment {
            Some(said) => said.clone(),
            None => collector.at_port(ENROLMENT_PORT),
        })
    }
}

/// Where a collector listens for enrolment, unless it is configured otherwise.
const ENROLMENT_PORT: u16 = 7444;

/// A host name or address with a port, such as `collector.example.net:7443` or `[2001:db8::1]:7443`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected a host and a port such as \"collector.example.net:7443\"";
        let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
        let port: u16 = port.parse().map_err(|_| EXPECTED)?;
        let bare = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || port == 0 || bare || host.contains(char::is_whitespace) {
            return Err(EXPECTED);
        }
        Ok(Self(text))
    }
}

impl Address {
    /// Another port of the same machine.
    fn at_port(&self, port: u16) -> Self {
        let host = self.0.rsplit_once(':').map_or("", |(host, _)| host);
        Self(format!("{host}:{port}"))
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the collector gives a host that it knows.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The host's certificate, PEM.
    pub chain: String,
    /// The authorities that may sign the collector's certificate, PEM.
    pub authorities: String,
    /// When to ask for the next.
    pub renew_at: Timestamp,
}

/// Who this agent is and whom it believes, while the program runs.
#[derive(Debug)]
pub struct Standing {
    /// Where the host enrolled.
    pub collector: Option<Address>,
    /// The host's certificate and key.
    pub identity: Arc<Identity>,
    /// The authorities that may sign the collector's certificate, PEM.
    pub authorities: std::sync::RwLock<String>,
    /// Rung when they have changed, so that the next connection uses them.
    pub changed: Notify,
}

/// A wish to have a new certificate for this signing request (DER).
#[derive(Debug)]
pub struct Renewal {
    /// The certificate signing request, DER.
    pub request: Vec<u8>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<anyhow::Result<Credentials>>,
}

/// Wishes for certificates, and where orders and questions go.
pub type Ends = (mpsc::Receiver<Renewal>, Wishes, (Orders, Answerers));

/// Talks to the collector until told to stop; what the spool holds waits while it cannot.
///
/// # Errors
/// None while it runs: an attempt that fails is made again.
pub async fn run(
    mut config: Live<Config>,
    spool: Arc<Spool>,
    mut grown: Grown,
    standing: Arc<Standing>,
    ends: (Ends, Stop, Pulse),
) -> anyhow::Result<()> {
    let ((renewals, wishes, (orders, answerers)), stop, pulse) = ends;
    let mut asked = (renewals, wishes);
    let mut failures = 0_u32;
    let mut told = false;
    while !stop.is_cancelled() {
        let settings = config.now();
        let attempt = async {
            let line = pulse.waiting(dial::open(&settings, &standing)).await?;
            let sides = conversation::Sides {
                spool: &spool,
                standing: &standing,
                orders: &orders,
                answerers: &answerers,
                stop: &stop,
                pulse: &pulse,
            };
            conversation::hold(line, &settings, sides, &mut grown, &mut asked).await
        };
        let ended = tokio::select! {
            ended = attempt => ended,
            () = other(&mut config, &settings) => Ok(()),
        };
        match ended {
            Ok(()) => (failures, told) = (0, false),
            Err(conversation::Broken { error, stood }) => {
                if stood {
                    (failures, told) = (0, false);
                }
                if !std::mem::replace(&mut told, true) {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "not connected; trying again");
                }
                failures = failures.saturating_add(1);
                let wait = pause(failures, settings.retry.duration());
                tokio::select! {
                    () = pulse.waiting(tokio::time::sleep(wait)) => {}
                    () = other(&mut config, &settings) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
    Ok(())
}

/// Waits until the settings are others than these.
async fn other(config: &mut Live<Config>, than: &Config) {
    while *config.now() == *than {
        config.changed().await;
    }
}

/// How long to wait after that many failures: random, so that hosts do not come back together.
fn pause(failures: u32, longest: Duration) -> Duration {
    let ceiling = Duration::from_millis(500) * 2_u32.saturating_pow(failures.min(16));
    ceiling.min(longest).mul_f64(rand::random_range(0.1..1.0))
}

/// The certificates in `pem`, as those one believes.
fn roots(pem: &str) -> anyhow::Result<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in watchward_daemon::tls::certificates(pem)? {
        roots
            .add(certificate)
            .context("an authority's certificate is malformed")?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["localhost:7443", "192.0.2.1:1", "[2001:db8::1]:7443"] {
            assert!(
                Address::try_from(good.to_owned()).is_ok(),
                "{good} was refused"
            );
        }
        for bad in [
            "localhost",
            ":7443",
            "localhost:0",
            "localhost:70000",
            "2001:db8::1:7443",
            "",
        ] {
            assert!(
                Address::try_from(bad.to_owned()).is_err(),
                "{bad:?} was taken"
            );
        }
    }

    #[test]
    fn enrols_on_the_same_machine_unless_said_otherwise() {
        let address = |text: &str| Some(Address::try_from(text.to_owned()).unwrap());
        let mut config = Config::default();
        assert!(
            config.door().is_err(),
            "nobody knows where the collector is"
        );
        config.collector = address("[2001:db8::1]:443");
        assert_eq!(config.door().unwrap().to_string(), "[2001:db8::1]:7444");
        config.enrolment = address("192.0.2.1:444");
        assert_eq!(config.door().unwrap().to_string(), "192.0.2.1:444");
    }

    #[test]
    fn waits_grow_and_end_at_the_longest() {
        let longest = Duration::from_secs(30);
        for failures in 1..40 {
            let wait = pause(failures, longest);
            assert!(
                wait >= Duration::from_millis(100) && wait <= longest,
                "{wait:?}"
            );
        }
    }
}
