//! One file of a log: hands out its whole lines, and notices when it was written anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::mark::{HEAD, Identity, Mark, TAIL, around};

/// Of a longer line only so much is handed out. sshd's own lines have at most 1 KiB.
pub(super) const LONGEST: usize = 8192;
/// So much is read at once.
pub(super) const BUFFER: usize = 4 * LONGEST;

/// A file that is read from a place on.
#[derive(Debug)]
pub(super) struct Generation {
    file: File,
    identity: Identity,
    /// Always behind a newline, or at the start.
    offset: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    long: Option<Long>,
}

/// A line that is longer than [`LONGEST`], and has not ended yet.
#[derive(Debug)]
struct Long {
    kept: Vec<u8>,
    /// Up to here there is no newline.
    scanned: u64,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There may be more.
    More,
    /// There are no more whole lines now.
    End,
    /// What had been read is no longer there: the file was cut off, and perhaps written anew.
    Cut,
}

impl Generation {
    /// From its first byte.
    pub(super) fn from_start(file: File) -> io::Result<Self> {
        Self::from(file, 0)
    }

    /// From the start of the last line that has not ended, or from its end.
    pub(super) fn from_end(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut last = [0; LONGEST];
        let near = size.saturating_sub(LONGEST as u64);
        let count = file.read_at(&mut last, near)?;
        let read = last.get(..count).unwrap_or_default();
        let newline = read.iter().rposition(|byte| *byte == b'\n');
        let offset = match newline {
            Some(at) => near + at as u64 + 1,
            None if near == 0 => 0,
            None => size,
        };
        Self::from(file, offset)
    }

    /// From a place behind a newline.
    pub(super) fn from(file: File, offset: u64) -> io::Result<Self> {
        let identity = Identity::of(&file.metadata()?);
        let (head, tail) = around(&file, offset)?;
        Ok(Self {
            file,
            identity,
            offset,
            head,
            tail,
            long: None,
        })
    }

    /// The same file, from its start: what it held before is gone.
    pub(super) fn again(self) -> Self {
        Self {
            offset: 0,
            head: Vec::new(),
            tail: Vec::new(),
            long: None,
            ..self
        }
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn mark(&self) -> Mark {
        Mark::new(self.identity, self.offset, &self.head, &self.tail)
    }

    /// Reads once, and hands out the whole lines that came, without their newlines.
    pub(super) fn advance(
        &mut self,
        buffer: &mut Vec<u8>,
        line: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Progress> {
        buffer.resize(BUFFER, 0);
        if let Some(long) = self.long.take() {
            return self.advance_long(long, buffer, line);
        }
        // The bytes before the place are read again with what follows, so that it costs nothing to
        // see whether they are still the same.
        let known = self.tail.len();
        let count = self.read_at(buffer, self.offset - known as u64)?;
        let read = buffer.get(..count).unwrap_or_default();
        let Some(body) = read.strip_prefix(self.tail.as_slice()) else {
            return Ok(Progress::Cut);
        };
        let whole = body
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let (lines, rest) = body.split_at_checked(whole).unwrap_or((body, &[]));
        for one in lines.split_inclusive(|byte| *byte == b'\n') {
            line(shown(one));
        }
        if lines.is_empty() && rest.len() > LONGEST {
            let mut long = Long {
                kept: Vec::new(),
                scanned: self.offset + rest.len() as u64,
            };
            long.keep(rest);
            self.long = Some(long);
            return Ok(Progress::More);
        }
        self.pass(lines);
        let full = count == BUFFER;
        Ok(if full { Progress::More } else { Progress::End })
    }

    /// What stands behind the last newline, when nobody will write there any more.
    pub(super) fn rest(&self, line: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST];
        let count = self.read_at(&mut buffer, self.offset)?;
        let rest = shown(buffer.get(..count).unwrap_or_default());
        if !rest.is_empty() {
            line(rest);
        }
        Ok(())
    }

    /// Looks for the end of a line that is too long to be kept.
    fn advance_long(
        &mut self,
        mut long: Long,
        buffer: &mut [u8],
        line: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Progress> {
        let count = self.read_at(buffer, long.scanned)?;
        if count == 0 && self.file.metadata()?.len() < long.scanned {
            return Ok(Progress::Cut);
        }
        let read = buffer.get(..count).unwrap_or_default();
        let Some(newline) = read.iter().position(|byte| *byte == b'\n') else {
            long.keep(read);
            long.scanned += count as u64;
            self.long = Some(long);
            let end = count == 0;
            return Ok(if end { Progress::End } else { Progress::More });
        };
        long.keep(read.get(..newline).unwrap_or_default());
        line(shown(&long.kept));
        self.offset = long.scanned + newline as u64 + 1;
        (self.head, self.tail) = around(&self.file, self.offset)?;
        Ok(Progress::More)
    }

    /// Moves the place behind these lines.
    fn pass(&mut self, lines: &[u8]) {
        self.offset += lines.len() as u64;
        let missing = HEAD - self.head.len();
        self.head.extend(lines.iter().take(missing));
        let kept = lines.len().saturating_sub(TAIL);
        self.tail
            .extend_from_slice(lines.get(kept..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    /// Fills the buffer as far as the file goes.
    fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        let mut count = 0;
        while let Some(free) = buffer.get_mut(count..).filter(|free| !free.is_empty()) {
            match self.file.read_at(free, from + count as u64) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

impl Long {
    fn keep(&mut self, bytes: &[u8]) {
        let bytes = if self.kept.is_empty() {
            without_hole(bytes)
        } else {
            bytes
        };
        let free = LONGEST - self.kept.len();
        self.kept.extend(bytes.iter().take(free));
    }
}

/// A line without its end, and not more of it than is kept.
fn shown(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = without_hole(line);
    line.get(..LONGEST).unwrap_or(line)
}

/// A writer that does not append leaves a hole of zeros after its file was cut off.
fn without_hole(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0);
    start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default()
}
