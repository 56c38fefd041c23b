//! Whether what runs on this host is well: runs each check on its own time, and tells what it found.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_protocol::checks::Ordered;
use watchward_protocol::health::{HealthReport, Value, Verdict};
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;

use crate::findings::{Findings, taken_back};
use crate::spool::{Entry, Keeper};

mod bus;
mod check;
mod command;
mod config;
mod dns;
mod file;
mod host;
mod http;
mod icmp;
mod look;
pub mod orders;
mod process;
mod systemd;
mod tcp;
mod timer;
mod tls;
mod words;

use check::{Check, Probe, Tools};
pub use command::warden::keep as keep_plugin;
pub use config::Config;
use orders::wanted;

/// Within so long after the start every check has run, so that they do not all run at once.
const SPREAD: Duration = Duration::from_secs(5);

/// What one run of a check found.
#[derive(Debug, PartialEq)]
struct Found {
    verdict: Verdict,
    detail: String,
    values: Vec<Value>,
}

impl Found {
    fn passed(detail: String) -> Self {
        Self::new(Verdict::Passed, detail)
    }

    fn failed(detail: String) -> Self {
        Self::new(Verdict::Failed, detail)
    }

    fn unknown(detail: String) -> Self {
        Self::new(Verdict::Unknown, detail)
    }

    fn new(verdict: Verdict, detail: String) -> Self {
        Self {
            verdict,
            detail,
            values: Vec::new(),
        }
    }
}

/// Runs the checks of the configuration, and those that the collector orders, until asked to stop;
/// follows both.
///
/// # Errors
/// None of its own: what goes wrong with a check is a finding.
pub async fn run(
    mut config: Live<Config>,
    mut ordered: watch::Receiver<Vec<Ordered>>,
    keeper: Keeper,
    findings: Findings,
    tasks: Tasks,
) -> anyhow::Result<()> {
    let stop = tasks.stop();
    let mut all = All {
        keeper,
        findings,
        tasks,
        tools: Arc::default(),
        running: HashMap::new(),
        refused: BTreeMap::new(),
    };
    loop {
        let wanted = wanted(&config.now(), &ordered.borrow_and_update());
        all.tell(wanted.refused);
        all.change(wanted.checks);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = config.changed() => {}
            () = changed(&mut ordered) => {}
        }
    }
}

/// Waits until other checks are ordered; for ever, if nobody can order any more.
async fn changed(ordered: &mut watch::Receiver<Vec<Ordered>>) {
    if ordered.changed().await.is_err() {
        std::future::pending().await
    }
}

/// All checks as they run.
struct All {
    keeper: Keeper,
    findings: Findings,
    tasks: Tasks,
    tools: Arc<Tools>,
    running: HashMap<String, (Check, Stop)>,
    refused: BTreeMap<String, String>,
}

impl All {
    /// Tells what is not run although it is ordered, and what of that is over.
    fn tell(&mut self, refused: BTreeMap<String, String>) {
        for name in self.refused.keys() {
            if !refused.contains_key(name) {
                let _ = self.findings.send(taken_back(Finding::subject_of(name)));
            }
        }
        for (name, why) in &refused {
            if self.refused.get(name) != Some(why) {
                say(&self.findings, name, FindingState::Failing, why.clone());
            }
        }
        self.refused = refused;
    }

    /// Ends what is not wanted any more, and starts what does not run yet.
    fn change(&mut self, wanted: HashMap<String, Check>) {
        self.running.retain(|name, (check, end)| {
            let stays = wanted.get(name) == Some(check);
            if !stays {
                end.cancel();
            }
            if !wanted.contains_key(name) {
                let over = "it is no longer configured".to_owned();
                say(&self.findings, name, FindingState::Absent, over);
                let _ = self.findings.send(taken_back(Finding::subject_of(name)));
            }
            stays
        });
        for (name, check) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            let end = self.tasks.stop().child_token();
            let probe = Probe::new(name.clone(), check.clone(), self.tools.clone());
            let repeated = Repeated {
                name: name.clone(),
                check: check.clone(),
                probe,
            };
            self.tasks.start_passing(
                "check",
                repeated.run(self.keeper.clone(), self.findings.clone(), end.clone()),
            );
            self.running.insert(name, (check, end));
        }
    }
}

/// A check that runs again and again.
struct Repeated {
    name: String,
    check: Check,
    probe: Probe,
}

impl Repeated {
    async fn run(self, keeper: Keeper, findings: Findings, end: Stop) -> anyhow::Result<()> {
        let interval = self.check.pace().interval.duration();
        let first = Instant::now() + spread(&self.name, interval);
        let mut ticks = interval_at(first, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        loop {
            let entry = tokio::select! {
                () = end.cancelled() => return Ok(()),
                entry = async {
                    ticks.tick().await;
                    self.once(&findings, &mut said).await
                } => entry,
            };
            if keeper.keep(entry).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Runs the check. What it found goes to the spool together.
    async fn once(&self, findings: &Findings, said: &mut Option<FindingState>) -> Entry {
        let began = Instant::now();
        let found = self.probe.run().await;
        let (took, at) = (began.elapsed(), clock::now());
        let pace = self.check.pace();
        let unknown = found
            .iter()
            .find(|(_, found)| found.verdict == Verdict::Unknown);
        let (state, detail) = match unknown {
            Some((_, found)) => (FindingState::Failing, found.detail.clone()),
            None => (
                FindingState::Watched,
                format!("{}, every {}", self.check.target(), pace.interval),
            ),
        };
        if said.replace(state) != Some(state) {
            say(findings, &self.name, state, detail);
        }
        let reports = found.into_iter().map(|(check, found)| {
            Report::Health(HealthReport {
                at,
                check,
                verdict: found.verdict,
                detail: found.detail,
                took,
                interval: pace.interval.duration(),
                failures: pace.failures.get(),
                values: found.values,
            })
        });
        Entry {
            reports: reports.collect(),
            position: None,
        }
    }
}

fn say(findings: &Findings, check: &str, state: FindingState, detail: String) {
    // Nobody listens any more when the program is ending.
    let _ = findings.send(Finding {
        subject: Finding::subject_of(check),
        state,
        detail,
    });
}

/// When a check first runs: soon, and not together with all others. The host's processors need two
/// looks, so never at once.
fn spread(name: &str, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let range = SPREAD.min(interval).as_millis().max(1);
    let share = u128::from(hasher.finish()) % range;
    Duration::from_millis(500 + u64::try_from(share).unwrap_or(0))
}

#[cfg(test)]
mod tests;
