//! What must hold of the spool: dense numbers, nothing lost without a word, repeats on request.

use std::collections::HashMap;
use std::path::Path;

use watchward_daemon::watchdog::Watchdog;
use watchward_protocol::health::{HealthReport, Verdict};
use watchward_protocol::record::{Backlog, Gap, Lane, Record, Report};
use watchward_protocol::time::Timestamp;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn open(directory: &Path) -> Spool {
    let directory = directory.to_owned();
    let limit = Megabytes(1);
    Spool::open(Config {
        directory,
        limit,
        ..Config::default()
    })
    .unwrap()
}

fn access(number: usize) -> Report {
    let source = format!("event {number}");
    Report::Gap(Gap {
        source,
        from: None,
        to: at(0),
        lost: None,
        why: "x".repeat(200),
    })
}

fn health(number: usize) -> Report {
    Report::Health(HealthReport {
        at: at(0),
        check: format!("check.{number}"),
        verdict: Verdict::Passed,
        detail: "y".repeat(1000),
        took: Duration::ZERO,
        interval: Duration::from_secs(1),
        failures: 1,
        values: Vec::new(),
    })
}

fn entry(reports: Vec<Report>, position: &str) -> Entry {
    let bytes = position.as_bytes().to_vec();
    Entry {
        reports,
        position: Some(Position {
            source: "journal".to_owned(),
            bytes,
        }),
    }
}

/// Reads a whole lane, and checks that every number after `after` is there or stood for.
fn all(spool: &Spool, lane: Lane, mut after: u64) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let more = spool.read(lane, after, 100).unwrap();
        let Some(last) = more.last().map(|record| record.seq) else {
            return records;
        };
        for record in more {
            assert_eq!(
                record.seq - record.covers,
                after + 1,
                "a hole in {}",
                lane.name()
            );
            after = record.seq;
            records.push(record);
        }
        assert_eq!(after, last);
    }
}

#[test]
fn numbers_and_positions_outlive_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let epoch = {
        let spool = open(folder.path());
        spool
            .append(
                &[entry(vec![access(1), health(1), access(2)], "here")],
                at(1),
            )
            .unwrap();
        spool.epoch()
    };
    let spool = open(folder.path());
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(
        spool.last(),
        PerLane {
            access: 2,
            health: 1
        }
    );
    let positions = HashMap::from([("journal".to_owned(), b"here".to_vec())]);
    assert_eq!(spool.positions().unwrap(), positions);
    let reports: Vec<Report> = all(&spool, Lane::Access, 0)
        .into_iter()
        .map(|r| r.report)
        .collect();
    assert_eq!(reports, [access(1), access(2)]);
}

#[test]
fn the_backlog_is_what_the_collector_lacks_and_how_old_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let behind = |now| spool.backlog(at(now)).unwrap();
    assert_eq!(behind(1), Backlog::default());
    let (first, second) = (vec![access(1), access(2)], vec![access(3), health(1)]);
    spool.append(&[entry(first, "a")], at(10)).unwrap();
    spool.append(&[entry(second, "b")], at(40)).unwrap();
    let backlog = |records, seconds| Backlog {
        records,
        oldest: Duration::from_secs(seconds),
    };
    assert_eq!(behind(100), backlog(4, 90));
    spool.acknowledge(Lane::Access, 2);
    assert_eq!(behind(100), backlog(2, 60));
    spool.acknowledge(Lane::Access, 3);
    spool.acknowledge(Lane::Health, 1);
    assert_eq!(behind(100), Backlog::default());
}

#[test]
fn what_is_acknowledged_can_be_asked_for_again_until_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool
        .append(&[entry(vec![access(1), access(2)], "a")], at(1))
        .unwrap();
    spool.acknowledge(Lane::Access, 2);
    spool.append(&[entry(vec![access(3)], "b")], at(2)).unwrap();
    assert_eq!(all(&spool, Lane::Access, 0).len(), 3);

    let next_day = at(3) + Span::days(1).duration();
    spool
        .append(&[entry(vec![access(4)], "c")], next_day)
        .unwrap();
    let left = all(&spool, Lane::Access, 0);
    assert_eq!(
        left.len(),
        3,
        "one word for what is gone, and two that nobody has yet"
    );
    assert!(matches!(&left[0].report, Report::Gap(gap) if gap.lost == Some(2)));
    assert_eq!(
        all(&spool, Lane::Access, 2).len(),
        2,
        "whoever has it hears of no gap"
    );
}

