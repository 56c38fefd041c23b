//! `[health.host]`: above what the host itself is not well.

use std::num::NonZeroU32;

use super::pace::{Interval, Pace};
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// `[health.host]`: when the host itself is not well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether the host itself is checked.
    pub enabled: bool,
    /// Above how many percent of all processors in use, on average over an interval.
    pub cpu: Percent,
    /// Above how many percent of memory in use that cannot be given back.
    pub memory: Percent,
    /// Above how many percent of swap in use; a host without is well.
    pub swap: Percent,
    /// Above how many percent of a disk in use, of what ordinary users may use.
    pub disk: Percent,
    /// Above how many percent of a disk's files (inodes) in use.
    pub inodes: Percent,
    /// Above how many waiting or running tasks for each processor, on average over five minutes.
    pub load: Load,
    /// Above what pressure: how much of the last minute was lost to waiting, in percent.
    pub pressure: Pressure,
    /// How often it is checked.
    pub interval: Interval,
    /// How long it may take to look.
    pub timeout: Span,
    /// How many times in a row it has to be above to count.
    pub failures: NonZeroU32,
}

impl Eq for Config {}

impl Config {
    /// How often it is checked, and what counts.
    pub const fn pace(&self) -> Pace {
        Pace {
            interval: self.interval,
            timeout: self.timeout,
            failures: self.failures,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        const FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            enabled: true,
            cpu: Percent(95),
            memory: Percent(95),
            swap: Percent(80),
            disk: Percent(90),
            inodes: Percent(90),
            load: Load(4.0),
            pressure: Pressure::default(),
            interval: Pace::USUAL.interval,
            timeout: Pace::USUAL.timeout,
            failures: FAILURES,
        }
    }
}

/// `[health.host.pressure]`: the kernel's pressure stall information, its average over a minute
/// (`/proc/pressure`). A kernel that does not tell is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pressure {
    /// Above how many percent of the time some task waited for a processor.
    pub cpu: Percent,
    /// Above how many percent of the time no task went on, for all waited for memory.
    pub memory: Percent,
    /// Above how many percent of the time no task went on, for all waited for disks.
    pub io: Percent,
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            cpu: Percent(95),
            memory: Percent(20),
            io: Percent(80),
        }
    }
}

/// A percentage from 1 to 100; at 100 nothing is ever above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// Every second one.
    pub const HALF: Self = Self(50);

    /// The percentage.
    pub fn number(self) -> f64 {
        f64::from(self.0)
    }
}

/// A number that is no percentage.
#[derive(Debug, thiserror::Error)]
#[error("expected a percentage from 1 to 100")]
pub struct NotAPercentage;

impl TryFrom<u8> for Percent {
    type Error = NotAPercentage;

    fn try_from(number: u8) -> Result<Self, NotAPercentage> {
        if (1..=100).contains(&number) {
            Ok(Self(number))
        } else {
            Err(NotAPercentage)
        }
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// A load for each processor, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Load(f64);

impl Load {
    /// The load.
    pub const fn number(self) -> f64 {
        self.0
    }
}

/// A number that is no load.
#[derive(Debug, thiserror::Error)]
#[error("expected a load for each processor above 0 and up to 1000, such as 4.0")]
pub struct NotALoad;

impl TryFrom<f64> for Load {
    type Error = NotALoad;

    fn try_from(number: f64) -> Result<Self, NotALoad> {
        if number > 0.0 && number <= 1000.0 {
            Ok(Self(number))
        } else {
            Err(NotALoad)
        }
    }
}

impl From<Load> for f64 {
    fn from(load: Load) -> Self {
        load.0
    }
}
