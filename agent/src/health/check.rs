//! A check of any kind: what it is called, what it looks at, and one run of it.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use watchward_protocol::checks::{self, Pace, process};
use watchward_protocol::health::Verdict;

use super::host::Sampler;
use super::http::Clients;
use super::systemd::Bus;
use super::{Config, Found, http, systemd, tcp};

/// A check as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Host(checks::host::Config),
    Of(checks::Check),
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
        }
    }

    /// What it looks at, for a person.
    pub(super) fn target(&self) -> String {
        use checks::Check;
        match self {
            Self::Host(_) => "processors, memory, disks and load".to_owned(),
            Self::Of(Check::Systemd(config)) => format!("the unit {}", config.unit),
            Self::Of(Check::Process(config)) => format!("a process named {}", config.name),
            Self::Of(Check::Tcp(config)) => format!("connections to {}", config.address),
            Self::Of(Check::Http(config)) => format!("the answer of {}", config.url),
        }
    }

    /// What it means when there is no answer in time.
    fn late(&self) -> Verdict {
        use checks::Check;
        match self {
            Self::Of(Check::Tcp(_) | Check::Http(_)) => Verdict::Failed,
            Self::Host(_) | Self::Of(Check::Systemd(_) | Check::Process(_)) => Verdict::Unknown,
        }
    }
}

/// What checks share: a connection to systemd and clients for HTTP, made when first needed.
#[derive(Debug, Default)]
pub(super) struct Tools {
    bus: Bus,
    clients: Clients,
}

/// A check with what it remembers from run to run.
#[derive(Debug)]
pub(super) struct Probe {
    name: String,
    check: Check,
    tools: Arc<Tools>,
    sampler: Arc<Mutex<Sampler>>,
    last: Arc<AtomicU32>,
}

impl Probe {
    pub(super) fn new(name: String, check: Check, tools: Arc<Tools>) -> Self {
        Self {
            name,
            check,
            tools,
            sampler: Arc::new(Mutex::new(Sampler::new())),
            last: Arc::default(),
        }
    }

    /// Runs it once, for as long as it may take: what was found, each with its name.
    pub(super) async fn run(&self) -> Vec<(String, Found)> {
        let limit = self.check.pace().timeout;
        let found = tokio::time::timeout(limit.duration(), self.found()).await;
        found.unwrap_or_else(|_| {
            let detail = format!("no answer within {limit} about {}", self.check.target());
            vec![(self.name.clone(), Found::new(self.check.late(), detail))]
        })
    }

    async fn found(&self) -> Vec<(String, Found)> {
        let check = match &self.check {
            Check::Host(config) => return self.host(config.clone()).await,
            Check::Of(check) => check,
        };
        let found = match check {
            checks::Check::Systemd(config) => systemd::check(config, &self.tools.bus).await,
            checks::Check::Process(config) => self.process(config.clone()).await,
            checks::Check::Tcp(config) => tcp::check(config).await,
            checks::Check::Http(config) => http::check(config, &self.tools.clients).await,
        };
        vec![(self.name.clone(), found)]
    }

    /// A disk that does not answer must hold up nobody else.
    async fn host(&self, config: checks::host::Config) -> Vec<(String, Found)> {
        let sampler = self.sampler.clone();
        let sample = tokio::task::spawn_blocking(move || {
            let mut sampler = sampler.try_lock().ok()?;
            Some(sampler.sample(&config))
        });
        sample.await.ok().flatten().unwrap_or_else(|| {
            let detail = "the last look at the disks has not ended yet".to_owned();
            vec![(self.name.clone(), Found::unknown(detail))]
        })
    }

    async fn process(&self, config: process::Config) -> Found {
        let last = self.last.clone();
        let look = tokio::task::spawn_blocking(move || {
            super::process::check(&config, Path::new("/proc"), &last)
        });
        look.await
            .unwrap_or_else(|error| Found::unknown(error.to_string()))
    }
}