#[test]
fn no_room_costs_the_oldest_health_first_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for round in 0..40 {
        let reports = (0..50)
            .flat_map(|i| [health(round * 50 + i), access(i)])
            .collect();
        spool
            .append(&[entry(reports, "p")], at(1 + round as i64))
            .unwrap();
    }
    let access = all(&spool, Lane::Access, 0);
    assert_eq!(access.len(), 2000);
    assert!(
        access.iter().all(|record| record.covers == 0),
        "an access event was given up"
    );
    let health = all(&spool, Lane::Health, 0);
    let Report::Gap(gap) = &health[0].report else {
        panic!("no word about what was given up")
    };
    assert_eq!(gap.lost, Some(health[0].covers + 1));
    assert_eq!(2000, gap.lost.unwrap() + health.len() as u64 - 1);
}

#[test]
fn access_events_go_last_and_never_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for round in 0..100 {
        let reports = (0..100).map(access).collect();
        spool.append(&[entry(reports, "p")], at(1 + round)).unwrap();
    }
    let left = all(&spool, Lane::Access, 0);
    let Report::Gap(gap) = &left[0].report else {
        panic!("no gap")
    };
    assert_eq!(gap.lost.unwrap() + left.len() as u64 - 1, 10_000);
    assert!(left.len() > 1000);
}

#[test]
fn an_older_copy_of_the_file_begins_another_epoch_with_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let entry = |number| [entry(vec![access(number)], "a")];
    spool.append(&entry(1), at(1)).unwrap();
    spool.append(&entry(3), at(9)).unwrap();
    let epoch = spool.epoch();
    assert!(spool.agrees(Lane::Access, 0, at(0)).unwrap());
    assert!(spool.agrees(Lane::Access, 2, at(9)).unwrap());
    assert!(
        !spool.agrees(Lane::Access, 3, at(9)).unwrap(),
        "a number it never gave"
    );
    assert!(
        !spool.agrees(Lane::Access, 2, at(5)).unwrap(),
        "a number it gave to another"
    );

    spool.renew(Lane::Access, 2, at(5)).unwrap();
    assert_ne!(spool.epoch(), epoch);
    let left: Vec<Report> = all(&spool, Lane::Access, 0)
        .into_iter()
        .map(|r| r.report)
        .collect();
    assert_eq!(left, [access(3)]);
}

#[test]
fn a_new_epoch_has_what_the_collector_lacks_of_an_append() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let reports = (1..=4).map(access).collect();
    spool.append(&[entry(reports, "a")], at(5)).unwrap();
    spool.renew(Lane::Access, 2, at(5)).unwrap();
    let left: Vec<Report> = all(&spool, Lane::Access, 0)
        .into_iter()
        .map(|r| r.report)
        .collect();
    assert_eq!(left, [access(3), access(4)]);
}

#[test]
fn what_was_given_up_is_no_older_copy_where_an_acknowledgement_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut kept = HashMap::new();
    for round in 0..30 {
        let reports = (0..50).map(health).collect();
        spool.append(&[entry(reports, "p")], at(1 + round)).unwrap();
        for seq in spool.last().health - 49..=spool.last().health {
            kept.insert(seq, at(1 + round));
        }
    }
    let first = spool.read(Lane::Health, 0, 1).unwrap().remove(0);
    assert!(first.covers > 0, "nothing was given up");
    assert!(
        spool
            .agrees(Lane::Health, first.seq, kept[&first.seq])
            .unwrap(),
        "the collector has the record that the gap stands for"
    );
}

