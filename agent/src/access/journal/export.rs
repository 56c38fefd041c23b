//! The journal's export format (systemd.io/JOURNAL_EXPORT_FORMATS), in bounded memory. Pure.
//!
//! An entry is fields and an empty line. A field is `NAME=text` on a line or, where that would not
//! do, `NAME`, a newline, the length in eight bytes, so many bytes of anything, and a newline.

/// A field that is longer is left out: any local user can send hundreds of megabytes, while sshd's
/// own messages have at most 1 KiB.
const FIELD: usize = 8 * 1024;
/// Of an entry that is longer, the fields that follow are left out.
const ENTRY: usize = 64 * 1024;

/// Cuts a stream into entries.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    buffer: Vec<u8>,
    /// So many bytes at the start of the buffer are whole fields of an entry that is not whole.
    whole: usize,
    leaving_out: Rest,
}

/// What is still to come of a field that is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Nothing,
    Line,
    Bytes(u64),
}

/// What the buffer holds behind the whole fields.
enum Next {
    /// Nothing that is whole.
    Part,
    /// A line that is too long to be kept.
    LongLine,
    /// The head of a field, so long, and the length of its bytes with the newline after them.
    LongBytes(usize, u64),
    /// A field, so long.
    Field(usize),
    /// The end of the entry.
    End,
}

impl Cutter {
    /// Where what comes next is put.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Hands out the entries that are whole now, each without the empty line behind it.
    pub(super) fn cut(&mut self, entry: &mut dyn FnMut(&[u8])) {
        let mut start = 0;
        loop {
            if !self.leave_out(start) {
                break;
            }
            let at = start + self.whole;
            let rest = self.buffer.get(at..).unwrap_or_default();
            match next(rest) {
                Next::Part => break,
                Next::LongLine => self.leaving_out = Rest::Line,
                Next::LongBytes(head, bytes) => {
                    self.buffer.drain(at..at + head);
                    self.leaving_out = Rest::Bytes(bytes);
                }
                Next::Field(length) if length > FIELD || self.whole + length > ENTRY => {
                    self.buffer.drain(at..at + length);
                }
                Next::Field(length) => self.whole += length,
                Next::End => {
                    if self.whole > 0 {
                        entry(self.buffer.get(start..at).unwrap_or_default());
                    }
                    start = at + 1;
                    self.whole = 0;
                }
            }
        }
        self.buffer.drain(..start);
    }

    /// Drops what has come of a field that is left out. Whether that is all of it.
    fn leave_out(&mut self, start: usize) -> bool {
        let at = start + self.whole;
        let come = self.buffer.len().saturating_sub(at);
        match self.leaving_out {
            Rest::Nothing => return true,
            Rest::Line => {
                let rest = self.buffer.get(at..).unwrap_or_default();
                let Some(newline) = rest.iter().position(|byte| *byte == b'\n') else {
                    self.buffer.truncate(at);
                    return false;
                };
                self.buffer.drain(at..=at + newline);
            }
            Rest::Bytes(bytes) => {
                let count = usize::try_from(bytes).unwrap_or(come).min(come);
                self.buffer.drain(at..at + count);
                let left = bytes - count as u64;
                if left > 0 {
                    self.leaving_out = Rest::Bytes(left);
                    return false;
                }
            }
        }
        self.leaving_out = Rest::Nothing;
        true
    }
}

fn next(rest: &[u8]) -> Next {
    let Some(newline) = rest.iter().position(|byte| *byte == b'\n') else {
        return if rest.len() > FIELD {
            Next::LongLine
        } else {
            Next::Part
        };
    };
    let (line, after) = rest.split_at(newline + 1);
    if newline == 0 {
        return Next::End;
    }
    if line.contains(&b'=') {
        return Next::Field(line.len());
    }
    let Some((length, bytes)) = after.split_first_chunk() else {
        return Next::Part;
    };
    let length = u64::from_le_bytes(*length).saturating_add(1);
    match usize::try_from(length) {
        Ok(length) if length <= FIELD => match bytes.len() >= length {
            true => Next::Field(line.len() + 8 + length),
            false => Next::Part,
        },
        _ => Next::LongBytes(line.len() + 8, length),
    }
}

