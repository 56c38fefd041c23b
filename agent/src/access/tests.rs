//! Sources as the program runs them: with real files, found, rotated, and changed by a reload.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};
use watchward_daemon::tasks::{Running, tasks};
use watchward_protocol::access::{AccessEvent, Trust};
use watchward_protocol::hosts::Finding;
use watchward_protocol::record::Report;

use super::*;
use crate::spool::Entry;
use crate::witness::Sees;

/// Longer than anything takes here.
const EVER: Duration = Duration::from_secs(60);

fn line(port: u16) -> String {
    format!(
        "2026-11-21T03:04:05+00:00 host sshd[7]: Failed password for root from 192.0.2.7 port {port} ssh2\n"
    )
}

fn write(log: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

struct Bench {
    entries: mpsc::Receiver<Entry>,
    found: mpsc::UnboundedReceiver<Finding>,
    running: Running,
    positions: HashMap<String, Vec<u8>>,
}

/// One who sees.
struct Eyes(mpsc::UnboundedSender<Report>);

impl Sees for Eyes {
    fn see(&self, report: &Report) {
        self.0.send(report.clone()).unwrap();
    }

    fn is_eager(&self) -> bool {
        true
    }

    fn believes_text(&self) -> bool {
        true
    }
}

impl Bench {
    fn start(config: Live<Config>, positions: HashMap<String, Vec<u8>>) -> Self {
        Self::seen_by(Witness::default(), config, positions)
    }

    fn seen_by(
        witness: Witness,
        config: Live<Config>,
        positions: HashMap<String, Vec<u8>>,
    ) -> Self {
        let (keeper, entries) = Keeper::new();
        let (findings, found) = mpsc::unbounded_channel();
        let (tasks, running) = tasks();
        let ends = (keeper, witness, Own::default());
        let reading = run(config, positions.clone(), ends, findings, tasks.stop());
        tasks.start("access", reading);
        Self {
            entries,
            found,
            running,
            positions,
        }
    }

    async fn finding(&mut self) -> (String, FindingState) {
        let finding = timeout(EVER, self.found.recv()).await.unwrap().unwrap();
        (finding.subject, finding.state)
    }

    async fn entry(&mut self) -> Vec<AccessEvent> {
        let entry = timeout(EVER, self.entries.recv()).await.unwrap().unwrap();
        if let Some(position) = entry.position {
            self.positions.insert(position.source, position.bytes);
        }
        let events = entry.reports.into_iter().map(|report| match report {
            Report::Access(event) => event,
            Report::Gap(_)
            | Report::Health(_)
            | Report::Doctor(_)
            | Report::Keys(_)
            | Report::Restriction(_)
            | Report::Instruments(_)
            | Report::Identities(_)
            | Report::Peers(_) => {
                panic!("{report:?}")
            }
        });
        events.collect()
    }

    /// Ports of the events, until so many have come.
    async fn ports(&mut self, count: usize) -> Vec<u16> {
        let mut ports = Vec::new();
        while ports.len() < count {
            let events = self.entry().await;
            ports.extend(events.iter().filter_map(|event| event.peer?.port));
        }
        ports
    }

    async fn stop(self) -> HashMap<String, Vec<u8>> {
        self.running.drain(EVER).await;
        self.positions
    }
}

fn files(logs: &[&Path]) -> Config {
    let file = |path: &&Path| LogFile::try_from(path.to_path_buf()).unwrap();
    Config {
        source: Source::Files,
        files: logs.iter().map(file).collect(),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_log_is_followed_through_a_rotation_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    write(&log, &line(1));
    let mut bench = Bench::start(Live::fixed(files(&[&log])), HashMap::new());
    assert_eq!(
        bench.entry().await,
        [],
        "what is old is no news, and its place is kept"
    );
    write(&log, &line(2));
    write(
        &log,
        "2026-11-21T03:04:05+00:00 host cron[9]: Failed password for root from 192.0.2.7 port 9 ssh2\n",
    );
    assert_eq!(bench.ports(1).await, [2]);
    let [first, second] = ["auth.log.1", "auth.log.2"].map(|name| folder.path().join(name));
    fs::rename(&log, &first).unwrap();
    write(&log, &line(3));
    assert_eq!(bench.ports(1).await, [3]);

    let positions = bench.stop().await;
    write(&log, &line(4));
    fs::rename(&first, &second).unwrap();
    fs::rename(&log, &first).unwrap();
    write(&log, &line(5));
    let mut bench = Bench::start(Live::fixed(files(&[&log])), positions);
    assert_eq!(bench.ports(2).await, [4, 5]);
    bench.stop().await;
}

#[tokio::test]
async fn a_connection_that_goes_on_over_a_restart_is_one_try() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    write(&log, "");
    let mut bench = Bench::start(Live::fixed(files(&[&log])), HashMap::new());
    bench.entry().await;
    write(&log, &line(1));
    let before = bench.entry().await;
    let positions = bench.stop().await;
    let ends = "Connection closed by authenticating user root 192.0.2.7 port 1 [preauth]";
    let at = "2026-11-21T03:04:09+00:00 host";
    write(
        &log,
        &format!("{at} sshd[7]: {ends}\n{at} sshd[8]: {ends}\n"),
    );
    let mut bench = Bench::start(Live::fixed(files(&[&log])), positions);
    let mut after = Vec::new();
    while after.len() < 2 {
        after.extend(bench.entry().await);
    }
    bench.stop().await;
    let tries =
        |events: &[AccessEvent]| -> Vec<_> { events.iter().map(|event| event.attempt).collect() };
    assert_eq!(tries(&before), [true]);
    assert_eq!(
        tries(&after),
        [false, true],
        "counted before, and another connection"
    );
}

#[tokio::test]
async fn what_is_found_and_what_is_not_is_said_and_follows_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("auth.log"), folder.path().join("secure"));
    write(&one, "");
    let (hand, live) = Live::new(files(&[&one, &other]));
    let mut bench = Bench::start(live, HashMap::new());
    let subject = |log: &Path| format!("access: {}", log.display());
    assert_eq!(
        bench.finding().await,
        (journal::SUBJECT.to_owned(), FindingState::Absent)
    );
    assert_eq!(
        bench.finding().await,
        (subject(&one), FindingState::Watched)
    );
    assert_eq!(
        bench.finding().await,
        (subject(&other), FindingState::Absent)
    );
    write(&other, &line(1));
    assert_eq!(
        bench.finding().await,
        (subject(&other), FindingState::Watched)
    );
    assert_eq!(
        bench.ports(1).await,
        [1],
        "a log that comes later is read from its start"
    );

    hand.send_replace(Arc::new(files(&[&other])));
    let mut gone = bench.finding().await;
    while gone.0 != subject(&one) {
        gone = bench.finding().await;
    }
    assert_eq!(gone.1, FindingState::Absent);
    write(&one, &line(2));
    write(&other, &line(3));
    assert_eq!(bench.ports(1).await, [3]);
    bench.stop().await;
}

