//! The host itself: when its processors, memory, disks or load are above what is said to be well.

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watchward_daemon::span::Span;
use watchward_protocol::health::Value;

use super::Found;
use super::config::{INTERVAL, Interval, TIMEOUT, paced};

mod disks;
mod proc;

use disks::Disk;
use proc::{Memory, Ticks};

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
    /// Above how many percent of a disk in use, of what ordinary users may use.
    pub disk: Percent,
    /// Above how many waiting or running tasks for each processor, on average over five minutes.
    pub load: Load,
    /// How often it is checked.
    pub interval: Interval,
    /// How long it may take to look.
    pub timeout: Span,
    /// How many times in a row it has to be above to count.
    pub failures: NonZeroU32,
}

impl Eq for Config {}

paced!(Config);

impl Default for Config {
    fn default() -> Self {
        const FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();
        Self {
            enabled: true,
            cpu: Percent(95),
            memory: Percent(95),
            disk: Percent(90),
            load: Load(4.0),
            interval: INTERVAL,
            timeout: TIMEOUT,
            failures: FAILURES,
        }
    }
}

/// A percentage from 1 to 100; at 100 nothing is ever above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

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

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A load for each processor, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Load(f64);

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

/// Samples the host; remembers how long its processors had worked before.
#[derive(Debug)]
pub(super) struct Sampler {
    before: Option<Ticks>,
}

impl Sampler {
    /// Begins to count what the processors do.
    pub(super) fn new() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            before: proc::ticks(&stat),
        }
    }

    /// What is found now, each with the name of its check.
    pub(super) fn sample(&mut self, config: &Config) -> Vec<(String, Found)> {
        let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        let stat = read("/proc/stat");
        let processors = proc::processors(&stat);
        let now = proc::ticks(&stat);
        let cpu = match (self.before.take(), now) {
            (Some(before), Some(now)) => cpu(now.busy_since(before), processors, config.cpu),
            (None, _) | (_, None) => Found::unknown("/proc/stat cannot be read".to_owned()),
        };
        self.before = now;
        let mut all = vec![
            ("host.cpu".to_owned(), cpu),
            (
                "host.memory".to_owned(),
                memory(proc::memory(&read("/proc/meminfo")), config),
            ),
            (
                "host.load".to_owned(),
                load(proc::load(&read("/proc/loadavg")), processors, config),
            ),
        ];
        for disk in disks::disks(&read("/proc/self/mounts")) {
            let room = disks::room(Path::new(&disk.mount));
            all.push((
                format!("host.disk {}", disk.mount),
                room.map_or_else(
                    |error| Found::unknown(format!("{} cannot be measured: {error}", disk.mount)),
                    |room| full(&disk, room, config),
                ),
            ));
        }
        all
    }
}

fn cpu(percent: Option<f64>, processors: u32, limit: Percent) -> Found {
    let Some(percent) = percent else {
        return Found::unknown("the processors' clock has not moved".to_owned());
    };
    let detail = format!("{percent:.0}% of {processors} processors in use");
    judged(
        percent,
        f64::from(limit.0),
        detail,
        vec![value("cpu", percent, "%")],
    )
}

fn memory(memory: Option<Memory>, config: &Config) -> Found {
    let Some(memory) = memory else {
        return Found::unknown("/proc/meminfo cannot be read".to_owned());
    };
    let percent = percentage(memory.total.saturating_sub(memory.available), memory.total);
    let left = Size(memory.available);
    let detail = format!("{percent:.0}% of memory in use, {left} available");
    let values = vec![
        value("memory", percent, "%"),
        value("memory available", approximately(memory.available), "B"),
    ];
    judged(percent, f64::from(config.memory.0), detail, values)
}

