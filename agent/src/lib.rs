//! The agent on every host: watches access, health and keys, and streams what it sees.

pub mod access;
pub mod config;
pub mod findings;
pub mod health;
pub mod hosts;
pub mod identities;
mod kept;
pub mod keys;
pub mod logins;
pub mod own;
pub mod peers;
pub mod proof;
pub mod reach;
pub mod restriction;
mod sockets;
pub mod spool;
pub mod uplink;
pub mod witness;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use watchward_daemon::config::Live;
use watchward_daemon::service::{self, Signals};
use watchward_daemon::tasks::{Tasks, tasks};
use watchward_protocol::access::Service;
use watchward_protocol::host_keys::HostKeys;
use watchward_protocol::identities::Identities;
use watchward_protocol::instruments::Instruments;
use watchward_protocol::record::PerLane;

use config::Config;

const NOT_ENROLLED: &str = "This host is not enrolled: `watchward token create`, on the collector's \
    machine, prints the line to paste here";

/// Runs the agent until a signal ends it.
///
/// # Errors
/// The configuration is wrong, or a task ended that should not have.
pub async fn run(file: &Path) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let config: Config = watchward_daemon::config::read(file)?;
    let enrolled = config.hosts.enrolled();
    if !service::wait(&mut signals, NOT_ENROLLED, enrolled).await {
        return Ok(());
    }
    let (tasks, running) = tasks();
    // It may have been written for the enrolment.
    let reload = start(&tasks, watchward_daemon::config::read(file)?)?;
    drop(tasks);
    service::run(signals, running, || reload.from(file)).await
}

/// Runs the reader beside the agent until a signal ends it: it may read what opens each account, and
/// has no network.
///
/// # Errors
/// The configuration is wrong.
pub async fn read_keys(file: &Path) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let (tasks, running) = tasks();
    let config: Config = watchward_daemon::config::read(file)?;
    let (changes, keys) = Live::new(config.keys);
    tasks.start("keys", keys::read(keys, tasks.stop()));
    drop(tasks);
    let reload = || match watchward_daemon::config::read::<Config>(file) {
        Ok(config) => {
            changes.send_replace(Arc::new(config.keys));
        }
        Err(error) => {
            tracing::error!(%error, "the new configuration is not used; the old one stays");
        }
    };
    service::run(signals, running, reload).await
}

/// Makes and destroys the keys that programs of this host log in elsewhere with, until a signal ends it:
/// it has no network.
///
/// # Errors
/// The configuration is wrong.
pub async fn keep_identities(file: &Path) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let (tasks, running) = tasks();
    let config: Config = watchward_daemon::config::read(file)?;
    let holding = identities::hold(config.identities, config.spool.directory, tasks.stop());
    tasks.start("identities", holding);
    drop(tasks);
    // Where things are kept changes at the next start.
    service::run(signals, running, || {}).await
}

