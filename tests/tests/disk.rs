//! A disk that is full: the agent gives up health first, access last, and says what it gave up.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchward_agent::spool::{Config, Entry, Spool};
use watchward_protocol::health::{HealthReport, Verdict};
use watchward_protocol::record::{Gap, Lane, Record, Report};
use watchward_protocol::time::Timestamp;

/// A disk of so many mebibytes, gone with the test.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(mebibytes: u32) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let done = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={mebibytes}m"),
                "watchward-test",
            ])
            .arg(folder.path())
            .output()?;
        Ok(done.status.success().then_some(Self(folder)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn access(number: usize) -> Report {
    let (source, why) = (format!("event {number}"), "x".repeat(100));
    Report::Gap(Gap {
        source,
        from: None,
        to: at(0),
        lost: None,
        why,
    })
}

fn health() -> Report {
    Report::Health(HealthReport {
        at: at(0),
        check: "host.cpu".to_owned(),
        verdict: Verdict::Passed,
        detail: "y".repeat(1000),
        took: Duration::ZERO,
        interval: Duration::from_secs(1),
        failures: 1,
        values: Vec::new(),
    })
}

fn all(spool: &Spool, lane: Lane) -> Result<Vec<Record>> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let more = spool.read(lane, after, 1000)?;
        let Some(last) = more.last() else {
            return Ok(all);
        };
        after = last.seq;
        for record in more {
            let before = all.last().map_or(0, |last: &Record| last.seq);
            ensure!(
                record.seq - record.covers == before + 1,
                "a hole before {}",
                record.seq
            );
            all.push(record);
        }
    }
}

#[test]
fn a_full_disk_costs_health_first_and_access_never_in_silence() -> Result<()> {
    let Some(disk) = Disk::of(8)? else {
        println!("skipped: this machine lets nobody mount a small disk");
        return Ok(());
    };
    let directory = disk.path().join("spool");
    let spool = Spool::open(Config {
        directory: directory.clone(),
        ..Config::default()
    })?;
    // Three times what the disk holds, most of it health.
    let mut kept = 0;
    for round in 0..200 {
        let reports = (0..100).flat_map(|number| match number % 10 {
            0 => vec![access(round * 100 + number), health()],
            _ => vec![health()],
        });
        let entry = Entry {
            reports: reports.collect(),
            position: None,
        };
        let appended = spool.append(&[entry], at(1 + i64::try_from(round)?));
        appended.with_context(|| format!("round {round} was refused"))?;
        kept += 10;
    }
    let access = all(&spool, Lane::Access)?;
    ensure!(access.len() == kept && access.iter().all(|record| record.covers == 0));
    let health = all(&spool, Lane::Health)?;
    let Report::Gap(gap) = &health[0].report else {
        anyhow::bail!("no word about the health that was given up")
    };
    ensure!(
        gap.lost.unwrap() + health.len() as u64 - 1 == 20_000,
        "{gap:?}"
    );

    drop(spool);
    let again = Spool::open(Config {
        directory,
        ..Config::default()
    })?;
    ensure!(
        all(&again, Lane::Access)?.len() == kept,
        "a restart lost something"
    );
    Ok(())
}
