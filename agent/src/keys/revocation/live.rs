//! The sessions of sshd that live: its processes that watch over them, as `/proc` shows them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use watchward_protocol::time::Timestamp;

/// How many ticks a second has, on every machine that Linux has now (`USER_HZ`).
const TICKS: u64 = 100;

/// A process of sshd, root's, that is no listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Monitor {
    pub(super) pid: u32,
    /// When it began, in ticks since the machine did.
    pub(super) started: u64,
}

impl Monitor {
    /// When it began, by the clock as it shows now.
    pub(super) fn began(self, now: Timestamp) -> Option<Timestamp> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        let started = Duration::from_millis(self.started.saturating_mul(1000 / TICKS));
        let up = Duration::try_from_secs_f64(uptime).ok()?;
        Some(now - up.saturating_sub(started))
    }
}

/// All of them.
pub(super) fn monitors() -> Vec<Monitor> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|it| it.file_name().to_str()?.parse().ok());
    all.filter_map(monitor).collect()
}

fn monitor(pid: u32) -> Option<Monitor> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, rest) = stat.rsplit_once(") ")?;
    let (_, name) = start.split_once('(')?;
    if !matches!(name, "sshd" | "sshd-session") {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let is_root = status.lines().any(|line| line == "Uid:\t0\t0\t0\t0");
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).into_owned();
    let titled = title.starts_with("sshd: ") || title.starts_with("sshd-session: ");
    if !is_root || !titled || title.contains("[listener]") {
        return None;
    }
    // Fields are counted from 1, and two are before the name ends.
    let started = rest.split(' ').nth(22 - 3)?.parse().ok()?;
    Some(Monitor { pid, started })
}

/// A line of a file of a process, such as its audit session.
pub(super) fn said(pid: u32, file: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(file)).ok()?;
    Some(text.trim().to_owned())
}