/// The fields of an entry, each a name and a value.
pub(super) fn fields(mut entry: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let newline = entry.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = entry.split_at_checked(newline)?;
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            entry = after.get(1..)?;
            return Some((line.get(..equals)?, line.get(equals + 1..)?));
        }
        let (length, bytes) = after.get(1..)?.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (value, after) = bytes.split_at_checked(length)?;
        entry = after.get(1..)?;
        Some((line, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(name: &str, value: &[u8]) -> Vec<u8> {
        let mut field = format!("{name}\n").into_bytes();
        field.extend((value.len() as u64).to_le_bytes());
        field.extend(value);
        field.push(b'\n');
        field
    }

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    /// The fields of each entry of a stream that comes in pieces of this size; and the largest
    /// buffer there was.
    fn cut(stream: &[u8], piece: usize) -> (Vec<Fields>, usize) {
        let (mut cutter, mut entries, mut most) = (Cutter::default(), Vec::new(), 0);
        for piece in stream.chunks(piece) {
            cutter.buffer().extend_from_slice(piece);
            most = most.max(cutter.buffer.len());
            cutter.cut(&mut |entry| {
                let owned = fields(entry).map(|(name, value)| (name.to_vec(), value.to_vec()));
                entries.push(owned.collect());
            });
        }
        (entries, most)
    }

    #[test]
    fn entries_are_the_same_in_pieces_of_any_size() {
        let mut stream = b"__CURSOR=s=1;i=2\n_PID=7\nMESSAGE=a=b\n\n".to_vec();
        stream.extend(b"__CURSOR=x\n");
        stream.extend(binary("MESSAGE", b"\n\xff\nFAKE=field\n\n"));
        stream.extend(b"_UID=0\n\n__CURSOR=y\n\n");
        let field = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        let expected = vec![
            vec![
                field(b"__CURSOR", b"s=1;i=2"),
                field(b"_PID", b"7"),
                field(b"MESSAGE", b"a=b"),
            ],
            vec![
                field(b"__CURSOR", b"x"),
                field(b"MESSAGE", b"\n\xff\nFAKE=field\n\n"),
                field(b"_UID", b"0"),
            ],
            vec![field(b"__CURSOR", b"y")],
        ];
        for piece in 1..stream.len() {
            assert_eq!(cut(&stream, piece).0, expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_out_and_costs_no_memory() {
        let long = vec![b'x'; 3_000_000];
        let mut stream = b"__CURSOR=a\n".to_vec();
        stream.extend(binary("MESSAGE", &long));
        stream.extend(b"_UID=0\n\n__CURSOR=b\nMESSAGE=");
        stream.extend(&long);
        stream.extend(b"\n_UID=1\n\n__CURSOR=c\n");
        for _ in 0..200 {
            stream.extend(binary("MESSAGE", &long[..8000]));
        }
        stream.extend(b"\n__CURSOR=d\nMESSAGE=");
        stream.extend(&long[..20_000]);
        stream.extend(b"\n\n");
        for piece in [1000, 4096, 65_536] {
            let (entries, most) = cut(&stream, piece);
            let names = |entry: &Fields| entry.len();
            assert_eq!(entries.len(), 4);
            assert_eq!(names(&entries[0]), 2);
            assert_eq!(names(&entries[1]), 2);
            assert!(names(&entries[2]) < 10);
            assert_eq!(entries[3], [(b"__CURSOR".to_vec(), b"d".to_vec())]);
            assert!(
                most < ENTRY + FIELD + 2 * piece + 16,
                "{most} bytes in pieces of {piece}"
            );
        }
    }
}