/// Builds the rooms and joins them: sources → spool → uplink.
fn start(tasks: &Tasks, config: Config) -> anyhow::Result<Reload> {
    let Config {
        uplink,
        spool,
        hosts,
        access,
        health,
        keys,
        identities,
        restriction,
    } = config;
    let directory = spool.directory.clone();
    let spool = Arc::new(spool::Spool::open(spool)?);
    let (orders, ordered) = uplink::Orders::open(&directory);
    let folder = directory.clone();
    let standing = Arc::new(hosts.standing()?);
    let (keeper, entries) = spool::Keeper::new();
    let (growing, grown) = watch::channel(PerLane::default());
    let (findings, found) = mpsc::unbounded_channel();
    let (wishes, renewals) = mpsc::channel(1);
    let tables = (uplink, access, health, keys, restriction);
    let (reload, (uplink, access, health, keys, restriction)) = Reload::of(tables);
    let enforcer = restriction.now().socket.clone();
    let gatekeeper = restriction::Gatekeeper::new(restriction, &directory)?;
    let (redial, redials) = uplink::redial();

    let positions = spool.positions()?;
    let ends = (enforcer, peers::known(&positions), keeper.clone());
    follow_peers(tasks, ordered.instruments.clone(), access.clone(), ends);
    let (keep, find, stop) = (keeper.clone(), findings.clone(), tasks.stop());
    let connections = own::Own::default();
    let ends = (keep, gatekeeper.witness(), connections.clone());
    tasks.start("access", access::run(access, positions, ends, find, stop));
    let (ends, wanted) = ((keeper.clone(), findings.clone()), ordered.clone());
    let holding = gatekeeper.run(wanted, redial, ends, tasks.stop());
    tasks.start("restriction", holding);
    let (keep, find) = (keeper.clone(), findings.clone());
    let checks = health::run(health, ordered.checks, keep, find, tasks.clone());
    tasks.start("health", checks);
    let identity = hosts.identity.clone();
    let own = Arc::new(move || hosts::certificate(&identity).ok());
    let (keep, kept) = (keeper.clone(), identities.clone());
    let private: proof::Private = Arc::new(move |name, serial| kept.private(name, serial));
    identify(tasks, (identities, directory), ordered.identities, keep);
    let ends = (keeper.clone(), findings);
    let wanted = (ordered.instruments, ordered.host_keys);
    let keys = (keys, wanted, folder);
    let answerers = answer(tasks, keys, (own, private, connections), ends);
    let ends = (tasks.stop(), tasks.pulse());
    let writing = spool::run(spool.clone(), entries, growing, ends);
    tasks.start("spool", writing);
    let ends = (
        (renewals, redials, (orders, answerers)),
        tasks.stop(),
        tasks.pulse(),
    );
    let talking = uplink::run(uplink, spool, grown, standing.clone(), ends);
    tasks.start("uplink", talking);
    let renewing = hosts::renew(hosts.identity, standing, wishes, tasks.stop());
    tasks.start("renewal", renewing);
    tasks.start("report", hosts::report(found, keeper, tasks.stop()));
    Ok(reload)
}

/// Starts what tells of peers of WireGuard, as far as it is told who comes by that.
fn follow_peers(
    tasks: &Tasks,
    ordered: Revocations,
    access: Live<access::Config>,
    (enforcer, known, keeper): (PathBuf, Option<Vec<u8>>, spool::Keeper),
) {
    let means = peers::Means {
        enforcer,
        ordered,
        watched: Arc::new(move || access.now().services.contains(&Service::WireGuard)),
        known,
        keeper,
    };
    tasks.start("peers", peers::run(means, tasks.stop()));
}

/// What is ordered of revocations, as it changes.
type Revocations = watch::Receiver<Option<Arc<Instruments>>>;
/// What sshd is to show of itself, as it changes.
type Showing = watch::Receiver<Option<Arc<HostKeys>>>;

/// Starts what tells of keys, what answers questions, which asks there too, and what revokes.
fn answer(
    tasks: &Tasks,
    (keys, ordered, folder): (Live<keys::Config>, (Revocations, Showing), PathBuf),
    (certificate, private, connections): (keys::Certificate, proof::Private, own::Own),
    (keep, findings): (spool::Keeper, findings::Findings),
) -> uplink::Answerers {
    let (reach, reach_asked) = mpsc::channel(1);
    let (proof, proof_asked) = mpsc::channel(1);
    let (of_keys, keys_asked) = mpsc::channel(1);
    let (elsewhere, elsewhere_asked) = mpsc::channel(1);
    let (visits, visits_told) = mpsc::channel(4);
    let asking = proof::ask_elsewhere(elsewhere_asked, private, tasks.stop());
    tasks.start("elsewhere", asking);
    let (known, stop) = (connections.clone(), tasks.stop());
    tasks.start("visits", proof::expect_visits(visits_told, known, stop));
    let presents = proof::presents(of_keys.clone(), connections.clone());
    let ends = (proof.clone(), of_keys.clone(), findings.clone());
    let revoking = (keys.now().enforcer.clone(), folder, ordered);
    revoke(tasks, revoking, ends, (keep.clone(), presents));
    let ends = (certificate, keys_asked);
    tasks.start("keys", keys::run(keys, keep, findings, ends, tasks.stop()));
    let (asking, stop) = (of_keys.clone(), tasks.stop());
    tasks.start("reach", reach::run(reach_asked, asking, stop));
    let stop = tasks.stop();
    tasks.start("proof", proof::run(proof_asked, of_keys, connections, stop));
    uplink::Answerers {
        reach,
        proof,
        elsewhere,
        visits,
    }
}

