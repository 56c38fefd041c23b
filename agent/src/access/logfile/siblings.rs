//! The files that a log was rotated to: `auth.log.1`, `auth.log-20261121`, ... in their order.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use watchward_protocol::time::Timestamp;

use super::mark::Identity;

/// A file that may hold a part of a log.
#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// When it was last written to.
    pub(super) written: Timestamp,
    turn: Turn,
}

/// What a name says about the order of files; the oldest is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// `.3` is older than `.2`.
    Numbered(std::cmp::Reverse<u64>),
    /// `-20261120` is older than `-20261121`.
    Dated(String),
    /// The log itself.
    Now,
}

/// All files of a log that can be read as text, the oldest first, the log itself last.
pub(super) fn siblings(log: &Path) -> io::Result<Vec<Sibling>> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().as_encoded_bytes();
        let suffix = file.strip_prefix(name.as_encoded_bytes());
        let Some(turn) = suffix.and_then(turn) else {
            continue;
        };
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_file() {
            all.push(Sibling {
                identity: Identity::of(&metadata),
                written: metadata.modified().map_or(Timestamp::default(), moment),
                path,
                turn,
            });
        }
    }
    all.sort_by(|one, other| one.turn.cmp(&other.turn));
    Ok(by_kind(all))
}

/// Where rotated files are named in both ways, the way changed once: one kind is older as a whole.
fn by_kind(all: Vec<Sibling>) -> Vec<Sibling> {
    let (mut numbered, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|one| matches!(one.turn, Turn::Numbered(_)));
    let (mut dated, now): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|one| one.turn != Turn::Now);
    let newest = |kind: &[Sibling]| kind.last().map(|one| one.written);
    if newest(&numbered) > newest(&dated) {
        std::mem::swap(&mut numbered, &mut dated);
    }
    numbered.into_iter().chain(dated).chain(now).collect()
}

fn turn(suffix: &[u8]) -> Option<Turn> {
    let suffix = std::str::from_utf8(suffix).ok()?;
    if suffix.is_empty() {
        return Some(Turn::Now);
    }
    if let Some(number) = suffix.strip_prefix('.') {
        let number = number.parse().ok()?;
        return Some(Turn::Numbered(std::cmp::Reverse(number)));
    }
    let date = suffix.strip_prefix('-')?;
    let plain = |c: char| c.is_ascii_digit() || c == '-';
    let fits = date.len() >= 6 && date.starts_with(|c: char| c.is_ascii_digit());
    (fits && date.chars().all(plain)).then(|| Turn::Dated(date.to_owned()))
}

fn moment(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Opens a file, and nothing that only looks like one: opening a pipe would wait for ever.
pub(super) fn open(path: &Path) -> io::Result<File> {
    const O_NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    Ok(file)
}
