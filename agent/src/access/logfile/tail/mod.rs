//! A log through all its rotations: every line once, and a gap where that cannot be known.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use watchward_protocol::record::Gap;
use watchward_protocol::time::Timestamp;

use super::generation::{Generation, Progress};
use super::mark::{Identity, Mark, Position};
use super::siblings::{Sibling, open, siblings};

/// So long after its last line a file that was rotated away is still read: its writer goes on until
/// it is told to open the new one.
const GRACE: Duration = Duration::from_secs(5);

/// Why lines may be lost, if they may.
type Lost = Option<&'static str>;

const CUT: &str = "it was cut off where it stood (copytruncate): \
    lines written between the copy and the cut may be lost";
const GONE: &str = "the file that was read is gone, removed or compressed: \
    lines that were written to it since may be lost";

/// A log that is read.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// The oldest first. More than one while a file that was rotated away is still read.
    files: Vec<Reading>,
    /// When it was last looked at: where a gap begins.
    seen: Timestamp,
    gaps: Vec<Gap>,
}

#[derive(Debug)]
struct Reading {
    generation: Generation,
    /// Since when it was rotated away and silent.
    left: Option<Instant>,
}

/// The moment, by the clock that people read and by the one that never jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) instant: Instant,
}

impl Tail {
    /// The log from its end: nothing is known of it yet.
    pub(super) fn first(path: &Path, now: Timestamp) -> io::Result<Self> {
        let files = match open(path) {
            Ok(file) => vec![Reading::new(Generation::from_end(file)?)],
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            files,
            seen: now,
            gaps: Vec::new(),
        })
    }

    /// The log from where it was read to, wherever that is now.
    pub(super) fn resume(path: &Path, position: &Position, moment: Moment) -> io::Result<Self> {
        let mut tail = Self {
            path: path.to_owned(),
            files: Vec::new(),
            seen: position.at,
            gaps: Vec::new(),
        };
        tail.find(position, moment)?;
        tail.seen = moment.now;
        Ok(tail)
    }

    /// Reads what is new, in parts. `More`: it should be asked again.
    pub(super) fn advance(
        &mut self,
        moment: Moment,
        buffer: &mut Vec<u8>,
        line: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Progress> {
        for index in 0..self.files.len() {
            let Some(reading) = self.files.get_mut(index) else {
                break;
            };
            let before = reading.generation.offset();
            let progress = reading.generation.advance(buffer, line)?;
            if reading.generation.offset() != before && reading.left.is_some() {
                reading.left = Some(moment.instant);
            }
            match progress {
                Progress::More => return Ok(Progress::More),
                Progress::End => {}
                Progress::Cut => {
                    self.cut(index, moment)?;
                    return Ok(Progress::More);
                }
            }
        }
        self.retire(moment.instant, line)?;
        let rotated = self.follow(moment)?;
        self.seen = moment.now;
        Ok(if rotated {
            Progress::More
        } else {
            Progress::End
        })
    }

    /// Where it is read to.
    pub(super) fn position(&self) -> Position {
        Position {
            at: self.seen,
            marks: self.files.iter().map(|one| one.generation.mark()).collect(),
            open: Vec::new(),
        }
    }

    /// Whether there is a file to read.
    pub(super) fn is_there(&self) -> bool {
        !self.files.is_empty()
    }

    /// Which file is the newest.
    pub(super) fn newest(&self) -> Option<Identity> {
        self.files.last().map(|one| one.generation.identity())
    }

    /// What cannot be known, since it was last asked.
    pub(super) fn gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Finds the files of a position, and those that came after.
    fn find(&mut self, position: &Position, moment: Moment) -> io::Result<()> {
        let all = siblings(&self.path)?;
        let mut newest = None;
        for mark in &position.marks {
            let (index, lost) = self.place(mark, &all)?;
            newest = index;
            if let Some(why) = lost {
                self.gap(moment.now, why);
            }
        }
        let after = match newest {
            Some(index) => {
                let mut before = all;
                let after = before.split_off(index + 1);
                self.find_copies(position, before, moment)?;
                after
            }
            None => self.later(all),
        };
        self.open_all(after, moment.instant)
    }

    /// A log that was empty looks the same when what came to it was copied and cut off meanwhile:
    /// opens such copies, before the log itself.
    fn find_copies(
        &mut self,
        position: &Position,
        mut before: Vec<Sibling>,
        moment: Moment,
    ) -> io::Result<()> {
        before.retain(|one| one.identity.is_born_after(position.at) && !self.is_open(one));
        let was_empty = position.marks.last().is_some_and(|mark| mark.offset == 0);
        if !was_empty || before.is_empty() {
            return Ok(());
        }
        let newest = self.files.pop();
        self.open_all(before, moment.instant)?;
        self.files.extend(newest);
        self.gap(moment.now, CUT);
        Ok(())
    }

    fn is_open(&self, one: &Sibling) -> bool {
        let same = |known: &Reading| known.generation.identity() == one.identity;
        self.files.iter().any(same)
    }

    /// Opens the file of a mark where it is now, at its place: which one of all that is, and what
    /// may be lost.
    fn place(&mut self, mark: &Mark, all: &[Sibling]) -> io::Result<(Option<usize>, Lost)> {
        let same = |one: &Sibling| one.identity == mark.identity;
        let fits = |one: &Sibling| open(&one.path).is_ok_and(|file| mark.fits(&file));
        let itself = all.iter().position(|one| same(one) && fits(one));
        let index = itself.or_else(|| self.copy(mark, all));
        if let Some(found) = index.and_then(|index| all.get(index)) {
            let generation = Generation::from(open(&found.path)?, mark.offset)?;
            self.files.push(Reading::new(generation));
        }
        let lost = match (itself, index) {
            (Some(_), _) => None,
            _ if all.iter().any(same) => Some(CUT),
            (None, Some(_)) => None,
            (None, None) => Some(GONE),
        };
        Ok((index, lost))
    }

    /// The newest file that was copied from one before that was cut off.
    fn copy(&self, mark: &Mark, all: &[Sibling]) -> Option<usize> {
        let copied = |one: &Sibling| {
            one.path != self.path && open(&one.path).is_ok_and(|file| mark.fits(&file))
        };
        // Two empty files are always alike.
        (mark.offset > 0).then(|| all.iter().rposition(copied))?
    }

    /// What to read when the file that was read to now is not known: all that was written to since.
    fn later(&self, all: Vec<Sibling>) -> Vec<Sibling> {
        let later = |one: &Sibling| one.path == self.path || one.written > self.seen;
        all.into_iter()
            .filter(|one| later(one) && !self.is_open(one))
            .collect()
    }

    /// A file was cut off. What was not read yet may be in a copy; then it starts anew.
    fn cut(&mut self, index: usize, moment: Moment) -> io::Result<()> {
        let reading = self.files.remove(index);
        let newer = self.files.split_off(index);
        let mark = reading.generation.mark();
        let all = siblings(&self.path)?;
        if let Some(copy) = self.copy(&mark, &all) {
            let mut copies = all.into_iter().skip(copy);
            if let Some(first) = copies.next() {
                let generation = Generation::from(open(&first.path)?, mark.offset)?;
                self.files.push(Reading::new(generation));
            }
            let others = copies.filter(|one| one.identity != mark.identity);
            self.open_all(others.collect(), moment.instant)?;
        }
        self.files.push(Reading::new(reading.generation.again()));
        self.files.extend(newer);
        self.leave(moment.instant);
        self.gap(moment.now, CUT);
        Ok(())
    }

    /// Lets go of files that were rotated away, when nobody writes to them any more.
    fn retire(&mut self, instant: Instant, line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let silent = |one: &Reading| {
            let since = one.left.map(|left| instant.duration_since(left));
            since.is_some_and(|since| since >= GRACE)
        };
        while self.files.len() > 1 && self.files.first().is_some_and(silent) {
            self.files.remove(0).generation.rest(line)?;
        }
        Ok(())
    }

    /// Whether the log is another file now. Opens that one, and any between.
    fn follow(&mut self, moment: Moment) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => Identity::of(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let last = self.newest();
        if last == Some(now) {
            return Ok(false);
        }
        let all = siblings(&self.path)?;
        let known = all.iter().position(|one| Some(one.identity) == last);
        let after = match known {
            Some(index) => all.into_iter().skip(index + 1).collect(),
            None => self.later(all),
        };
        self.open_all(after, moment.instant)?;
        Ok(true)
    }

    /// Opens files that came after those that are read. One that was renamed meanwhile ends it: the
    /// rest is found when it is looked for again.
    fn open_all(&mut self, files: Vec<Sibling>, instant: Instant) -> io::Result<()> {
        for sibling in files {
            let file = match open(&sibling.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let generation = Generation::from_start(file)?;
            if generation.identity() != sibling.identity {
                break;
            }
            self.files.push(Reading::new(generation));
        }
        self.leave(instant);
        Ok(())
    }

    /// From now on all but the newest are only read while somebody writes to them.
    fn leave(&mut self, instant: Instant) {
        let older = self.files.len().saturating_sub(1);
        for reading in self.files.iter_mut().take(older) {
            reading.left.get_or_insert(instant);
        }
    }

    fn gap(&mut self, now: Timestamp, why: &str) {
        self.gaps.push(Gap {
            source: self.path.display().to_string(),
            from: Some(self.seen),
            to: now,
            lost: None,
            why: why.to_owned(),
        });
    }
}

impl Reading {
    fn new(generation: Generation) -> Self {
        Self {
            generation,
            left: None,
        }
    }
}

#[cfg(test)]
mod tests;
