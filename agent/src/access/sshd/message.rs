//! What all messages of sshd share: a level in front, who relayed it behind, how it was encoded and cut.

use std::borrow::Cow;

use super::Name;
use super::cursor::{between, decode, first, number};

/// sshd gives syslog at most so many bytes (`syslog(pri, "%.500s")`, in all releases).
const LONGEST: usize = 500;

/// A message taken apart as far as all forms agree.
pub(super) struct Message<'a> {
    /// The message without level and relayer.
    pub(super) body: &'a [u8],
    /// What stood in front.
    pub(super) level: Level,
    /// A child without privileges wrote it, and the monitor encoded it a second time.
    pub(super) relayed: bool,
    /// It was cut, or may have been: nothing at its end can be believed.
    pub(super) cut: bool,
}

/// The level that sshd writes in front of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing: information.
    Plain,
    /// `error: `
    Error,
    /// `fatal: `
    Fatal,
}

impl<'a> Message<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let cut = text.len() >= LONGEST;
        let (level, text) = if let Some(text) = text.strip_prefix(b"error: ") {
            (Level::Error, text)
        } else if let Some(text) = text.strip_prefix(b"fatal: ") {
            (Level::Fatal, text)
        } else {
            (Level::Plain, text)
        };
        let unrelayed = if cut || !text.ends_with(b"auth]") {
            None
        } else {
            text.strip_suffix(b" [preauth]")
                .or_else(|| text.strip_suffix(b" [postauth]"))
        };
        Self {
            body: unrelayed.unwrap_or(text),
            level,
            relayed: unrelayed.is_some(),
            cut,
        }
    }

    /// The body, if the level is as said. With `-e` and `-E` sshd writes no level at all.
    pub(super) fn at(&self, level: Level) -> Option<&'a [u8]> {
        self.may_be(level).then_some(self.body)
    }

    /// Whether the message may be of a level: no form that is plain starts like one that is not.
    pub(super) fn may_be(&self, level: Level) -> bool {
        self.level == level || self.level == Level::Plain
    }

    /// Undoes sshd's encoding: once, or twice where the monitor relayed the message.
    pub(super) fn plain(&self, text: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        match decode(text)? {
            Cow::Owned(once) if self.relayed => Some(Cow::Owned(decode(&once)?.into_owned())),
            plain @ (Cow::Owned(_) | Cow::Borrowed(_)) => Some(plain),
        }
    }

    /// How many bytes sshd was given to write this.
    pub(super) fn length(&self, text: &'a [u8]) -> usize {
        self.plain(text).map_or(text.len(), |plain| plain.len())
    }

    /// A user name that sshd cuts at `limit` bytes; `None` if it is not sure to be whole.
    pub(super) fn name(&self, text: &'a [u8], limit: usize, known: bool) -> Option<Name<'a>> {
        if self.cut {
            return None;
        }
        let bytes = self.plain(text)?;
        (bytes.len() < limit).then_some(Name { bytes, known })
    }
}

/// How often rsyslog saw a message, if it folded several into `message repeated 3 times: [ ... ]`.
pub fn repeated(text: &[u8]) -> (u32, &[u8]) {
    unfold(text).unwrap_or((1, text))
}

fn unfold(text: &[u8]) -> Option<(u32, &[u8])> {
    let inner = between(text, b"message repeated ", b"]")?;
    let (times, message) = first(inner, b" times: [ ")?;
    Some((number(times).filter(|times| *times > 0)?, message))
}
