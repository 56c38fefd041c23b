//! The conversation between agent and collector, on loopback and in one process: who may speak, what
//! is taken, and what is said of it.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "what holds the tests is a test too"
)]

mod bans;
mod line;
mod orders;
mod stranger;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use watchward_agent::spool::{self, Spool};
use watchward_agent::uplink;
use watchward_collector::alerting;
use watchward_collector::hosts::{self, Hosts};
use watchward_collector::intake::{self, Host, Told};
use watchward_collector::restriction::{self, Spread};
use watchward_collector::store::{Schema, Store, Tx};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::{Running, Tasks, tasks};
use watchward_protocol::checks::Ordered;
use watchward_protocol::hosts::HostId;
use watchward_protocol::record::{Gap, Report};
use watchward_protocol::span::Span;
use watchward_protocol::time::Timestamp;

/// A collector with nothing but its trunk, its hosts and its bans.
struct Collector {
    folder: TempDir,
    hosts: Hosts,
    routes: axum::Router,
    heard: Arc<Mutex<Vec<(String, u64, Report)>>>,
    /// From where conversations came.
    seen: Arc<Mutex<Vec<(HostId, IpAddr)>>>,
    uplink: uplink::Config,
    orders: watch::Sender<Arc<intake::Orders>>,
    tasks: Tasks,
    _running: Running,
}

/// Notes what it is told.
struct Notes {
    hosts: Hosts,
    spread: Spread,
    heard: Arc<Mutex<Vec<(String, u64, Report)>>>,
    /// From where conversations came.
    seen: Arc<Mutex<Vec<(HostId, IpAddr)>>>,
}

#[tonic::async_trait]
impl intake::Rooms for Notes {
    async fn alive(&self, tx: &mut Tx, hosts: &[Host], now: Timestamp) -> Result<Vec<HostId>> {
        Ok(self.hosts.alive(tx, hosts, now).await?)
    }

    async fn absorb(&self, tx: &mut Tx, told: Told<'_>, now: Timestamp) -> Result<()> {
        match told {
            Told::Gaps(gaps) => {
                let mut heard = self.heard.lock().unwrap();
                for gap in gaps {
                    let report = Report::Gap(gap.report.clone());
                    heard.push((gap.host.name.clone(), gap.seq, report));
                }
            }
            Told::Restriction(heard) => {
                let rules = (&Default::default(), &Default::default());
                if restriction::hear(tx, heard, rules, now).await? {
                    self.spread.touch();
                }
            }
            Told::From(all) => {
                self.seen.lock().unwrap().extend(all);
                restriction::see(tx, all).await?;
            }
            Told::Behind(_)
            | Told::Access(_)
            | Told::Health(_)
            | Told::Doctors(_)
            | Told::Peers(_)
            | Told::Instruments(_)
            | Told::Identities(_)
            | Told::Keys(_) => {}
        }
        Ok(())
    }

    fn committed(&self) {
        self.spread.committed();
    }
}

fn address(of: std::net::SocketAddr) -> Result<uplink::Address> {
    of.to_string().try_into().map_err(anyhow::Error::msg)
}

/// What is kept.
const TABLES: &[Schema] = &[
    intake::SCHEMA,
    hosts::SCHEMA,
    restriction::SCHEMA,
    restriction::BANS,
    restriction::HELD,
    alerting::SCHEMA,
];

async fn free_port() -> Result<std::net::SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

async fn at_free_ports() -> Result<intake::Config> {
    Ok(intake::Config {
        listen: free_port().await?,
        enrolment: free_port().await?,
        ..intake::Config::default()
    })
}

