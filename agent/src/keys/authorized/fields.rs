//! The fields of a key, one after the other, with the bounds that sshd has.

use std::fmt;

/// Why sshd takes something for no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// Its size alone; some readers of sshd skip such a line where they give up on others.
    TooSmall(u32),
    /// Anything else, in words.
    Because(&'static str),
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(bits) => write!(f, "an RSA key of {bits} bits is too small"),
            Self::Because(why) => f.write_str(why),
        }
    }
}

/// What is left of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// The largest number that sshd takes, in bytes (`SSHBUF_MAX_BIGNUM`).
const LARGEST_NUMBER: usize = 16384 / 8;

const CUT: NoKey = NoKey::Because("the key is cut off");

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NoKey> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of four bytes.
    pub(super) fn word(&mut self) -> Result<u32, NoKey> {
        let bytes = self.take(4)?.try_into().map_err(|_| CUT)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A number of eight bytes.
    pub(super) fn long(&mut self) -> Result<u64, NoKey> {
        let bytes = self.take(8)?.try_into().map_err(|_| CUT)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// So many bytes as are said before them.
    pub(super) fn string(&mut self) -> Result<&'a [u8], NoKey> {
        let length = usize::try_from(self.word()?).map_err(|_| CUT)?;
        self.take(length)
    }

    /// The same as C has text: a NUL can only be the last byte, and is no part of it.
    pub(super) fn text(&mut self) -> Result<&'a [u8], NoKey> {
        let text = self.string()?;
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        if text.contains(&0) {
            return Err(NoKey::Because("there is a NUL in a name in the key"));
        }
        Ok(text)
    }

    /// A number of any size, without leading zeros.
    pub(super) fn number(&mut self) -> Result<&'a [u8], NoKey> {
        let number = self.string()?;
        let first = number.first().copied().unwrap_or(0);
        if first & 0x80 != 0 {
            return Err(NoKey::Because("a number in the key is negative"));
        }
        let longest = LARGEST_NUMBER + usize::from(first == 0);
        if number.len() > longest {
            return Err(NoKey::Because("a number in the key is too large"));
        }
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        Ok(number.get(zeros..).unwrap_or_default())
    }
}