/// Starts what tells which keys programs log in elsewhere with; and what makes them, if that is the agent
/// itself.
fn identify(
    tasks: &Tasks,
    (config, orders): (identities::Config, PathBuf),
    ordered: watch::Receiver<Option<Arc<Identities>>>,
    keeper: spool::Keeper,
) {
    if identities::inside() {
        let holding = identities::hold(config.clone(), orders, tasks.stop());
        tasks.start("identities", holding);
    }
    let telling = identities::tell(config, ordered, keeper, tasks.stop());
    tasks.start("identities told", telling);
}

/// Where others of this agent are asked.
type Asking = mpsc::Sender<uplink::Asked>;

/// Starts what has sshd refuse revoked keys, which asks there, who reads the keys, and in the logs.
fn revoke(
    tasks: &Tasks,
    (socket, folder, (instruments, host_keys)): (PathBuf, PathBuf, (Revocations, Showing)),
    (proof, reader, findings): (Asking, Asking, findings::Findings),
    (keeper, presents): (spool::Keeper, proof::Presents),
) {
    let (logins, asked) = mpsc::channel(1);
    tasks.start("logins", access::logins(asked, tasks.stop()));
    let means = keys::revocation::Means {
        socket,
        folder,
        proof,
        reader,
        logins,
        findings,
        keeper,
        presents,
    };
    let ordered = keys::revocation::Ordered {
        instruments,
        host_keys,
    };
    let revoking = keys::revocation::run(means, ordered, tasks.stop());
    tasks.start("revocation", revoking);
}

/// The hands that change a running agent's configuration.
struct Reload {
    uplink: watch::Sender<Arc<uplink::Config>>,
    access: watch::Sender<Arc<access::Config>>,
    health: watch::Sender<Arc<health::Config>>,
    keys: watch::Sender<Arc<keys::Config>>,
    restriction: watch::Sender<Arc<restriction::Config>>,
}

/// The tables that a running agent follows.
type Tables = (
    uplink::Config,
    access::Config,
    health::Config,
    keys::Config,
    restriction::Config,
);
/// The same, as they change.
type Followed = (
    Live<uplink::Config>,
    Live<access::Config>,
    Live<health::Config>,
    Live<keys::Config>,
    Live<restriction::Config>,
);

impl Reload {
    fn of((uplink, access, health, keys, restriction): Tables) -> (Self, Followed) {
        let (uplink, uplink_now) = Live::new(uplink);
        let (access, access_now) = Live::new(access);
        let (health, health_now) = Live::new(health);
        let (keys, keys_now) = Live::new(keys);
        let (restriction, restriction_now) = Live::new(restriction);
        let reload = Self {
            uplink,
            access,
            health,
            keys,
            restriction,
        };
        let now = (
            uplink_now,
            access_now,
            health_now,
            keys_now,
            restriction_now,
        );
        (reload, now)
    }

    /// Reads the file again; a bad one changes nothing.
    fn from(&self, file: &Path) {
        match watchward_daemon::config::read::<Config>(file) {
            Ok(Config {
                uplink,
                access,
                health,
                keys,
                restriction,
                identities: _,
                spool: _,
                hosts: _,
            }) => {
                self.uplink.send_replace(Arc::new(uplink));
                self.access.send_replace(Arc::new(access));
                self.health.send_replace(Arc::new(health));
                self.keys.send_replace(Arc::new(keys));
                self.restriction.send_replace(Arc::new(restriction));
                tracing::info!(file = %file.display(), "read the configuration again");
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration is not used; the old one stays");
            }
        }
    }
}
