//! A journal that is followed, with a stand-in for journalctl.

mod recall;
mod restart;

use std::collections::HashMap;
use std::fs;

use tempfile::TempDir;
use tokio::sync::mpsc;
use watchward_daemon::tasks::tasks;
use watchward_protocol::access::{AccessEvent, Trust};
use watchward_protocol::hosts::Finding;
use watchward_protocol::time::Timestamp;

use super::*;
use crate::spool::{self, Keeper};

const SERVER: &str = "_UID=0\n_EXE=/usr/sbin/sshd\n_PID=7";
const LOGGER: &str = "_UID=1000\n_EXE=/usr/bin/logger\n_PID=8";

/// Longer than anything takes here.
const EVER: Duration = Duration::from_secs(60);

/// An entry with this number, of the minute with this number.
fn entry(number: u64, minute: i64, sender: &str) -> String {
    let taken = minute * 60_000_000;
    format!(
        "__CURSOR=s=a;i={number:x};b=1;m={number:x};t=1;x=1\n__REALTIME_TIMESTAMP={taken}\n\
         _BOOT_ID=1\n{sender}\nMESSAGE=Failed password for root from 192.0.2.7 port {number} ssh2\n"
    )
}

/// What a source has kept when it had read this entry.
fn behind(line: &str) -> Vec<u8> {
    let entry = entry::read(line.as_bytes()).unwrap();
    serde_json::to_vec(&Place::behind(&entry)).unwrap()
}

struct Bench {
    folder: TempDir,
    entries: mpsc::Receiver<spool::Entry>,
    found: mpsc::UnboundedReceiver<Finding>,
    desk: Option<Desk>,
}

impl Bench {
    /// A journal whose files show these lines.
    fn new(position: Option<Vec<u8>>, files: &[(&str, &[String])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/access/journal/tests/journalctl"
        );
        std::os::unix::fs::symlink(script, folder.path().join("journalctl")).unwrap();
        for name in ["follow", "cursor", "last", "oldest", "socket"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for (name, lines) in files {
            fs::write(folder.path().join(name), lines.join("\n") + "\n").unwrap();
        }
        let (keeper, entries) = Keeper::new();
        let (findings, found) = mpsc::unbounded_channel();
        let positions = position.map(|bytes| (SOURCE.to_owned(), bytes));
        let positions: HashMap<_, _> = positions.into_iter().collect();
        let desk = Some(Desk::new(positions, keeper, findings));
        Self {
            folder,
            entries,
            found,
            desk,
        }
    }

    fn journal(&self) -> Journal {
        Journal {
            services: Service::ALL.to_vec(),
            program: self.folder.path().join("journalctl").display().to_string(),
            socket: self.folder.path().join("socket"),
        }
    }

    /// Follows it until so many entries were handed in.
    async fn follow(&mut self, count: usize) -> Vec<spool::Entry> {
        self.follow_until(|all| all.len() >= count).await
    }

    /// Follows it until that holds of what was handed in.
    async fn follow_until(&mut self, done: impl Fn(&[spool::Entry]) -> bool) -> Vec<spool::Entry> {
        let (journal, mut desk) = (self.journal(), self.desk.take().unwrap());
        let (tasks, running) = tasks();
        let stop = tasks.stop();
        tasks.start("journal", async move {
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                ended = journal.follow(&mut desk) => match ended? {},
            }
        });
        drop(tasks);
        let mut all = Vec::new();
        while all.is_empty() || !done(&all) {
            all.push(self.entries.recv().await.unwrap());
        }
        running.drain(Duration::from_secs(10)).await;
        all
    }
}

/// Ports of the events: the numbers of their entries.
fn ports(entries: &[spool::Entry]) -> Vec<u16> {
    let events = events(entries);
    events.iter().filter_map(|event| event.peer?.port).collect()
}

fn events(entries: &[spool::Entry]) -> Vec<&AccessEvent> {
    let reports = entries.iter().flat_map(|entry| &entry.reports);
    let events = reports.filter_map(|report| match report {
        Report::Access(event) => Some(event),
        Report::Gap(_)
        | Report::Health(_)
        | Report::Doctor(_)
        | Report::Keys(_)
        | Report::Restriction(_)
        | Report::Instruments(_)
        | Report::Identities(_)
        | Report::Peers(_) => None,
    });
    events.collect()
}

fn gaps(entries: &[spool::Entry]) -> Vec<&Gap> {
    let reports = entries.iter().flat_map(|entry| &entry.reports);
    let gaps = reports.filter_map(|report| match report {
        Report::Gap(gap) => Some(gap),
        Report::Access(_)
        | Report::Health(_)
        | Report::Doctor(_)
        | Report::Keys(_)
        | Report::Restriction(_)
        | Report::Instruments(_)
        | Report::Identities(_)
        | Report::Peers(_) => None,
    });
    gaps.collect()
}

