//! CPU time, user and system together: the figure to compare on a machine that others use too.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};

/// What this process has used so far.
pub(crate) fn own() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        spent.tv_sec.unsigned_abs(),
        u32::try_from(spent.tv_nsec).unwrap_or(0),
    )
}

/// What a running process and its threads have used so far, to 10 ms.
pub(crate) fn of(pid: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&text, 2)
}

/// What a process has used so far, those of its children with it that have ended, to 10 ms: its line
/// of `/proc/PID/stat` says so.
pub(crate) fn of_stat(stat: &str) -> Result<Duration> {
    ticks(stat, 4)
}

fn ticks(stat: &str, fields: usize) -> Result<Duration> {
    // The name, in brackets, may hold anything; what follows it is numbers.
    let (_, numbers) = stat.rsplit_once(')').context("no such format")?;
    let mut ticks = 0;
    for number in numbers.split_whitespace().skip(11).take(fields) {
        ticks += number.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// What a command line uses, as the mean of so many runs. `$FILE` is the file in it.
pub(crate) fn of_command(line: &str, file: &Path, runs: u32) -> Result<Duration> {
    let script =
        format!("TIMEFORMAT='%U %S'; time for run in $(seq {runs}); do {line} || exit 1; done");
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("FILE", file)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{line} failed: {said}");
    let last = said.lines().last().context("bash measured nothing")?;
    let seconds: f64 = last
        .split_whitespace()
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(seconds) / runs)
}
