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
    /// Between what it should be.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl Value {
    /// A number with no limits.
    pub fn new(name: impl Into<String>, number: f64, unit: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number,
            unit: unit.into(),
            limits: Limits::default(),
        }
    }

    /// The same, critical above this.
    #[must_use]
    pub fn up_to(mut self, most: f64) -> Self {
        self.limits.critical = Some(Range {
            start: None,
            end: Some(most),
            inverted: false,
        });
        self
    }
}

/// Between what a number should be, and what it can be, as whoever measured it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Beyond this it is worth a look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Range>,
    /// Beyond this it is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<Range>,
    /// The least that it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The most that it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
}

impl Limits {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a number should be, ends included; inverted, where it should not be. As the guidelines for
/// monitoring plugins have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// From here; `None` is from ever so little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// To here; `None` is to ever so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Whether it should not be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inverted: bool,
}

impl Range {
    /// Whether a number is where it should not be.
    pub fn alerts(&self, number: f64) -> bool {
        let inside = self.start.is_none_or(|start| start <= number)
            && self.end.is_none_or(|end| number <= end);
        inside == self.inverted
    }
}
