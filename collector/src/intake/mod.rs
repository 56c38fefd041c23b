//! What comes in from the agents: known by their certificates, committed in groups, acknowledged.

mod bearer;
mod buckets;
mod connection;
mod conversation;
mod enrolment;
mod errands;
mod gather;
mod listen;
mod owned;
pub(crate) mod position;
mod questions;
mod refuse;
mod rows;
mod saying;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use watchward_daemon::service;
use watchward_daemon::tasks::Tasks;
use watchward_daemon::tls::Identity;
use watchward_protocol::access::AccessEvent;
use watchward_protocol::health::HealthReport;
use watchward_protocol::hosts::{Doctor, HostId};
use watchward_protocol::keys::Keys;
use watchward_protocol::order::Order;
use watchward_protocol::peers::Peers;
use watchward_protocol::record::{Backlog, Epoch, Gap, Lane, Report};
use watchward_protocol::restriction::Restriction;
use watchward_protocol::time::Timestamp;
use watchward_protocol::{identities, instruments};

use crate::store::{Store, Tx};

pub use buckets::Buckets;
pub use errands::Errands;
pub use owned::{Owned, Shown};
pub use position::Position;
pub use questions::{Questions, Unanswered};
pub use refuse::{Refuse, Refusing, Said};
pub use rows::{SCHEMA, forget, prune};
pub use saying::Wanted;

/// The table `[intake]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where agents connect.
    pub listen: SocketAddr,
    /// Where hosts enrol, apart from the agents' stream.
    pub enrolment: SocketAddr,
    /// How many connections there may be at once.
    pub connections: Connections,
    /// The name or address that hosts reach this machine by, for the line to paste that `watchward
    /// token create` prints; the machine's own name unless given.
    pub name: Option<Name>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 7443)),
            enrolment: SocketAddr::from(([0, 0, 0, 0], 7444)),
            connections: Connections(10_000),
            name: None,
        }
    }
}

/// Where hosts reach the collector: host and port, once for agents and once for enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// For agents.
    pub stream: String,
    /// For enrolment.
    pub enrolment: String,
}

impl Config {
    /// Where hosts reach the collector, as far as it can be known here.
    pub fn doors(&self) -> Doors {
        let at = |address: SocketAddr| match (&self.name, address.ip().is_unspecified()) {
            (Some(Name(name)), _) => format!("{name}:{}", address.port()),
            (None, true) => format!("{}:{}", service::machine(), address.port()),
            (None, false) => address.to_string(),
        };
        Doors {
            stream: at(self.listen),
            enrolment: at(self.enrolment),
        }
    }
}

/// A machine's name or address, without a port; an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str =
            "expected a name or an address without a port, such as \"collector.example.net\"";
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let address = bare.is_some_and(|bare| bare.parse::<Ipv6Addr>().is_ok());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let name = !text.is_empty() && text.bytes().all(plain) && !text.starts_with(['-', '.']);
        if address || name {
            Ok(Self(text))
        } else {
            Err(EXPECTED)
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// A number of connections: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Connections(u32);

impl TryFrom<u32> for Connections {
    type Error = &'static str;

    fn try_from(count: u32) -> Result<Self, Self::Error> {
        if count == 0 {
            Err("expected a number of connections, at least 1")
        } else {
            Ok(Self(count))
        }
    }
}

impl From<Connections> for u32 {
    fn from(connections: Connections) -> Self {
        connections.0
    }
}

/// A host as its certificate and the inventory name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Who it is.
    pub id: HostId,
    /// What people call it.
    pub name: String,
}

/// A host that is watched, as it is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Which.
    pub host: Host,
    /// Whether it was not heard for too long.
    pub is_silent: bool,
}

/// Where a host is, and where its sshd is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// What it says that its addresses are, as far as that is believed.
    pub addresses: Vec<IpAddr>,
    /// From where its conversations came last.
    pub seen: Vec<IpAddr>,
    /// The ports at which its sshd listens for others.
    pub ssh: Vec<u16>,
}

/// What one host said, with its place in the host's lane.
#[derive(Clone, Debug)]
pub struct Heard<T = Report> {
    /// Who said it.
    pub host: Host,
    /// In which lane.
    pub lane: Lane,
    /// In which life of the host's spool.
    pub epoch: Epoch,
    /// Its number there.
    pub seq: u64,
    /// When the agent kept it, by the host's clock.
    pub kept_at: Timestamp,
    /// The host's boot.
    pub boot: [u8; 16],
    /// What it said.
    pub report: T,
}

