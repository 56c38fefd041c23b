//! The programs under test, as cargo built them beside the tests.

use std::path::PathBuf;

use anyhow::{Result, ensure};

/// The collector.
pub const COLLECTOR: &str = "watchward-collector";
/// The agent.
pub const AGENT: &str = "watchward-agent";
/// The enforcer beside the agent.
pub const ENFORCER: &str = "watchward-enforcer";
/// The operator's command.
pub const COMMAND: &str = "watchward";

/// Where a program is; an error if it was not built.
pub fn path(name: &str) -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    // target/debug/deps/TEST-HASH → target/debug/NAME
    let built = tests
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap_or(&tests)
        .join(name);
    ensure!(
        built.exists(),
        "{} is not built; `make test` builds it first",
        built.display()
    );
    Ok(built)
}
