//! What an agent's checks found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One run of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthReport {
    /// When the run ended, by the host's clock.
    pub at: Timestamp,
    /// The check's name in the agent's configuration, such as `tcp.postgres`.
    pub check: String,
    /// What it found.
    pub verdict: Verdict,
    /// One line for a person: what was found, and where it was looked for.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
    /// How often it runs.
    pub interval: Duration,
    /// How many failures in a row make it down.
    pub failures: u32,
    /// What was measured.
    pub values: Vec<Value>,
}

/// What one run of a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// The check could not be run.
    Unknown,
}

/// A number that a check measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// Such as `cpu` or `disk /var`.
    pub name: String,
    /// The number.
    pub number: f64,
    /// Its unit as Nagios plugins write it: `%`, `s`, `ms`, `B`, `MB`, `c`, or nothing; `d` are days.
    pub unit: String,
}
