//! Files with a key, a name or a certificate on each line.

use std::ffi::OsString;
use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use watchward_protocol::keys::{Means, Opening};
use watchward_protocol::text::Foreign;

use crate::keys::authorized::{self, Authorized, Line, bare, certificate, principal};
use crate::keys::holding::{Holding, opening};
use crate::keys::open::{LARGEST, Text, shown};

/// So many lines of a file are read.
const MOST_LINES: u32 = 100_000;

/// What stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::keys) enum Kind {
    /// `AuthorizedKeysFile`.
    Keys,
    /// `AuthorizedPrincipalsFile`.
    Principals,
    /// `TrustedUserCAKeys`, which sshd reads only up to the first line that is no key.
    Authorities,
    /// The public half of a `HostKey`.
    HostKey,
    /// `HostCertificate`.
    HostCertificate,
}

/// What a file holds.
pub(in crate::keys) fn read(kind: Kind, path: &Path, text: Text, zone: &TimeZone) -> Holding {
    let mut holding = Holding::default();
    each_line(
        path,
        text,
        &mut holding,
        |line, number, holding| match kind {
            Kind::Keys => key(path, line, number, (zone, holding)),
            Kind::Principals => name(path, line, number, (zone, holding)),
            Kind::Authorities => authority(path, line, number, holding),
            Kind::HostKey => host_key(path, line, number, holding),
            Kind::HostCertificate => host_certificate(path, line, number, holding),
        },
    );
    holding
}

/// Hands over each line with its number, until one is the last that is wanted.
fn each_line(
    path: &Path,
    mut text: Text,
    holding: &mut Holding,
    mut take: impl FnMut(&[u8], u32, &mut Holding) -> bool,
) {
    let (mut line, mut number) = (Vec::new(), 0_u32);
    loop {
        line.clear();
        match text.lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => number = number.saturating_add(1),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", shown(path));
                return holding.unread(Some(path), what);
            }
        }
        if !take(&line, number, holding) {
            return;
        }
        if number == MOST_LINES {
            let what = format!("{} is read only up to line {number}", shown(path));
            return holding.beyond(Some(path), what);
        }
    }
    if text.larger {
        let most = LARGEST >> 20;
        let what = format!("{} is read only up to {most} MiB", shown(path));
        holding.beyond(Some(path), what);
    }
}

fn key(path: &Path, line: &[u8], number: u32, (zone, holding): (&TimeZone, &mut Holding)) -> bool {
    match authorized::line(line, zone) {
        Line::Nothing => {}
        Line::Key(key) => holding.add(of_key(Means::AuthorizedKey, path, number, *key)),
        Line::Refused(refusal) => holding.ignored(path, number, &refusal.why),
    }
    true
}

fn name(path: &Path, line: &[u8], number: u32, (zone, holding): (&TimeZone, &mut Holding)) -> bool {
    match principal(line, zone) {
        Ok(None) => {}
        Ok(Some(found)) => {
            let mut one = opening(Means::Principals, path, Some(number));
            one.principals.push(found.name);
            one.options = found.options;
            one.not_after = found.not_after;
            holding.add(one);
        }
        Err(why) => holding.ignored(path, number, why),
    }
    true
}

fn authority(path: &Path, line: &[u8], number: u32, holding: &mut Holding) -> bool {
    match bare(line) {
        Line::Nothing => true,
        Line::Key(key) => {
            holding.add(of_key(Means::Authority, path, number, *key));
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
    }
}

fn host_key(path: &Path, line: &[u8], number: u32, holding: &mut Holding) -> bool {
    if let Line::Key(key) = bare(line) {
        holding.add(of_key(Means::HostKey, path, number, *key));
    }
    true
}

fn host_certificate(path: &Path, line: &[u8], number: u32, holding: &mut Holding) -> bool {
    if let Some(found) = certificate(line) {
        let mut one = opening(Means::HostCertificate, path, Some(number));
        one.key = Some(found.key);
        one.comment = found.id;
        one.principals = found.principals;
        (one.not_before, one.not_after) = (found.not_before, found.not_after);
        holding.add(one);
    }
    true
}

fn of_key(means: Means, path: &Path, line: u32, key: Authorized) -> Opening {
    let means = if key.authority {
        Means::Authority
    } else {
        means
    };
    let mut one = opening(means, path, Some(line));
    one.key = Some(key.key);
    one.comment = key.comment;
    one.options = key.options;
    one.principals = key.principals.unwrap_or_default();
    one.not_after = key.not_after;
    one
}

/// A program that sshd asks; its arguments are what is written of it.
pub(super) fn program(means: Means, command: &[u8]) -> Opening {
    let end = command.iter().position(|byte| *byte == b' ');
    let (path, arguments) = command.split_at(end.unwrap_or(command.len()));
    let path = PathBuf::from(OsString::from_vec(path.to_vec()));
    let mut one = opening(means, &path, None);
    one.options = Foreign::from(arguments.trim_ascii());
    one
}
