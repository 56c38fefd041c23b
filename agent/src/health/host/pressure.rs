//! How much time the host loses to waiting: the kernel's pressure stall information.

use std::io;
use std::path::Path;

use watchward_protocol::checks::host::{Percent, Pressure};

use super::value;
use crate::health::Found;

/// What is read of each file, of tasks that wait: some of them, or all at once.
const FILES: [(&str, &str); 3] = [("cpu", "some"), ("memory", "full"), ("io", "full")];

/// What the kernel tells, as one check; nothing where it does not tell.
pub(super) fn pressure(folder: &Path, limits: &Pressure) -> Option<Found> {
    let limit = |name: &str| match name {
        "cpu" => limits.cpu,
        "memory" => limits.memory,
        _ => limits.io,
    };
    let mut told: Vec<(&str, f64, Percent)> = Vec::new();
    for (name, line) in FILES {
        match std::fs::read_to_string(folder.join(name)) {
            Ok(text) => told.extend(average(&text, line).map(|number| (name, number, limit(name)))),
            // With `psi=0` the files are there and cannot be read.
            Err(error) if told.is_empty() || error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Some(Found::unknown(format!("/proc/pressure: {error}"))),
        }
    }
    if told.is_empty() {
        return None;
    }
    let share = |(name, number, _): &(&str, f64, Percent)| {
        let whom = match *name {
            "cpu" => "a processor",
            "memory" => "memory",
            _ => "disks",
        };
        format!("for {whom} {number:.0}%")
    };
    let above = told
        .iter()
        .filter(|(_, number, limit)| *number > limit.number());
    let limits: Vec<_> = above
        .clone()
        .map(|(_, _, limit)| limit.number().to_string())
        .collect();
    let waited =
        |shares: Vec<String>| format!("tasks waited {} of the last minute", shares.join(" and "));
    let mut found = if limits.is_empty() {
        Found::passed(waited(told.iter().map(share).collect()))
    } else {
        let waited = waited(above.map(share).collect());
        Found::failed(format!("{waited}: above {}", limits.join(" and ")))
    };
    found.values = told
        .iter()
        .map(|(name, number, _)| value(&format!("pressure {name}"), *number, "%"))
        .collect();
    Some(found)
}

/// `avg60` in the line of this name: `some avg10=0.00 avg60=0.12 avg300=0.05 total=123`.
fn average(text: &str, line: &str) -> Option<f64> {
    let line = text.lines().find_map(|one| one.strip_prefix(line))?;
    let average = line
        .split(' ')
        .find_map(|part| part.strip_prefix("avg60="))?;
    average.parse().ok()
}

#[cfg(test)]
mod tests {
    use watchward_protocol::health::Verdict;

    use super::*;

    #[test]
    fn what_the_kernel_tells_is_judged_and_what_it_does_not_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let look = || pressure(folder.path(), &Pressure::default());
        assert_eq!(look(), None);
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("cpu", "some avg10=1.00 avg60=12.34 avg300=3.00 total=9\n");
        put(
            "io",
            "some avg10=1.00 avg60=99.00 avg300=3.00 total=9\n\
             full avg10=1.00 avg60=5.00 avg300=3.00 total=9\n",
        );
        let found = look().unwrap();
        assert_eq!(found.verdict, Verdict::Passed);
        assert_eq!(
            found.detail,
            "tasks waited for a processor 12% and for disks 5% of the last minute"
        );
        assert_eq!(found.values[1].name, "pressure io");
        put(
            "memory",
            "full avg10=1.00 avg60=21.00 avg300=3.00 total=9\n",
        );
        let found = look().unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert_eq!(
            found.detail,
            "tasks waited for memory 21% of the last minute: above 20"
        );
    }
}