/// What hosts told, kind by kind.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Hosts that said how much waits there, each once.
    Behind(&'a [Behind]),
    /// From where the conversations come that hosts began, each once.
    From(&'a [(HostId, IpAddr)]),
    /// Lines of access logs.
    Access(&'a [Heard<AccessEvent>]),
    /// Results of checks.
    Health(&'a [Heard<HealthReport>]),
    /// What cannot be known any more.
    Gaps(&'a [Heard<Gap>]),
    /// What agents found on their hosts.
    Doctors(&'a [Heard<Doctor>]),
    /// What opens accounts.
    Keys(&'a [Heard<Keys>]),
    /// Who is shut out, and what is open.
    Restriction(&'a [Heard<Restriction>]),
    /// What sshd refuses, and the sessions that ended for it.
    Instruments(&'a [Heard<instruments::Told>]),
    /// Which keys programs of hosts log in elsewhere with.
    Identities(&'a [Heard<identities::Holding>]),
    /// Who may come into their VPNs.
    Peers(&'a [Heard<Peers>]),
}

/// How much waits on a host.
#[derive(Clone, Debug)]
pub struct Behind {
    /// The host.
    pub host: Host,
    /// Which life of its spool it speaks of.
    pub epoch: Epoch,
    /// What waits there.
    pub backlog: Backlog,
}

/// Takes in what hosts told.
#[tonic::async_trait]
pub trait Rooms: Send + Sync + 'static {
    /// Notes a sign of life of each of these hosts, and says which of them may not talk to us any
    /// more: whoever is revoked from now on waits for this transaction.
    async fn alive(
        &self,
        tx: &mut Tx,
        hosts: &[Host],
        now: Timestamp,
    ) -> anyhow::Result<Vec<HostId>>;

    /// Keeps and judges in the transaction that acknowledges: all of it commits, or none.
    async fn absorb(&self, tx: &mut Tx, told: Told<'_>, now: Timestamp) -> anyhow::Result<()>;

    /// The transaction has committed.
    fn committed(&self);
}

/// Knows which hosts there are.
#[tonic::async_trait]
pub trait Registry: Send + Sync + 'static {
    /// The host with this identity, if it may talk to us.
    async fn admit(&self, id: HostId) -> anyhow::Result<Option<Host>>;

    /// A first certificate for whoever shows a token's secret, for the key of a signing request.
    async fn enrol(
        &self,
        ask: Enrol,
        now: Timestamp,
    ) -> anyhow::Result<Result<Credentials, Refusal>>;

    /// The next certificate of a host, for the key of a signing request (DER).
    async fn renew(
        &self,
        host: &Host,
        request: &[u8],
        now: Timestamp,
    ) -> anyhow::Result<Result<Credentials, Refusal>>;

    /// Changes when a host was revoked.
    fn revoked(&self) -> watch::Receiver<u64>;
}

/// Says what should hold on a host: of each kind of order, the whole.
pub struct Orders(Box<Say>);

type Say = dyn Fn(&Host) -> Vec<Order> + Send + Sync;

impl Orders {
    /// As `say` says.
    pub fn new(say: impl Fn(&Host) -> Vec<Order> + Send + Sync + 'static) -> Self {
        Self(Box::new(say))
    }

    /// What should hold on this host.
    pub(crate) fn of(&self, host: &Host) -> Vec<Order> {
        (self.0)(host)
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Orders")
    }
}

/// What somebody shows to enrol a host.
#[derive(Clone)]
pub struct Enrol {
    /// The host name that the token was made for.
    pub name: String,
    /// The token's secret.
    pub secret: Vec<u8>,
    /// The certificate signing request, DER.
    pub request: Vec<u8>,
    /// Where it comes from.
    pub from: Option<IpAddr>,
}

/// What a host gets.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The host's certificate, PEM.
    pub chain: String,
    /// The authorities that may sign the collector's certificate, PEM.
    pub authorities: String,
    /// When to ask for the next.
    pub renew_at: Timestamp,
}

/// A kind no, in one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub &'static str);

/// Who the collector is, and whom it believes.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The collector's own certificate and key.
    pub identity: Arc<Identity>,
    /// The authorities that sign hosts' certificates, PEM.
    pub authorities: String,
}

/// Since when something of what came is being committed, while it is.
pub type Committing = watch::Receiver<Option<Timestamp>>;

/// Listens, and takes in what hosts tell until told to stop. Says since when some of that is being
/// committed, and hands over what asks the hosts.
///
/// # Errors
/// An address cannot be listened on.
pub async fn start(
    tasks: &Tasks,
    config: &Config,
    trust: &Trust,
    wanted: Wanted,
    parts: (Store, Arc<dyn Registry>, Arc<dyn Rooms>),
) -> anyhow::Result<(Committing, Questions)> {
    let (store, registry, rooms) = parts;
    let (arrivals, arrived) = mpsc::channel(64);
    let bind = async |address: SocketAddr| {
        let bound = TcpListener::bind(address).await;
        bound.with_context(|| format!("cannot listen on {address}"))
    };
    let (stream, enrolment) = (bind(config.listen).await?, bind(config.enrolment).await?);
    let stream = listen::Listening::new(stream, trust.settings_with_hosts()?, config.connections.0);
    let enrolment = listen::Listening::new(enrolment, trust.settings_without()?, 64);

    let talk = conversation::Talk {
        store: store.clone(),
        registry: registry.clone(),
        wanted,
        arrivals,
        tasks: tasks.clone(),
        current: Arc::default(),
        questions: Questions::default(),
    };
    let questions = talk.questions.clone();
    let (commits, committing) = watch::channel(None);
    let signs = (tasks.pulse(), commits);
    tasks.start("intake", gather::run(store, rooms, arrived, signs));
    tasks.start(
        "stream",
        conversation::serve(stream.accept(tasks), talk, tasks.stop()),
    );
    tasks.start(
        "enrolment",
        enrolment::serve(enrolment.accept(tasks), registry, tasks.stop()),
    );
    Ok((committing, questions))
}
