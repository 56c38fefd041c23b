//! Timers that ran, did not run, and ran something that failed.

use watchward_protocol::health::Verdict;

use super::*;
use crate::health::bus::testing::{Listing, Systemd, Times};

/// 2026-11-21, three in the morning.
const NOW: u64 = 1_795_230_000_000_000;
const HOUR: u64 = 3_600_000_000;

fn timer(sub: &str, last: u64, next: u64) -> Listing {
    Listing::of("backup.timer", ["loaded", "active", sub]).timed(Times {
        service: "backup.service".to_owned(),
        since: NOW - 72 * HOUR,
        last,
        next,
    })
}

async fn found(units: Vec<Listing>, more: &str) -> (Verdict, String) {
    let systemd = Systemd::with(units).await;
    let config = toml::from_str(&format!("unit = \"backup.timer\"\n{more}")).unwrap();
    let now = Timestamp::from_micros(i64::try_from(NOW).unwrap());
    let found = check(&config, &systemd.bus, now).await;
    (found.verdict, found.detail)
}

fn well() -> Listing {
    Listing::of("backup.service", ["loaded", "inactive", "dead"])
}

#[tokio::test]
async fn a_timer_that_runs_passes() {
    for (timer, detail) in [
        (
            timer("waiting", NOW - 3 * HOUR, NOW + 21 * HOUR),
            "backup.timer last ran 3 hours ago (2026-11-21T00:00:00Z), next in 21 hours",
        ),
        (
            timer("running", NOW - HOUR / 2, NOW - HOUR / 2),
            "backup.timer last ran 30 minutes ago (2026-11-21T02:30:00Z), and backup.service is \
             running now",
        ),
        (
            timer("elapsed", NOW - 3 * HOUR, u64::MAX),
            "backup.timer last ran 3 hours ago (2026-11-21T00:00:00Z)",
        ),
        (
            timer("waiting", 0, NOW + HOUR),
            "backup.timer has not run since it was started 3 days ago (2026-11-18T03:00:00Z), next \
             in 60 minutes",
        ),
    ] {
        let found = found(vec![timer, well()], "").await;
        assert_eq!(found, (Verdict::Passed, detail.to_owned()));
    }
}

#[tokio::test]
async fn a_timer_that_did_not_run_fails() {
    for (timer, more, detail) in [
        (
            timer("waiting", NOW - 26 * HOUR, NOW + HOUR),
            "max_age = \"25h\"",
            "backup.timer last ran 26 hours ago (2026-11-20T01:00:00Z): longer than 25h",
        ),
        (
            timer("waiting", 0, NOW + HOUR),
            "max_age = \"1d\"",
            "backup.timer has not run since it was started 3 days ago (2026-11-18T03:00:00Z): \
             longer than 1d",
        ),
        (
            timer("waiting", NOW - 26 * HOUR, NOW - 2 * HOUR),
            "",
            "backup.timer should have run 2 hours ago (2026-11-21T01:00:00Z); backup.timer last ran \
             26 hours ago (2026-11-20T01:00:00Z)",
        ),
        (
            Listing::of("backup.timer", ["loaded", "inactive", "dead"]),
            "",
            "backup.timer is inactive (dead)",
        ),
        (
            Listing::of("other.timer", ["loaded", "active", "waiting"]),
            "",
            "there is no unit backup.timer",
        ),
    ] {
        let found = found(vec![timer, well()], more).await;
        assert_eq!(found, (Verdict::Failed, detail.to_owned()));
    }
}

#[tokio::test]
async fn what_it_runs_must_end_well() {
    let timer = timer("waiting", NOW - 3 * HOUR, NOW + 21 * HOUR);
    let last = "backup.timer last ran 3 hours ago (2026-11-21T00:00:00Z)";
    for (service, detail) in [
        (
            well().ended("exit-code"),
            "backup.service failed (exit-code)",
        ),
        (
            Listing::of("backup.service", ["not-found", "inactive", "dead"]),
            "backup.service failed (there is no such unit)",
        ),
    ] {
        let found = found(vec![timer.clone(), service], "").await;
        assert_eq!(found, (Verdict::Failed, format!("{detail}; {last}")));
    }
    let skipped = found(vec![timer, well().ended("exec-condition")], "").await;
    assert_eq!(skipped.0, Verdict::Passed);
}
