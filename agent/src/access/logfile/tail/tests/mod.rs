//! Rotations with real files: nothing missing, nothing twice.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

mod random;

/// A log with numbered lines, and what was read of it.
struct Bench {
    _folder: TempDir,
    log: PathBuf,
    tail: Tail,
    kept: Position,
    written: u32,
    read: Vec<String>,
    gaps: Vec<Gap>,
    start: Instant,
    later: Duration,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        fs::write(&log, "old\n").unwrap();
        let tail = Tail::first(&log, Timestamp::default()).unwrap();
        Self {
            kept: tail.position(),
            _folder: folder,
            log,
            tail,
            written: 0,
            read: Vec::new(),
            gaps: Vec::new(),
            start: Instant::now(),
            later: Duration::ZERO,
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            now: Timestamp::default(),
            instant: self.start + self.later,
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.log.display()))
    }

    /// Writes a line to any file of the log.
    fn write_to(&mut self, path: &Path) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "line {}", self.written).unwrap();
        self.written += 1;
    }

    fn write(&mut self, count: u32) {
        for _ in 0..count {
            self.write_to(&self.log.clone());
        }
    }

    fn read(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let (moment, read) = (self.moment(), &mut self.read);
            let mut line = |line: &[u8]| read.push(String::from_utf8_lossy(line).into_owned());
            let progress = self.tail.advance(moment, &mut buffer, &mut line).unwrap();
            self.gaps.append(&mut self.tail.gaps());
            // The place travels with the lines, through the words that the spool keeps.
            let words = serde_json::to_vec(&self.tail.position()).unwrap();
            self.kept = serde_json::from_slice(&words).unwrap();
            if progress != Progress::More {
                return;
            }
        }
    }

    fn restart(&mut self) {
        self.tail = Tail::resume(&self.log, &self.kept, self.moment()).unwrap();
        self.gaps.append(&mut self.tail.gaps());
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn copytruncate(&self, to: &str) {
        fs::copy(&self.log, self.path(to)).unwrap();
        fs::write(&self.log, "").unwrap();
    }

    fn create(&self) {
        fs::write(&self.log, "").unwrap();
    }

    fn numbers(&self) -> Vec<String> {
        (0..self.written)
            .map(|number| format!("line {number}"))
            .collect()
    }

    #[track_caller]
    fn all_is_read_once(&mut self) {
        self.read();
        assert_eq!(self.read, self.numbers());
    }
}

#[test]
fn the_first_start_begins_at_the_end() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn renamed_and_created_while_both_are_written_to() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.rename("", ".1");
    bench.write_to(&bench.path(".1"));
    bench.read();
    bench.create();
    bench.read();
    bench.write_to(&bench.path(".1"));
    bench.read();
    bench.write(2);
    bench.all_is_read_once();
    bench.later = GRACE;
    bench.read();
    assert_eq!(
        bench.tail.position().marks.len(),
        1,
        "the old file is let go of"
    );
    bench.write(1);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_last_line_without_its_newline_is_read_when_its_file_is_let_go_of() {
    let mut bench = Bench::new();
    bench.write(1);
    OpenOptions::new()
        .append(true)
        .open(&bench.log)
        .unwrap()
        .write_all(b"line 1")
        .unwrap();
    bench.read();
    bench.rename("", ".1");
    bench.create();
    bench.read();
    bench.later = GRACE;
    bench.read();
    assert_eq!(bench.read, ["line 0", "line 1"]);
}

#[test]
fn deleted_and_created() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    fs::remove_file(&bench.log).unwrap();
    bench.read();
    bench.create();
    bench.write(3);
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn deleted_and_created_while_stopped_is_a_gap() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    fs::remove_file(&bench.log).unwrap();
    bench.write(5);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
    assert_eq!(bench.gaps[0].why, GONE);
}