#[test]
fn a_record_that_cannot_be_read_is_a_gap_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let Report::Health(mut refused) = health(2) else {
        unreachable!()
    };
    refused.check = "z".repeat(201);
    let reports = vec![health(1), Report::Health(refused), health(3)];
    spool.append(&[entry(reports, "a")], at(1)).unwrap();
    let records = all(&spool, Lane::Health, 0);
    let [
        first,
        Record {
            report: Report::Gap(gap),
            kept_at,
            ..
        },
        third,
    ] = &records[..]
    else {
        panic!("{records:?}")
    };
    assert_eq!((&first.report, &third.report), (&health(1), &health(3)));
    assert_eq!(
        (gap.source.as_str(), gap.lost),
        ("spool of health", Some(1))
    );
    assert_eq!(gap.why, "a record kept here cannot be read");
    assert!(spool.agrees(Lane::Health, 2, *kept_at).unwrap());

    spool.renew(Lane::Access, 0, at(0)).unwrap();
    let renewed = all(&spool, Lane::Health, 0);
    assert_eq!(renewed.len(), 3, "what begins anew keeps the gap as well");
    assert_eq!(renewed[1].report, Report::Gap(gap.clone()));
}

#[tokio::test]
async fn a_burst_takes_few_commits_and_arrives_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(folder.path()));
    let (keeper, entries) = Keeper::new();
    let (grown, _) = watch::channel(PerLane::default());
    let feed = async move {
        for number in 0..200 {
            keeper
                .keep(entry(vec![access(number)], &number.to_string()))
                .await
                .unwrap();
        }
    };
    let ends = (Stop::new(), Watchdog::of_unit().pulse());
    let (done, ()) = tokio::join!(run(spool.clone(), entries, grown, ends), feed);
    done.unwrap();
    let reports: Vec<Report> = all(&spool, Lane::Access, 0)
        .into_iter()
        .map(|r| r.report)
        .collect();
    assert_eq!(reports, (0..200).map(access).collect::<Vec<_>>());
    assert_eq!(spool.positions().unwrap()["journal"], b"199");
}

#[tokio::test]
async fn a_commit_that_is_stuck_is_no_sign_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Arc::new(open(folder.path()));
    let (keeper, entries) = Keeper::new();
    let (grown, mut growing) = watch::channel(PerLane::default());
    let (watchdog, mut told) = Watchdog::of_test(Duration::from_millis(1));
    let ends = (Stop::new(), watchdog.pulse());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (holds, held) = tokio::sync::oneshot::channel();
    let holder = spool.clone();
    let scene = async {
        told.recv().await.unwrap();
        let stuck = tokio::task::spawn_blocking(move || {
            holder.with(|_| {
                holds.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            })
        });
        held.await.unwrap();
        keeper.keep(entry(vec![access(1)], "1")).await.unwrap();
        let mut signs = 0;
        while tokio::time::timeout(Duration::from_millis(50), told.recv())
            .await
            .is_ok()
        {
            signs += 1;
            assert!(signs < 1000, "a stuck spool says that it works");
        }
        drop(release);
        growing.changed().await.unwrap();
        told.recv().await.unwrap();
        stuck.await.unwrap().unwrap();
        drop(keeper);
    };
    let (done, ()) = tokio::join!(run(spool.clone(), entries, grown, ends), scene);
    done.unwrap();
}

#[test]
fn what_waits_in_other_threads_holds_up_nothing_that_is_kept() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let (_stuck, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        tokio::task::spawn_blocking(move || {
            let _ = held.recv();
        });
        let folder = tempfile::tempdir().unwrap();
        let spool = Arc::new(open(folder.path()));
        let (keeper, entries) = Keeper::new();
        let (grown, _) = watch::channel(PerLane::default());
        let ends = (Stop::new(), Watchdog::of_unit().pulse());
        keeper.keep(entry(vec![access(1)], "1")).await.unwrap();
        drop(keeper);
        let done = run(spool.clone(), entries, grown, ends);
        let done = tokio::time::timeout(Duration::from_secs(60), done).await;
        done.expect("the spool waits for others").unwrap();
        assert_eq!(spool.last().access, 1);
    });
    runtime.shutdown_background();
}