fn load(load: Option<[f64; 3]>, processors: u32, config: &Config) -> Found {
    let Some([one, five, fifteen]) = load else {
        return Found::unknown("/proc/loadavg cannot be read".to_owned());
    };
    let each = five / f64::from(processors.max(1));
    let detail = format!("load {five:.2} over five minutes, {each:.2} for each processor");
    let named = [("load1", one), ("load5", five), ("load15", fifteen)];
    let values = named.map(|(name, number)| value(name, number, ""));
    judged(each, config.load.0, detail, values.to_vec())
}

fn full(disk: &Disk, room: disks::Room, config: &Config) -> Found {
    let mount = &disk.mount;
    let percent = percentage(room.used, room.used.saturating_add(room.free));
    let files = percentage(room.files, room.files.saturating_add(room.files_free));
    let left = Size(room.free);
    let detail = if files > percent {
        format!(
            "{mount} is {files:.0}% full of files, {} more fit",
            room.files_free
        )
    } else {
        format!("{mount} is {percent:.0}% full, {left} free")
    };
    let values = vec![
        value(&format!("disk {mount}"), percent, "%"),
        value(&format!("disk {mount} free"), approximately(room.free), "B"),
    ];
    judged(percent.max(files), f64::from(config.disk.0), detail, values)
}

fn judged(number: f64, limit: f64, detail: String, values: Vec<Value>) -> Found {
    let mut found = if number > limit {
        Found::failed(format!("{detail}: above {limit}"))
    } else {
        Found::passed(detail)
    };
    found.values = values;
    found
}

fn value(name: &str, number: f64, unit: &str) -> Value {
    Value {
        name: name.to_owned(),
        number: (number * 100.0).round() / 100.0,
        unit: unit.to_owned(),
    }
}

fn percentage(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * approximately(part) / approximately(whole)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody reads more than 52 bits of a size"
)]
fn approximately(number: u64) -> f64 {
    number as f64
}

/// A number of bytes as people read it.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = approximately(self.0);
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if rest < 1024.0 {
                return write!(f, "{rest:.1} {unit}");
            }
            rest /= 1024.0;
        }
        write!(f, "{rest:.1} TiB")
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::health::Verdict;

    use super::*;

    #[test]
    fn what_is_above_its_limit_fails_and_says_so() {
        let config = Config::default();
        let memory = |available| {
            memory(
                Some(Memory {
                    total: 4 << 30,
                    available,
                }),
                &config,
            )
        };
        assert_eq!(memory(2 << 30).verdict, Verdict::Passed);
        assert_eq!(
            memory(2 << 30).detail,
            "50% of memory in use, 2.0 GiB available"
        );
        assert_eq!(memory(100 << 20).verdict, Verdict::Failed);
        assert_eq!(cpu(Some(100.0), 2, Percent(100)).verdict, Verdict::Passed);
        assert_eq!(
            cpu(Some(96.0), 2, Percent(95)).detail,
            "96% of 2 processors in use: above 95"
        );
        assert_eq!(
            load(Some([9.0, 9.0, 9.0]), 2, &config).verdict,
            Verdict::Failed
        );
        assert_eq!(
            load(Some([9.0, 7.0, 7.0]), 2, &config).verdict,
            Verdict::Passed
        );
    }

    #[test]
    fn a_disk_can_be_full_of_files() {
        let disk = Disk {
            mount: "/var".to_owned(),
        };
        let room = disks::Room {
            used: 1,
            free: 9,
            files: 99,
            files_free: 1,
        };
        let found = full(&disk, room, &Config::default());
        assert_eq!(found.verdict, Verdict::Failed);
        assert_eq!(
            found.detail,
            "/var is 99% full of files, 1 more fit: above 90"
        );
    }

    #[test]
    fn this_host_can_be_sampled() {
        let names: Vec<String> = Sampler::new()
            .sample(&Config::default())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        for name in ["host.cpu", "host.memory", "host.load", "host.disk /"] {
            assert!(
                names.iter().any(|one| one == name),
                "no {name} in {names:?}"
            );
        }
    }
}