impl Collector {
    async fn start(certificate_life: Span) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite://{}", folder.path().join("db").display());
        let store = Store::open(&url, TABLES).await?;
        let authority = folder.path().join("authority.pem");
        let config = hosts::Config {
            authority,
            certificate_life,
            ..hosts::Config::default()
        };
        let hosts = Hosts::open(store.clone(), Live::fixed(config), clock::now())?;
        let (heard, seen) = (Arc::default(), Arc::default());
        let (spread, bans) = Spread::open(&store, clock::now()).await?;
        let notes = Notes {
            hosts: hosts.clone(),
            spread: spread.clone(),
            heard: Arc::clone(&heard),
            seen: Arc::clone(&seen),
        };
        let (tasks, running) = tasks();
        let config = at_free_ports().await?;
        let known = Arc::new(hosts.clone()) as _;
        let parts = (store.clone(), known, Arc::new(notes) as _);
        let (orders, live) = Live::new(intake::Orders::new(|_| Vec::new()));
        let wanted = intake::Wanted {
            orders: live,
            bans,
            errands: Live::fixed(intake::Errands::default()),
            refusing: intake::Refusing {
                refuse: Live::fixed(intake::Refuse::default()),
                told: mpsc::channel(1).0,
            },
            owned: Live::fixed(intake::Owned::default()),
            shown: Live::fixed(Default::default()),
        };
        intake::start(&tasks, &config, &hosts.trust(), wanted, parts).await?;
        let spreading = spread.clone().run(store.clone(), tasks.stop());
        tasks.start("bans", spreading);
        tasks.start("hosts", hosts.clone().run(Default::default(), tasks.stop()));
        let uplink = uplink::Config {
            collector: Some(address(config.listen)?),
            enrolment: Some(address(config.enrolment)?),
            ..uplink::Config::default()
        };
        let rules = Live::fixed(restriction::Policy::default());
        let routes =
            hosts::routes(hosts.clone()).merge(restriction::ban_routes(store, rules, spread));
        Ok(Self {
            folder,
            hosts,
            routes,
            heard,
            seen,
            uplink,
            orders,
            tasks,
            _running: running,
        })
    }

    /// Asks the collector as the operator's command does.
    async fn ask(&self, path: &str, body: &str) -> Result<serde_json::Value> {
        use tower::ServiceExt;
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_owned()))?;
        let answer = self.routes.clone().oneshot(request).await?;
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await?;
        let answer: serde_json::Value = serde_json::from_slice(&bytes)?;
        ensure!(answer.get("error").is_none(), "{answer}");
        Ok(answer)
    }

    /// Enrols a host, and says where its identity lies.
    async fn enrol(&self, name: &str) -> Result<watchward_agent::hosts::Config> {
        let answer = self
            .ask("/v1/tokens", &format!(r#"{{"host":"{name}"}}"#))
            .await?;
        let token = answer["token"].as_str().context("no token")?.parse()?;
        let identity = self.folder.path().join(format!("{name}.json"));
        let host = watchward_agent::hosts::Config { identity };
        host.enrol(&self.uplink, &token, name).await?;
        Ok(host)
    }

    /// Waits until it has heard so many reports.
    async fn hears(&self, count: usize) -> Result<()> {
        until(&format!("{count} reports"), || {
            self.heard.lock().unwrap().len() >= count
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.tasks.stop().cancel();
    }
}

/// Waits for a condition, for half a minute at most.
async fn until(what: &str, met: impl Fn() -> bool) -> Result<()> {
    for _ in 0..1500 {
        if met() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("waited in vain for {what}")
}

fn report(number: usize) -> Report {
    let to = Timestamp::from_micros(0);
    Report::Gap(Gap {
        source: format!("event {number}"),
        from: None,
        to,
        lost: None,
        why: String::new(),
    })
}

/// An agent without sources: what a test hands it, it tells.
struct Agent {
    spool: Arc<Spool>,
    ordered: uplink::Ordered,
    settings: watch::Sender<Arc<uplink::Config>>,
    keeper: spool::Keeper,
    tasks: Tasks,
    running: Running,
}

impl Agent {
    fn start(
        collector: &Collector,
        host: &watchward_agent::hosts::Config,
        name: &str,
    ) -> Result<Self> {
        let directory = collector.folder.path().join(format!("{name}.spool"));
        let settle = Span::milliseconds(20);
        let (orders, ordered) = uplink::Orders::open(&directory);
        let spool = Spool::open(spool::Config {
            directory,
            settle,
            ..Default::default()
        })?;
        let spool = Arc::new(spool);
        let standing = Arc::new(host.standing()?);
        let (tasks, running) = tasks();
        let (keeper, entries) = spool::Keeper::new();
        let (growing, grown) = watch::channel(Default::default());
        let (wishes, renewals) = mpsc::channel(1);
        let (settings, config) = Live::new(collector.uplink.clone());
        tasks.start(
            "spool",
            spool::run(
                spool.clone(),
                entries,
                growing,
                (tasks.stop(), tasks.pulse()),
            ),
        );
        let (_, redials) = uplink::redial();
        let (asking, _asked) = mpsc::channel(1);
        let answerers = uplink::Answerers {
            reach: asking.clone(),
            proof: asking.clone(),
            elsewhere: asking.clone(),
            visits: asking,
        };
        let ends = (
            (renewals, redials, (orders, answerers)),
            tasks.stop(),
            tasks.pulse(),
        );
        let run = uplink::run(config, spool.clone(), grown, standing.clone(), ends);
        tasks.start("uplink", run);
        let renew =
            watchward_agent::hosts::renew(host.identity.clone(), standing, wishes, tasks.stop());
        tasks.start("renewal", renew);
        Ok(Self {
            spool,
            ordered,
            settings,
            keeper,
            tasks,
            running,
        })
    }

    async fn tell(&self, number: usize) -> Result<()> {
        let reports = vec![report(number)];
        Ok(self
            .keeper
            .keep(spool::Entry {
                reports,
                position: None,
            })
            .await?)
    }

    async fn end(self) {
        let Self {
            keeper,
            tasks,
            running,
            spool: _,
            ordered: _,
            settings: _,
        } = self;
        drop((keeper, tasks));
        running.drain(Duration::from_secs(10)).await;
    }
}

/// That every report from 0 to `count` is there once, in order.
fn ensure_exactly(collector: &Collector, host: &str, count: usize) -> Result<()> {
    let heard = collector.heard.lock().unwrap();
    let own: Vec<_> = heard.iter().filter(|(name, _, _)| name == host).collect();
    ensure!(
        own.len() == count,
        "{} reports instead of {count}",
        own.len()
    );
    for (number, (_, seq, heard)) in own.into_iter().enumerate() {
        ensure!(
            *seq == number as u64 + 1 && *heard == report(number),
            "report {number} is {heard:?}"
        );
    }
    Ok(())
}
