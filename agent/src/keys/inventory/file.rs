//! Files with a key, a name or a certificate on each line.

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::text::Foreign;

use crate::keys::authorized::{Authorized, Line, bare};
use crate::keys::holding::{Holding, opening};
use crate::keys::open::{LARGEST, Opened, Whose, open, shown};

/// So many lines of a file are read: somebody's rubbish is not to hide for long what others have.
const MOST_LINES: u32 = 100_000;

/// The keys of a file of authorities, which sshd reads only up to the first line that is none.
pub(super) fn trusted(path: &Path, holding: &mut Holding, mut take: impl FnMut(Opening)) {
    each_line(
        path,
        Whose::Hosts,
        holding,
        |text, number, holding| match bare(text) {
            Line::Nothing => true,
            Line::Key(key) => {
                take(of_key(Means::Authority, path, number, *key));
                true
            }
            Line::Refused(refusal) if refusal.skipped => {
                holding.ignored(path, number, &refusal.why);
                true
            }
            Line::Refused(refusal) => {
                let why = format!("{}, and reads no further", refusal.why);
                holding.ignored(path, number, &why);
                false
            }
        },
    );
}

/// Hands over each line with its number, until one is the last that is wanted.
pub(super) fn each_line(
    path: &Path,
    whose: Whose<'_>,
    holding: &mut Holding,
    mut take: impl FnMut(&[u8], Option<u32>, &mut Holding) -> bool,
) {
    let (mut lines, larger) = match open(path, whose) {
        Opened::Missing => return,
        Opened::Ignored(why) => {
            return holding.trouble(format!("sshd ignores {}: {why}", shown(path)));
        }
        Opened::Text { lines, larger } => (lines, larger),
    };
    let (mut text, mut number) = (Vec::new(), 0_u32);
    loop {
        text.clear();
        match lines.read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(_) => number = number.saturating_add(1),
            Err(error) => {
                return holding.trouble(format!("{} cannot be read: {error}", shown(path)));
            }
        }
        if !take(&text, Some(number), holding) {
            return;
        }
        if number == MOST_LINES {
            let what = format!("{} is read only up to line {number}", shown(path));
            return holding.trouble(what);
        }
    }
    if larger {
        let most = LARGEST >> 20;
        holding.trouble(format!("{} is read only up to {most} MiB", shown(path)));
    }
}

pub(super) fn of_key(means: Means, path: &Path, line: Option<u32>, key: Authorized) -> Opening {
    let means = if key.authority {
        Means::Authority
    } else {
        means
    };
    let mut one = opening(means, path, line);
    one.key = Some(key.key);
    one.comment = key.comment;
    one.options = key.options;
    one.principals = key.principals.unwrap_or_default();
    one.not_after = key.not_after;
    one
}

/// A program that sshd asks; its arguments are what is written of it.
pub(super) fn program(command: &[u8]) -> Opening {
    let end = command.iter().position(|byte| *byte == b' ');
    let (path, arguments) = command.split_at(end.unwrap_or(command.len()));
    let path = PathBuf::from(OsString::from_vec(path.to_vec()));
    let mut one = opening(Means::Command, &path, None);
    one.options = Foreign::from(arguments.trim_ascii());
    one
}
