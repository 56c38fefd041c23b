//! A check of any kind: what it is called, what it looks at, and one run of it.

use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use watchward_protocol::health::Verdict;

use super::config::Pace;
use super::host::Sampler;
use super::http::Clients;
use super::systemd::Bus;
use super::{Config, Found, host, http, process, systemd, tcp};

/// A check as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Host(host::Config),
    Systemd(systemd::Config),
    Process(process::Config),
    Tcp(tcp::Config),
    Http(http::Config),
}

impl Check {
    /// All checks of a configuration, each with its name.
    pub(super) fn all(config: &Config) -> Vec<(String, Self)> {
        let host = config.host.enabled.then(|| Self::Host(config.host.clone()));
        let mut all: Vec<_> = host
            .map(|host| ("host".to_owned(), host))
            .into_iter()
            .collect();
        let mut add = |kind: &str, name: &dyn std::fmt::Display, check: Self| {
            all.push((format!("{kind}.{name}"), check));
        };
        for (name, one) in &config.systemd {
            add("systemd", name, Self::Systemd(one.clone()));
        }
        for (name, one) in &config.process {
            add("process", name, Self::Process(one.clone()));
        }
        for (name, one) in &config.tcp {
            add("tcp", name, Self::Tcp(one.clone()));
        }
        for (name, one) in &config.http {
            add("http", name, Self::Http(one.clone()));
        }
        all
    }

    pub(super) fn pace(&self) -> Pace {
        match self {
            Self::Host(config) => config.pace(),
            Self::Systemd(config) => config.pace(),
            Self::Process(config) => config.pace(),
            Self::Tcp(config) => config.pace(),
            Self::Http(config) => config.pace(),
        }
    }

    /// What it looks at, for a person.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Host(_) => "processors, memory, disks and load".to_owned(),
            Self::Systemd(config) => format!("the unit {}", config.unit),
            Self::Process(config) => format!("a process named {}", config.name),
            Self::Tcp(config) => format!("connections to {}", config.address),
            Self::Http(config) => format!("the answer of {}", config.url),
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
            let verdict = match self.check {
                Check::Tcp(_) | Check::Http(_) => Verdict::Failed,
                Check::Host(_) | Check::Systemd(_) | Check::Process(_) => Verdict::Unknown,
            };
            vec![(self.name.clone(), Found::new(verdict, detail))]
        })
    }

    async fn found(&self) -> Vec<(String, Found)> {
        let found = match &self.check {
            Check::Host(config) => return self.host(config.clone()).await,
            Check::Systemd(config) => systemd::check(config, &self.tools.bus).await,
            Check::Process(config) => self.process(config.clone()).await,
            Check::Tcp(config) => tcp::check(config).await,
            Check::Http(config) => http::check(config, &self.tools.clients).await,
        };
        vec![(self.name.clone(), found)]
    }

    /// A disk that does not answer must hold up nobody else.
    async fn host(&self, config: host::Config) -> Vec<(String, Found)> {
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
        let look =
            tokio::task::spawn_blocking(move || process::check(&config, Path::new("/proc"), &last));
        look.await
            .unwrap_or_else(|error| Found::unknown(error.to_string()))
    }
}
