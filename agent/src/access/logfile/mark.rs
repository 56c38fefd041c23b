//! Which file a log is in, and how far it was read: enough to find the place again after rotations.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchward_protocol::time::Timestamp;

use crate::access::connection::Kept;

/// So many bytes at the start of a file tell it from others.
pub(super) const HEAD: usize = 1024;
/// So many bytes before the place tell whether the file was written anew.
pub(super) const TAIL: usize = 256;

/// A log's position as the spool keeps it: a mark for each file that is still read, the oldest
/// first. None: the log did not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// When it was kept.
    pub(super) at: Timestamp,
    pub(super) marks: Vec<Mark>,
    /// The connections whose lines go on behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) open: Vec<Kept>,
}

/// Which file on the machine. A number of an inode is used again soon; with the time of birth,
/// where the file system knows it, it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    born: Option<u64>,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok();
        let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
        }
    }

    /// Whether the file was made after this moment; not, if the file system does not know.
    pub(super) fn is_born_after(self, moment: Timestamp) -> bool {
        let moment = u64::try_from(moment.as_micros())
            .unwrap_or(0)
            .saturating_mul(1000);
        self.born.is_some_and(|born| born > moment)
    }
}

/// A file and the place in it that lines were read to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) identity: Identity,
    pub(super) offset: u64,
    head: String,
    tail: String,
}

impl Mark {
    /// `head` and `tail` are the bytes at the file's start and before `offset`, all there are up to
    /// [`HEAD`] and [`TAIL`].
    pub(super) fn new(identity: Identity, offset: u64, head: &[u8], tail: &[u8]) -> Self {
        let (head, tail) = (print(head), print(tail));
        Self {
            identity,
            offset,
            head,
            tail,
        }
    }

    /// Whether this file holds what was read: the same start, and the same bytes before the place.
    pub(super) fn fits(&self, file: &File) -> bool {
        let fits = || -> io::Result<bool> {
            let (head, tail) = around(file, self.offset)?;
            Ok(print(&head) == self.head && print(&tail) == self.tail)
        };
        // A file that ends before the place cannot be read there: it does not fit.
        fits().unwrap_or(false)
    }
}

/// The bytes at a file's start and before a place in it.
pub(super) fn around(file: &File, offset: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let upto = |most: usize| usize::try_from(offset).unwrap_or(most).min(most);
    let (mut head, mut tail) = (vec![0; upto(HEAD)], vec![0; upto(TAIL)]);
    file.read_exact_at(&mut head, 0)?;
    let near = offset - tail.len() as u64;
    file.read_exact_at(&mut tail, near)?;
    Ok((head, tail))
}

/// Half of a SHA-256, in hexadecimal.
fn print(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}
