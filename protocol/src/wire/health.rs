//! Results of checks.

use std::time::Duration;

use super::{Malformed, NAME, short, text, v1};
use crate::health::{HealthReport, Limits, Range, Value, Verdict};
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
        Self {
            at: report.at.as_micros(),
            check: report.check,
            verdict: verdict.into(),
            detail: report.detail,
            took: micros(report.took),
            interval: micros(report.interval),
            failures: report.failures,
            values: report.values.into_iter().map(Into::into).collect(),
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
        let values = wire.values.into_iter().take(VALUES);
        Ok(Self {
            at: Timestamp::from_micros(wire.at),
            check: text(wire.check),
            verdict,
            detail: text(wire.detail),
            took: Duration::from_micros(wire.took).min(LONGEST),
            interval: Duration::from_micros(wire.interval).clamp(SHORTEST_INTERVAL, LONGEST),
            failures: wire.failures.clamp(1, MOST_FAILURES),
            values: values.map(Into::into).collect(),
        })
    }
}

impl From<Value> for v1::health::Value {
    fn from(value: Value) -> Self {
        let Limits {
            warning,
            critical,
            least,
            most,
        } = value.limits;
        Self {
            name: value.name,
            number: value.number,
            unit: value.unit,
            warning: warning.map(Into::into),
            critical: critical.map(Into::into),
            least,
            most,
        }
    }
}

impl From<v1::health::Value> for Value {
    fn from(wire: v1::health::Value) -> Self {
        let finite = |number: &f64| number.is_finite();
        Self {
            name: short(wire.name, NAME),
            number: wire.number,
            unit: short(wire.unit, NAME),
            limits: Limits {
                warning: wire.warning.and_then(range),
                critical: wire.critical.and_then(range),
                least: wire.least.filter(finite),
                most: wire.most.filter(finite),
            },
        }
    }
}

impl From<Range> for v1::health::Range {
    fn from(range: Range) -> Self {
        let Range {
            start,
            end,
            inverted,
        } = range;
        Self {
            start,
            end,
            inverted,
        }
    }
}

/// A range; one that goes from or to what is no number says nothing.
fn range(wire: v1::health::Range) -> Option<Range> {
    let ends = [wire.start, wire.end];
    let all_finite = ends.into_iter().flatten().all(f64::is_finite);
    all_finite.then_some(Range {
        start: wire.start,
        end: wire.end,
        inverted: wire.inverted,
    })
}
