//! Results of checks.

use std::time::Duration;

use super::{Malformed, NAME, short, text, v1};
use crate::health::{HealthReport, Value, Verdict};
use crate::time::Timestamp;

/// How many measurements of a run are taken.
const VALUES: usize = 64;

/// No check takes longer, or runs more seldom: what is computed with these spans never overflows.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// No check runs more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// No check waits for more failures in a row until it is down.
const MOST_FAILURES: u32 = 1_000;

impl From<HealthReport> for v1::Health {
    fn from(report: HealthReport) -> Self {
        use v1::health::Verdict as Wire;
        let verdict = match report.verdict {
            Verdict::Passed => Wire::Passed,
            Verdict::Failed => Wire::Failed,
            Verdict::Unknown => Wire::Unknown,
        };
        let value = |Value { name, number, unit }| v1::health::Value { name, number, unit };
        Self {
            at: report.at.as_micros(),
            check: report.check,
            verdict: verdict.into(),
            detail: report.detail,
            took: micros(report.took),
            interval: micros(report.interval),
            failures: report.failures,
            values: report.values.into_iter().map(value).collect(),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl TryFrom<v1::Health> for HealthReport {
    type Error = Malformed;

    fn try_from(wire: v1::Health) -> Result<Self, Malformed> {
        use v1::health::Verdict as Wire;
        let verdict = match wire.verdict() {
            Wire::Passed => Verdict::Passed,
            Wire::Failed => Verdict::Failed,
            Wire::Unknown => Verdict::Unknown,
        };
        if wire.check.is_empty() || wire.check.len() > NAME {
            return Err(Malformed("name of a check"));
        }
        let value = |value: v1::health::Value| Value {
            name: short(value.name, NAME),
            number: value.number,
            unit: short(value.unit, NAME),
        };
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            check: text(wire.check),
            verdict,
            detail: text(wire.detail),
            took: Duration::from_micros(wire.took).min(LONGEST),
            interval: Duration::from_micros(wire.interval).clamp(SHORTEST_INTERVAL, LONGEST),
            failures: wire.failures.clamp(1, MOST_FAILURES),
            values: wire.values.into_iter().take(VALUES).map(value).collect(),
        })
    }
}