#[tokio::test]
async fn folded_lines_of_a_log_are_counted_within_bounds_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    write(&log, "");
    let mut bench = Bench::start(Live::fixed(files(&[&log])), HashMap::new());
    bench.entry().await;
    let folded = |times: u32| {
        line(1)
            .replace(
                "Failed",
                &format!("message repeated {times} times: [ Failed"),
            )
            .replace("ssh2", "ssh2]")
    };
    write(&log, &folded(3));
    assert_eq!(bench.ports(3).await.len(), 3);
    write(&log, &folded(4096).repeat(500));
    let (mut events, mut lost) = (0, 0);
    while events + lost < 500 * 4096 {
        let entry = timeout(EVER, bench.entries.recv()).await.unwrap().unwrap();
        assert!(entry.reports.len() < 2000, "{}", entry.reports.len());
        for report in entry.reports {
            match report {
                Report::Access(_) => events += 1,
                Report::Gap(gap) => lost += gap.lost.unwrap(),
                Report::Health(_)
                | Report::Doctor(_)
                | Report::Keys(_)
                | Report::Restriction(_)
                | Report::Instruments(_)
                | Report::Identities(_)
                | Report::Peers(_) => panic!("{report:?}"),
            }
        }
    }
    assert_eq!(events + lost, 500 * 4096);
    bench.stop().await;
}

#[tokio::test]
async fn a_text_log_is_never_trusted_and_its_garbage_is_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    write(&log, "");
    let mut bench = Bench::start(Live::fixed(files(&[&log])), HashMap::new());
    bench.entry().await;
    write(&log, "\u{0}garbage\n\n");
    write(&log, &line(1));
    let mut events = Vec::new();
    while events.is_empty() {
        events = bench.entry().await;
    }
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].trust, Trust::Text);
    bench.stop().await;
}

#[tokio::test]
async fn a_flood_is_seen_to_its_end_while_the_spool_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    write(&log, &line(1));
    let (sender, mut seen) = mpsc::unbounded_channel();
    let witness = Witness::new(Arc::new(Eyes(sender)));
    let config = Live::fixed(files(&[&log]));
    let mut bench = Bench::seen_by(witness, config, HashMap::new());
    bench.entry().await;
    // All in the name of one process: such lines are forged, or a test's.
    let flood: String = (0..20_000)
        .map(|number| {
            line(7).replace(
                "192.0.2.7",
                &format!("10.0.{}.{}", number / 250, number % 250),
            )
        })
        .collect();
    write(&log, &(flood + &line(9)));
    let mut tries = 0;
    loop {
        let report = timeout(EVER, seen.recv()).await.unwrap().unwrap();
        let Report::Access(event) = report else {
            panic!("{report:?}")
        };
        assert!(event.attempt, "{event:?}");
        tries += 1;
        if event.peer.unwrap().port == Some(9) {
            break;
        }
    }
    assert_eq!(tries, 20_001);
    bench.stop().await;
}
