//! A log with numbered lines, written, rotated and read.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use watchward_daemon::clock;

use super::super::*;

/// A log with numbered lines, and what was read of it.
pub(super) struct Bench {
    _folder: TempDir,
    pub(super) log: PathBuf,
    pub(super) tail: Tail,
    pub(super) kept: Position,
    pub(super) written: u32,
    pub(super) read: Vec<String>,
    pub(super) gaps: Vec<Gap>,
    start: Instant,
    pub(super) later: Duration,
}

impl Bench {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("auth.log");
        fs::write(&log, "old\n").unwrap();
        let tail = Tail::first(&log, clock::now()).unwrap();
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

    pub(super) fn moment(&self) -> Moment {
        Moment {
            now: clock::now(),
            instant: self.start + self.later,
        }
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.log.display()))
    }

    /// Writes a line to any file of the log.
    pub(super) fn write_to(&mut self, path: &Path) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "line {}", self.written).unwrap();
        self.written += 1;
    }

    pub(super) fn write(&mut self, count: u32) {
        for _ in 0..count {
            self.write_to(&self.log.clone());
        }
    }

    pub(super) fn read(&mut self) {
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

    pub(super) fn restart(&mut self) {
        self.tail = Tail::resume(&self.log, &self.kept, self.moment()).unwrap();
        self.gaps.append(&mut self.tail.gaps());
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn copytruncate(&self, to: &str) {
        fs::copy(&self.log, self.path(to)).unwrap();
        fs::write(&self.log, "").unwrap();
    }

    pub(super) fn create(&self) {
        fs::write(&self.log, "").unwrap();
    }

    pub(super) fn numbers(&self) -> Vec<String> {
        (0..self.written)
            .map(|number| format!("line {number}"))
            .collect()
    }

    #[track_caller]
    pub(super) fn all_is_read_once(&mut self) {
        self.read();
        assert_eq!(self.read, self.numbers());
    }
}