/// The place that was kept last, without the connections that go on behind it.
fn kept(entries: &[spool::Entry]) -> Vec<u8> {
    let bytes = &entries.last().unwrap().position.as_ref().unwrap().bytes;
    let mut place: Place = serde_json::from_slice(bytes).unwrap();
    place.open.clear();
    serde_json::to_vec(&place).unwrap()
}

#[tokio::test]
async fn the_first_start_begins_behind_the_last_entry() {
    let (old, new) = (entry(1, 1, SERVER), entry(2, 2, SERVER));
    let lines = [old.clone(), new];
    let files: &[(&str, &[String])] = &[("last", &lines[..1]), ("follow", &lines)];
    let mut bench = Bench::new(None, files);
    let all = bench.follow(2).await;
    assert_eq!(
        all[0].position.as_ref().unwrap().bytes,
        behind(&old),
        "kept before anything comes"
    );
    assert_eq!(ports(&all), [2]);
    assert_eq!(gaps(&all).len(), 0);
    let finding = bench.found.recv().await.unwrap();
    assert_eq!(
        (finding.subject.as_str(), finding.state),
        (SUBJECT, FindingState::Watched)
    );
}

#[tokio::test]
async fn goes_on_behind_the_entry_that_was_read_last() {
    let lines: Vec<String> = (1..5).map(|number| entry(number, 1, SERVER)).collect();
    let files: &[(&str, &[String])] = &[
        ("last", &lines[3..]),
        ("cursor", &lines[1..]),
        ("follow", &lines[1..]),
    ];
    let mut bench = Bench::new(Some(behind(&lines[1])), files);
    let all = bench.follow(1).await;
    assert_eq!(
        ports(&all),
        [3, 4],
        "both are there at once and are handed in at once"
    );
    assert_eq!(kept(&all), behind(&lines[3]));
    assert_eq!(gaps(&all).len(), 0);
}

#[tokio::test]
async fn when_the_entry_is_gone_the_gap_is_told_and_nothing_comes_twice() {
    let lines: Vec<String> = (1..8)
        .map(|number| entry(number, number.cast_signed(), SERVER))
        .collect();
    let files: &[(&str, &[String])] = &[
        ("last", &lines[6..]),
        ("cursor", &lines[5..]),
        ("oldest", &lines[5..]),
        ("follow", &[&lines[1..3], &lines[5..]].concat()),
    ];
    let mut bench = Bench::new(Some(behind(&lines[3])), files);
    let all = bench.follow(2).await;
    assert_eq!(ports(&all), [6, 7]);
    let [gap] = gaps(&all)[..] else {
        panic!("one gap: {all:?}");
    };
    assert_eq!(gap.from, Some(Timestamp::from_micros(4 * 60_000_000)));
    assert_eq!(gap.to, Timestamp::from_micros(6 * 60_000_000));
    let calls = fs::read_to_string(bench.folder.path().join("calls")).unwrap();
    assert!(
        calls.contains("--since=@-3360"),
        "an hour before is looked at again: {calls}"
    );
}

#[tokio::test]
async fn a_journalctl_that_ends_is_started_again_and_that_is_told() {
    let lines: Vec<String> = (1..4).map(|number| entry(number, 1, SERVER)).collect();
    let files: &[(&str, &[String])] = &[
        ("dies", &[]),
        ("last", &lines[2..]),
        ("cursor", &lines),
        ("follow", &lines),
    ];
    let mut bench = Bench::new(Some(behind(&lines[0])), files);
    let (journal, mut desk) = (bench.journal(), bench.desk.take().unwrap());
    let told = async {
        let mut states = Vec::new();
        while states.len() < 3 {
            let finding = bench.found.recv().await.unwrap();
            states.push((finding.state, finding.detail));
        }
        states
    };
    let states = tokio::select! {
        states = told => states,
        ended = journal.follow(&mut desk) => match ended.unwrap() {},
    };
    let [
        (FindingState::Watched, _),
        (FindingState::Failing, why),
        (FindingState::Watched, _),
    ] = &states[..]
    else {
        panic!("{states:?}");
    };
    assert!(why.contains("journalctl ended: Bad message"), "{why}");
    drop(desk);
    let mut all = Vec::new();
    while let Some(entry) = bench.entries.recv().await {
        all.push(entry);
    }
    assert_eq!(ports(&all), [2, 3], "nothing twice");
}

#[tokio::test]
async fn what_a_local_user_wrote_is_never_trusted() {
    let lines = [
        entry(1, 1, SERVER),
        entry(2, 1, SERVER),
        entry(3, 1, LOGGER),
    ];
    let files: &[(&str, &[String])] = &[
        ("last", &lines[2..]),
        ("cursor", &lines),
        ("follow", &lines),
    ];
    let all = Bench::new(Some(behind(&lines[0])), files).follow(1).await;
    let trust: Vec<Trust> = events(&all).iter().map(|event| event.trust).collect();
    assert_eq!(trust, [Trust::Server, Trust::Text]);
}