#[test]
fn rotated_three_times_while_stopped() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.write(2);
    for _ in 0..3 {
        for (from, to) in [(".2", ".3"), (".1", ".2"), ("", ".1")] {
            if bench.path(from).exists() {
                bench.rename(from, to);
            }
        }
        bench.create();
        bench.write(4);
    }
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn rotated_by_date_while_stopped() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    for date in ["-20261119", "-20261120", "-20261121-1795230245"] {
        bench.write(2);
        bench.rename("", date);
        bench.create();
    }
    bench.write(1);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn compressed_while_stopped_is_a_gap_and_the_rest_is_read() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.rename("", ".2.gz");
    bench.write(2);
    bench.rename("", ".1");
    bench.write(2);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn cut_off_after_a_copy_goes_on_in_the_copy() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.write(2);
    bench.copytruncate(".1");
    bench.read();
    bench.write(1);
    bench.all_is_read_once();
    assert_eq!(
        bench.gaps.len(),
        1,
        "what came between copy and cut is not known"
    );
    assert_eq!(bench.gaps[0].why, CUT);
}

#[test]
fn cut_off_and_grown_past_the_place_is_noticed() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    bench.copytruncate(".1");
    bench.write(10);
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn cut_off_while_stopped() {
    for grown in [0, 1, 20] {
        let mut bench = Bench::new();
        bench.write(3);
        bench.read();
        bench.write(2);
        bench.copytruncate("-20261121");
        bench.write(grown);
        bench.restart();
        bench.all_is_read_once();
        assert_eq!(bench.gaps.len(), 1);
    }
}

#[test]
fn a_hole_of_zeros_before_a_line_is_skipped() {
    let mut bench = Bench::new();
    let mut writer = OpenOptions::new().write(true).open(&bench.log).unwrap();
    writer.set_len(0).unwrap();
    bench.read();
    writer.set_len(100_000).unwrap();
    bench.write(2);
    writer.flush().unwrap();
    bench.all_is_read_once();
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = Bench::new();
    bench.write(3);
    bench.read();
    // As if the file system had given the same numbers to a new file, and knew no birth.
    let words = serde_json::to_string(&bench.kept).unwrap();
    fs::write(&bench.log, "").unwrap();
    bench.write(30);
    bench.kept = serde_json::from_str(&words).unwrap();
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps.len(), 1);
}

#[test]
fn a_log_that_comes_later_is_read_from_its_start() {
    let mut bench = Bench::new();
    fs::remove_file(&bench.log).unwrap();
    bench.tail = Tail::first(&bench.log, Timestamp::default()).unwrap();
    bench.read();
    bench.restart();
    bench.write(2);
    bench.restart();
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}

#[test]
fn a_line_too_long_is_cut_and_costs_no_memory() {
    let mut bench = Bench::new();
    bench.write(1);
    let long = "x".repeat(3_000_000);
    let mut writer = OpenOptions::new().append(true).open(&bench.log).unwrap();
    writer.write_all(&long.as_bytes()[..1_000_000]).unwrap();
    bench.read();
    writer.write_all(&long.as_bytes()[1_000_000..]).unwrap();
    bench.read();
    bench.restart();
    writer.write_all(b"\nline 1\n").unwrap();
    bench.written = 2;
    bench.read();
    assert_eq!(bench.read.len(), 3);
    assert_eq!(
        bench.read.remove(1),
        long[..super::super::generation::LONGEST]
    );
    bench.all_is_read_once();
}

#[test]
fn bytes_stay_as_they_are() {
    let mut bench = Bench::new();
    let mut lines = Vec::new();
    OpenOptions::new()
        .append(true)
        .open(&bench.log)
        .unwrap()
        .write_all(b"a\xff\x00b\r\n\n\r\nlast\n")
        .unwrap();
    let (moment, mut buffer) = (bench.moment(), Vec::new());
    let mut line = |line: &[u8]| lines.push(line.to_vec());
    bench.tail.advance(moment, &mut buffer, &mut line).unwrap();
    assert_eq!(lines, [&b"a\xff\x00b"[..], b"", b"", b"last"]);
}

#[test]
fn a_writer_may_stop_at_any_byte_and_so_may_we() {
    let text: Vec<u8> = (0..40)
        .flat_map(|number| format!("line {number}\n").into_bytes())
        .collect();
    let mut bench = Bench::new();
    bench.written = 40;
    let mut writer = OpenOptions::new().append(true).open(&bench.log).unwrap();
    for byte in text {
        writer.write_all(&[byte]).unwrap();
        bench.read();
        bench.restart();
    }
    bench.all_is_read_once();
    assert_eq!(bench.gaps, []);
}
