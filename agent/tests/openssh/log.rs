//! OpenSSH's log.c, modelled: formatted into 1024 bytes, encoded, relayed, cut at 500.

use watchward_protocol::access::{Outcome, Peer};

/// A release: `(7, 4)`.
pub(crate) type Release = (u8, u8);

/// Every portable release of the table of messages.
pub(crate) const RELEASES: [Release; 40] = [
    (6, 6),
    (6, 7),
    (6, 8),
    (6, 9),
    (7, 0),
    (7, 1),
    (7, 2),
    (7, 3),
    (7, 4),
    (7, 5),
    (7, 6),
    (7, 7),
    (7, 8),
    (7, 9),
    (8, 0),
    (8, 1),
    (8, 2),
    (8, 3),
    (8, 4),
    (8, 5),
    (8, 6),
    (8, 7),
    (8, 8),
    (8, 9),
    (9, 0),
    (9, 1),
    (9, 2),
    (9, 3),
    (9, 4),
    (9, 5),
    (9, 6),
    (9, 7),
    (9, 8),
    (9, 9),
    (10, 0),
    (10, 1),
    (10, 2),
    (10, 3),
    (10, 4),
    (10, 5),
];

/// A line and what is true about it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: Vec<u8>,
    pub(crate) peer: Option<Peer>,
    pub(crate) user: Option<(Vec<u8>, bool)>,
    pub(crate) key_id: Option<Vec<u8>>,
    pub(crate) outcome: Outcome,
}

impl Line {
    /// A line that tells nothing of who and where.
    pub(crate) fn new(text: Vec<u8>, outcome: Outcome) -> Self {
        Self {
            text,
            peer: None,
            user: None,
            key_id: None,
            outcome,
        }
    }

    pub(crate) fn peer(mut self, peer: Peer) -> Self {
        self.peer = Some(peer);
        self
    }

    pub(crate) fn user(mut self, name: &[u8], known: bool) -> Self {
        self.user = Some((string(name).to_vec(), known));
        self
    }

    pub(crate) fn key_id(mut self, id: &[u8]) -> Self {
        self.key_id = Some(string(id).to_vec());
        self
    }
}

/// `%.100s` and its like: at most so many bytes, and none after a NUL.
pub(crate) fn at_most(limit: usize, text: &[u8]) -> &[u8] {
    let text = string(text);
    text.get(..limit).unwrap_or(text)
}

/// A C string ends at its first NUL.
pub(crate) fn string(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What the listener or the monitor itself writes.
pub(crate) fn direct(level: &str, message: &[u8]) -> Vec<u8> {
    let mut text = level.as_bytes().to_vec();
    text.extend_from_slice(string(message));
    syslog(encode(at_most(1023, &text)))
}

/// What the child without privileges writes: encoded there, and once more by the monitor.
pub(crate) fn relayed(level: &str, message: &[u8]) -> Vec<u8> {
    let mut text = level.as_bytes().to_vec();
    text.extend_from_slice(&encode(at_most(1023, message)));
    text.extend_from_slice(b" [preauth]");
    syslog(encode(at_most(1023, &text)))
}

/// `syslog(pri, "%.500s", ...)`
fn syslog(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(500);
    text
}

/// `strnvis(..., 1024, VIS_CSTYLE|VIS_NL|VIS_TAB|VIS_OCTAL)`
fn encode(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for byte in text {
        let piece = match *byte {
            b'\\' => b"\\\\".to_vec(),
            b' '..=b'~' => vec![*byte],
            b'\n' => b"\\n".to_vec(),
            b'\r' => b"\\r".to_vec(),
            8 => b"\\b".to_vec(),
            7 => b"\\a".to_vec(),
            11 => b"\\v".to_vec(),
            b'\t' => b"\\t".to_vec(),
            12 => b"\\f".to_vec(),
            other => format!("\\{other:03o}").into_bytes(),
        };
        if encoded.len() + piece.len() > 1023 {
            break;
        }
        encoded.extend(piece);
    }
    encoded
}
