//! Whether what runs on this host is well: runs each check on its own time, and tells what it found.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use watchward_daemon::clock;
use watchward_daemon::config::Live;
use watchward_daemon::tasks::{Stop, Tasks};
use watchward_protocol::health::{HealthReport, Value, Verdict};
use watchward_protocol::hosts::{Finding, FindingState};
use watchward_protocol::record::Report;

use crate::findings::Findings;
use crate::spool::{Entry, Keeper};

mod check;
mod config;
mod host;
mod http;
mod process;
mod systemd;
mod tcp;

use check::{Check, Probe, Tools};
pub use config::Config;

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

/// Runs the checks of the configuration until asked to stop; follows its reloads.
///
/// # Errors
/// None of its own: what goes wrong with a check is a finding.
pub async fn run(
    mut config: Live<Config>,
    keeper: Keeper,
    findings: Findings,
    tasks: Tasks,
) -> anyhow::Result<()> {
    let stop = tasks.stop();
    let tools = Arc::new(Tools::default());
    let mut running: HashMap<String, (Check, Stop)> = HashMap::new();
    loop {
        let wanted: HashMap<String, Check> = Check::all(&config.now()).into_iter().collect();
        running.retain(|name, (check, end)| {
            let stays = wanted.get(name) == Some(check);
            if !stays {
                end.cancel();
            }
            if !wanted.contains_key(name) {
                say(
                    &findings,
                    name,
                    FindingState::Absent,
                    "it is no longer configured".to_owned(),
                );
            }
            stays
        });
        for (name, check) in wanted {
            if running.contains_key(&name) {
                continue;
            }
            let end = stop.child_token();
            let probe = Probe::new(name.clone(), check.clone(), tools.clone());
            let repeated = Repeated {
                name: name.clone(),
                check: check.clone(),
                probe,
            };
            tasks.start_passing(
                "check",
                repeated.run(keeper.clone(), findings.clone(), end.clone()),
            );
            running.insert(name, (check, end));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = config.changed() => {}
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
        subject: format!("health: {check}"),
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
