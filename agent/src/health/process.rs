//! Whether a program is running, as `/proc` has it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use watchward_protocol::checks::process::Config;

use super::Found;

/// How much of a program's name the kernel keeps (`TASK_COMM_LEN` without its NUL).
const KEPT: usize = 15;

/// Looks for one program. `last` remembers where it was, so that the next look reads one file.
pub(super) fn check(config: &Config, proc: &Path, last: &AtomicU32) -> Found {
    let name = config.name.as_str();
    let remembered = last.load(Ordering::Relaxed);
    if remembered != 0 && runs(proc, remembered, name) {
        return Found::passed(format!("{name} runs as process {remembered}"));
    }
    let Ok(processes) = fs::read_dir(proc) else {
        return Found::unknown(format!("cannot read {}", proc.display()));
    };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let found = pids.into_iter().find(|pid| runs(proc, *pid, name));
    last.store(found.unwrap_or(0), Ordering::Relaxed);
    match found {
        Some(pid) => Found::passed(format!("{name} runs as process {pid}")),
        None => Found::failed(format!("no process named {name} is running")),
    }
}

/// Whether a process is alive and has this name. A longer name is cut off by the kernel, so then
/// the first word of the command line decides.
fn runs(proc: &Path, pid: u32, name: &str) -> bool {
    let folder = proc.join(pid.to_string());
    let Ok(stat) = fs::read(folder.join("stat")) else {
        return false;
    };
    // pid (name) state ...: the name itself may hold parentheses.
    let open = stat.iter().position(|byte| *byte == b'(');
    let close = stat.iter().rposition(|byte| *byte == b')');
    let (Some(open), Some(close)) = (open, close) else {
        return false;
    };
    let short = stat.get(open + 1..close).unwrap_or_default();
    let alive = !matches!(stat.get(close + 2), Some(b'Z' | b'X') | None);
    let cut = name.as_bytes().get(..KEPT).unwrap_or(name.as_bytes());
    if !alive || short != cut {
        return false;
    }
    name.len() <= KEPT || {
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let file = first
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        file == name.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use watchward_protocol::health::Verdict;

    use super::*;

    fn put(proc: &Path, pid: u32, name: &str, state: char, line: &str) {
        let folder = proc.join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("stat"),
            format!("{pid} ({name}) {state} 1 {pid}"),
        )
        .unwrap();
        fs::write(folder.join("cmdline"), line).unwrap();
    }

    fn config(name: &str) -> Config {
        toml::from_str(&format!("name = {name:?}")).unwrap()
    }

    fn verdict(proc: &Path, name: &str) -> Verdict {
        let config = config(name);
        check(&config, proc, &AtomicU32::new(0)).verdict
    }

    #[test]
    fn finds_what_runs_and_misses_what_does_not() {
        let proc = tempfile::tempdir().unwrap();
        put(proc.path(), 7, "cron", 'S', "/usr/sbin/cron\0-f\0");
        put(proc.path(), 8, "dead", 'Z', "");
        put(proc.path(), 9, "odd) S (name", 'S', "odd");
        put(
            proc.path(),
            10,
            "a-very-long-nam",
            'S',
            "/opt/a-very-long-name\0",
        );
        for (name, expected) in [
            ("cron", Verdict::Passed),
            ("cro", Verdict::Failed),
            ("dead", Verdict::Failed),
            ("odd) S (name", Verdict::Passed),
            ("a-very-long-name", Verdict::Passed),
            ("a-very-long-named", Verdict::Failed),
        ] {
            assert_eq!(verdict(proc.path(), name), expected, "{name}");
        }
    }

    #[test]
    fn what_ended_is_missed_although_it_is_remembered() {
        let proc = tempfile::tempdir().unwrap();
        put(proc.path(), 7, "cron", 'S', "cron");
        let config = config("cron");
        let last = AtomicU32::new(0);
        assert_eq!(check(&config, proc.path(), &last).verdict, Verdict::Passed);
        put(proc.path(), 7, "other", 'S', "other");
        assert_eq!(check(&config, proc.path(), &last).verdict, Verdict::Failed);
    }
}