#[tokio::test]
async fn a_few_bytes_never_become_many_events_and_what_is_left_out_is_told() {
    let forged = |number| {
        entry(number, 1, LOGGER).replace(
            "Failed password for root",
            "message repeated 4096 times: [ x",
        )
    };
    let lines: Vec<String> = (1..=500)
        .map(|number| forged(number).trim_end().to_owned() + "]\n")
        .collect();
    let files: &[(&str, &[String])] = &[
        ("last", &lines[499..]),
        ("cursor", &lines),
        ("follow", &lines),
    ];
    let mut bench = Bench::new(Some(behind(&lines[0])), files);
    let last = behind(&lines[499]);
    let all = bench.follow_until(|all| kept(all) == last).await;
    for entry in &all {
        assert!(entry.reports.len() < 1000, "{}", entry.reports.len());
    }
    let lost: u64 = gaps(&all).iter().filter_map(|gap| gap.lost).sum();
    assert_eq!(lost + events(&all).len() as u64, 499 * 4096);
}

#[tokio::test]
async fn a_flood_is_not_held_up() {
    let lines: Vec<String> = (1..=50_000)
        .map(|number| entry(number, 1, SERVER))
        .collect();
    let files: &[(&str, &[String])] = &[
        ("last", &lines[49_999..]),
        ("cursor", &lines[..1]),
        ("follow", &lines),
    ];
    let last = behind(&lines[49_999]);
    let mut bench = Bench::new(Some(behind(&lines[0])), files);
    let followed = bench.follow_until(|all| kept(all) == last);
    let all = timeout(EVER, followed).await.unwrap();
    let ports = ports(&all);
    assert_eq!(ports.len(), 49_999);
    assert!(ports.is_sorted(), "in their order");
}

#[tokio::test]
async fn what_journalds_rate_limit_left_out_is_a_gap_if_journald_says_so() {
    const ID: &str = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e";
    let says = |number, sender: &str, unit: &str| {
        let lines = entry(number, 1, &format!("{sender}\n{ID}"));
        let (fields, _) = lines.split_once("MESSAGE=").unwrap();
        format!("{fields}MESSAGE=Suppressed 4{number} messages from {unit}\n")
    };
    let journald = "_UID=0\n_EXE=/usr/lib/systemd/systemd-journald\n_TRANSPORT=driver";
    let forged = format!("{LOGGER}\n_TRANSPORT=journal\nSYSLOG_IDENTIFIER=sshd");
    let lines = [
        entry(1, 1, SERVER),
        says(2, journald, "ssh.service"),
        says(3, journald, "nginx.service"),
        says(4, &forged, "ssh.service"),
        entry(5, 1, SERVER),
    ];
    let files: &[(&str, &[String])] = &[
        ("last", &lines[4..]),
        ("cursor", &lines),
        ("follow", &lines),
    ];
    let mut bench = Bench::new(Some(behind(&lines[0])), files);
    let all = bench.follow(1).await;
    let lost: Vec<_> = gaps(&all).iter().map(|gap| gap.lost).collect();
    assert_eq!(lost, [Some(42)]);
    let forms: Vec<_> = events(&all)
        .iter()
        .map(|event| event.form.as_str())
        .collect();
    assert_eq!(
        forms,
        ["unrecognised", "failed"],
        "whoever else says it is only quoted"
    );
    let calls = fs::read_to_string(bench.folder.path().join("calls")).unwrap();
    assert!(
        calls.contains(&format!("+ _TRANSPORT=driver {ID}")),
        "{calls}"
    );
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let bench = Bench::new(None, &[]);
    fs::remove_file(bench.folder.path().join("socket")).unwrap();
    let found = bench.journal().can_be_read().await.unwrap_err();
    assert_eq!(found.state, FindingState::Absent);
    assert!(found.why.contains("no journald runs here"), "{found:?}");
    fs::write(bench.folder.path().join("socket"), "").unwrap();
    fs::remove_file(bench.folder.path().join("journalctl")).unwrap();
    let found = bench.journal().can_be_read().await.unwrap_err();
    assert_eq!(found.state, FindingState::Failing);
    assert!(found.why.contains("cannot be started"), "{found:?}");
}

#[test]
fn every_way_to_match_is_of_this_machine() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        of_this_machine(words("_COMM=sshd + SYSLOG_IDENTIFIER=sshd"), "5e1f"),
        words("--merge _COMM=sshd _MACHINE_ID=5e1f + SYSLOG_IDENTIFIER=sshd _MACHINE_ID=5e1f")
    );
    assert_eq!(of_this_machine(words("_COMM=sshd"), ""), ["_COMM=sshd"]);
}
