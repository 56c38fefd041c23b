//! The host itself: when its processors, memory, disks or load are above what is said to be well.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use sysinfo::{MemoryRefreshKind, System};
use watchward_protocol::checks::host::{Config, Percent};
use watchward_protocol::health::Value;

use super::Found;

mod disks;
mod fstab;
mod pressure;

use disks::Disk;

/// Samples the host; remembers how long its processors had worked before, and which disks it had.
#[derive(Debug)]
pub(super) struct Sampler {
    system: Option<System>,
    seen: BTreeSet<String>,
}

impl Sampler {
    /// Begins to count what the processors do.
    pub(super) fn new() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        let seen = BTreeSet::new();
        Self { system, seen }
    }

    /// What is found now, each with the name of its check.
    pub(super) fn sample(&mut self, config: &Config) -> Vec<(String, Found)> {
        let mut all = match &mut self.system {
            Some(system) => sample(system, config),
            None => vec![(
                "host.cpu".to_owned(),
                Found::unknown("/proc is missing".to_owned()),
            )],
        };
        let pressure = pressure::pressure(Path::new("/proc/pressure"), &config.pressure);
        all.extend(pressure.map(|found| ("host.pressure".to_owned(), found)));
        // Without a list of mounts nothing can be said of what is not in it.
        if let Ok(mounts) = std::fs::read("/proc/self/mounts") {
            let fstab = std::fs::read("/etc/fstab").unwrap_or_default();
            all.extend(self.disks(&mounts, &fstab, config));
        }
        all
    }

    /// Each disk: how full it is, or that it is missing.
    fn disks(&mut self, mounts: &[u8], fstab: &[u8], config: &Config) -> Vec<(String, Found)> {
        let mut all = Vec::new();
        for disk in disks::disks(mounts) {
            let room = disks::room(Path::new(&disk.mount));
            all.push((
                disk.check(),
                room.map_or_else(
                    |error| Found::unknown(format!("{} cannot be measured: {error}", disk.mount)),
                    |room| full(&disk, room, config),
                ),
            ));
            self.seen.insert(disk.mount);
        }
        for disk in fstab::missing(fstab, mounts, &self.seen) {
            let why = format!(
                "{} is not mounted; /etc/fstab says it should be",
                disk.mount
            );
            all.push((disk.check(), Found::failed(why)));
        }
        all
    }
}

fn sample(system: &mut System, config: &Config) -> Vec<(String, Found)> {
    system.refresh_cpu_usage();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram().with_swap());
    let processors = system.cpus().len();
    let memory = Memory {
        total: system.total_memory(),
        available: system.available_memory(),
    };
    let swap = swap(system.used_swap(), system.total_swap(), config.swap);
    let load = System::load_average()
        .ok()
        .map(|load| [load.one, load.five, load.fifteen]);
    let percent = f64::from(system.global_cpu_usage());
    vec![
        ("host.cpu".to_owned(), cpu(percent, processors, config.cpu)),
        ("host.memory".to_owned(), self::memory(memory, config)),
        ("host.swap".to_owned(), swap),
        ("host.load".to_owned(), self::load(load, processors, config)),
    ]
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug)]
struct Memory {
    total: u64,
    /// What could be given to programs without swapping.
    available: u64,
}

fn cpu(percent: f64, processors: usize, limit: Percent) -> Found {
    let detail = format!("{percent:.0}% of {processors} processors in use");
    judged(
        percent,
        limit.number(),
        detail,
        vec![value("cpu", percent, "%").up_to(limit.number())],
    )
}

fn memory(memory: Memory, config: &Config) -> Found {
    let percent = percentage(memory.total.saturating_sub(memory.available), memory.total);
    let left = Size(memory.available);
    let detail = format!("{percent:.0}% of memory in use, {left} available");
    let values = vec![
        value("memory", percent, "%").up_to(config.memory.number()),
        value("memory available", approximately(memory.available), "B"),
    ];
    judged(percent, config.memory.number(), detail, values)
}

fn swap(used: u64, total: u64, limit: Percent) -> Found {
    if total == 0 {
        return Found::passed("this host has no swap".to_owned());
    }
    let percent = percentage(used, total);
    let detail = format!("{percent:.0}% of {} swap in use", Size(total));
    let values = vec![value("swap", percent, "%").up_to(limit.number())];
    judged(percent, limit.number(), detail, values)
}

fn load(load: Option<[f64; 3]>, processors: usize, config: &Config) -> Found {
    let Some([one, five, fifteen]) = load else {
        return Found::unknown("/proc/loadavg cannot be read".to_owned());
    };
    let each = five / approximately(processors.max(1) as u64);
    let detail = format!("load {five:.2} over five minutes, {each:.2} for each processor");
    let named = [("load1", one), ("load5", five), ("load15", fifteen)];
    let values = named.map(|(name, number)| value(name, number, ""));
    judged(each, config.load.number(), detail, values.to_vec())
}

fn full(disk: &Disk, room: disks::Room, config: &Config) -> Found {
    let mount = &disk.mount;
    let percent = percentage(room.used, room.used.saturating_add(room.free));
    let files = percentage(room.files, room.files.saturating_add(room.files_free));
    let mut values = vec![
        value(&format!("disk {mount}"), percent, "%").up_to(config.disk.number()),
        value(&format!("disk {mount} free"), approximately(room.free), "B"),
    ];
    // Some file systems (btrfs) do not count files.
    if room.files > 0 {
        let inodes = value(&format!("inodes {mount}"), files, "%");
        values.push(inodes.up_to(config.inodes.number()));
    }
    let left = Size(room.free);
    let said = format!("{mount} is {percent:.0}% full, {left} free");
    if files > config.inodes.number() && percent <= config.disk.number() {
        let more = room.files_free;
        let said = format!("{mount} is {files:.0}% full of files (inodes), {more} more fit");
        return judged(files, config.inodes.number(), said, values);
    }
    judged(percent, config.disk.number(), said, values)
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
    Value::new(name, (number * 100.0).round() / 100.0, unit)
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
pub(super) struct Size(pub(super) u64);

impl Size {
    pub(super) fn approximately(&self) -> f64 {
        approximately(self.0)
    }
}

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
mod tests;
