//! A check of any kind: what it is called, what it looks at, and one run of it.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use watchward_daemon::clock;
use watchward_protocol::checks::{self, AbsolutePath, Pace, command};

use super::bus::Bus;
use super::host::Sampler;
use super::http::Clients;
use super::look::{Look, Looks};
use super::{Config, Found, dns, file, http, icmp, systemd, tcp, timer, tls};

/// A check as it is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Host(checks::host::Config),
    Of(checks::Check),
    /// A program that is ordered, and the folders it may lie in.
    Confined(command::Config, Vec<AbsolutePath>),
}

impl Check {
    /// All checks of a configuration, each with its name.
    pub(super) fn all(config: &Config) -> Vec<(String, Self)> {
        let host = config.host.enabled.then(|| Self::Host(config.host.clone()));
        let host = host.map(|host| ("host".to_owned(), host));
        let named = config.checks.all().into_iter();
        let named =
            named.map(|(name, check)| (format!("{}.{name}", check.kind()), Self::Of(check)));
        host.into_iter().chain(named).collect()
    }

    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Host(config) => config.pace(),
            Self::Of(check) => check.pace(),
            Self::Confined(config, _) => config.pace(),
        }
    }

    /// What it looks at, for a person.
    pub(super) fn target(&self) -> String {
        use checks::Check;
        let check = match self {
            Self::Host(_) => return "processors, memory, disks and load".to_owned(),
            Self::Of(check) => check,
            Self::Confined(config, _) => return format!("what {} tells", config.command),
        };
        match check {
            Check::Systemd(config) => format!("the unit {}", config.unit),
            Check::Process(config) => format!("a process named {}", config.name),
            Check::Tcp(config) => format!("connections to {}", config.address),
            Check::Http(config) => format!("the answer of {}", config.url),
            Check::Tls(config) => format!("the certificates of {}", config.address),
            Check::Dns(config) => format!("the {} records of {}", config.record, config.name),
            Check::Icmp(config) => format!("pings to {}", config.host),
            Check::File(config) => format!("the file {}", config.path),
            Check::Timer(config) => format!("the timer {}", config.unit),
            Check::Command(config) => format!("what {} tells", config.command),
        }
    }

    /// What is found when there is no answer in time.
    fn late(&self) -> Found {
        use checks::Check;
        let (limit, target) = (self.pace().timeout, self.target());
        match self {
            Self::Of(Check::Command(config)) | Self::Confined(config, _) => {
                let program = &config.command;
                let why = format!("{program} did not end within {limit} and was killed");
                Found::unknown(why)
            }
            Self::Of(
                Check::Tcp(_) | Check::Http(_) | Check::Tls(_) | Check::Dns(_) | Check::Icmp(_),
            ) => Found::failed(format!("no answer within {limit} about {target}")),
            Self::Host(_)
            | Self::Of(Check::Systemd(_) | Check::Process(_) | Check::File(_) | Check::Timer(_)) => {
                Found::unknown(format!("no answer within {limit} about {target}"))
            }
        }
    }
}

/// What checks share: threads to look at files in, and a connection to systemd and clients for HTTP,
/// made when first needed.
#[derive(Debug, Default)]
pub(super) struct Tools {
    looks: Looks,
    bus: Bus,
    clients: Clients,
}

/// A check with what it remembers from run to run.
#[derive(Debug)]
pub(super) struct Probe {
    name: String,
    check: Check,
    tools: Arc<Tools>,
    sampler: Option<Arc<Mutex<Sampler>>>,
    look: Look,
    last: Arc<AtomicU32>,
}

impl Probe {
    pub(super) fn new(name: String, check: Check, tools: Arc<Tools>) -> Self {
        let sampled = matches!(check, Check::Host(_));
        Self {
            name,
            check,
            look: tools.looks.one(),
            tools,
            sampler: sampled.then(|| Arc::new(Mutex::new(Sampler::new()))),
            last: Arc::default(),
        }
    }

    /// Runs it once, for as long as it may take: what was found, each with its name.
    pub(super) async fn run(&self) -> Vec<(String, Found)> {
        let limit = self.check.pace().timeout;
        // The probes' futures are large, and most of them run seldom.
        let found = tokio::time::timeout(limit.duration(), Box::pin(self.found())).await;
        found.unwrap_or_else(|_| {
            let stuck = self.look.stuck().map(Found::from);
            let late = stuck.unwrap_or_else(|| self.check.late());
            vec![(self.name.clone(), late)]
        })
    }

    async fn found(&self) -> Vec<(String, Found)> {
        let found = match &self.check {
            Check::Host(config) => return self.host(config.clone()).await,
            Check::Of(check) => self.of(check).await,
            Check::Confined(config, folders) => {
                super::command::check_confined(config, folders, &self.look).await
            }
        };
        vec![(self.name.clone(), found)]
    }

    async fn of(&self, check: &checks::Check) -> Found {
        use checks::Check;
        match check {
            Check::Systemd(config) => systemd::check(config, &self.tools.bus).await,
            Check::Process(config) => self.process(config.clone()).await,
            Check::Tcp(config) => tcp::check(config).await,
            Check::Http(config) => http::check(config, &self.tools.clients).await,
            Check::Tls(config) => tls::check(config, &self.look, clock::now()).await,
            Check::Dns(config) => dns::check(config).await,
            Check::Icmp(config) => icmp::check(config).await,
            Check::File(config) => self.file(config.clone()).await,
            Check::Timer(config) => timer::check(config, &self.tools.bus, clock::now()).await,
            Check::Command(config) => super::command::check(config, &self.look).await,
        }
    }

    async fn host(&self, config: checks::host::Config) -> Vec<(String, Found)> {
        let sampler = self.sampler.clone();
        let sample = self.look.at(move || {
            let sampler = sampler?;
            let mut sampler = sampler.lock().unwrap_or_else(PoisonError::into_inner);
            Some(sampler.sample(&config))
        });
        match sample.await {
            Ok(found) => found.unwrap_or_default(),
            Err(stuck) => vec![(self.name.clone(), stuck.into())],
        }
    }

    async fn process(&self, config: checks::process::Config) -> Found {
        let last = self.last.clone();
        let look = move || super::process::check(&config, Path::new("/proc"), &last);
        self.look.at(look).await.unwrap_or_else(Found::from)
    }

    async fn file(&self, config: checks::file::Config) -> Found {
        let look = move || file::check(&config, clock::now());
        self.look.at(look).await.unwrap_or_else(Found::from)
    }
}
