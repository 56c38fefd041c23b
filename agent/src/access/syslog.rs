//! Takes a line of a text log apart: when, which host, which program and process, which message. Pure.
//!
//! Reads what rsyslog and syslog-ng write in both of their formats, RFC 5424, and `journalctl` with
//! any of its `short` outputs.

use watchward_protocol::access::Service;
use watchward_protocol::time::Timestamp;

pub use super::moment::Clock;
use super::moment::{digits, iso, moment, split, word};

/// A line taken apart. What is not in it is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When the program wrote it.
    pub at: Option<Timestamp>,
    /// The host's name for itself.
    pub host: Option<&'a [u8]>,
    /// The program's name for itself, which any local user can choose.
    pub program: Option<&'a [u8]>,
    /// The process.
    pub pid: Option<u32>,
    /// What the program wrote.
    pub message: &'a [u8],
}

/// Which service a program is, by its name for itself: of OpenSSH `sshd`, `sshd-session` since 9.8,
/// `sshd-auth` since 10.0; of OpenVPN `openvpn`, or `ovpn-NAME` as Debian's units call it.
pub fn service(program: &[u8]) -> Option<Service> {
    match program {
        b"sshd" | b"sshd-session" | b"sshd-auth" => Some(Service::Sshd),
        b"sudo" => Some(Service::Sudo),
        b"su" => Some(Service::Su),
        b"openvpn" => Some(Service::OpenVpn),
        _ => program.starts_with(b"ovpn-").then_some(Service::OpenVpn),
    }
}

/// Takes a line apart. Without a header all of it is the message.
pub fn read<'a>(line: &'a [u8], clock: Clock) -> Line<'a> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    header(line, clock).unwrap_or(Line {
        at: None,
        host: None,
        program: None,
        pid: None,
        message: line,
    })
}

fn header(line: &[u8], clock: Clock) -> Option<Line<'_>> {
    let text = priority(line);
    if let Some(rest) = text.strip_prefix(b"1 ").filter(|_| text.len() < line.len()) {
        return structured(rest, clock);
    }
    let (at, rest) = moment(text, clock)?;
    // On its way to the syslog daemon a line has no host yet.
    let (host, rest) = match word(rest)? {
        (name, _) if name.ends_with(b":") => (None, rest),
        (name, rest) => (Some(name), rest),
    };
    let (program, pid, message) = tag(rest)?;
    Some(Line {
        at,
        host,
        program: Some(program),
        pid,
        message,
    })
}

/// What follows `<34>`.
fn priority(text: &[u8]) -> &[u8] {
    let after = || {
        let rest = text.strip_prefix(b"<")?;
        let (digits, rest) = split(rest, b'>')?;
        ((1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)).then_some(rest)
    };
    after().unwrap_or(text)
}

/// RFC 5424 after its version: `TIME HOST PROGRAM PID ID DATA MESSAGE`.
fn structured(text: &[u8], clock: Clock) -> Option<Line<'_>> {
    let (time, rest) = word(text)?;
    let at = if time == b"-" {
        None
    } else {
        Some(iso(time, clock)?)
    };
    let (host, rest) = word(rest)?;
    let (program, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (_, rest) = word(rest)?;
    let mut message = if rest == b"-" {
        &[][..]
    } else {
        rest.strip_prefix(b"- ").unwrap_or(rest)
    };
    while message.starts_with(b"[") {
        message = split(message, b']')?.1;
    }
    let message = message.strip_prefix(b" ").unwrap_or(message);
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    Some(Line {
        at,
        host: Some(host),
        program: Some(program),
        pid: number(pid),
        message,
    })
}

/// `PROGRAM[PID]: MESSAGE` or `PROGRAM: MESSAGE`
fn tag(text: &[u8]) -> Option<(&[u8], Option<u32>, &[u8])> {
    let end = text
        .iter()
        .position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    let (program, rest) = text.split_at_checked(end)?;
    let (pid, rest) = match rest.strip_prefix(b"[") {
        Some(rest) => {
            let (pid, rest) = split(rest, b']')?;
            (Some(number(pid)?), rest)
        }
        None => (None, rest),
    };
    let message = rest.strip_prefix(b":")?;
    (!program.is_empty()).then_some((program, pid, message.strip_prefix(b" ").unwrap_or(message)))
}

fn number(text: &[u8]) -> Option<u32> {
    digits(text).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T12:00:00Z, on a host two hours ahead.
    const CLOCK: Clock = Clock {
        now: Timestamp::from_micros(1_795_262_400_000_000),
        ahead: 7200,
    };

    fn seen(line: &str) -> String {
        let read = read(line.as_bytes(), CLOCK);
        let text = |bytes: Option<&[u8]>| {
            bytes.map_or("-".to_owned(), |bytes| {
                String::from_utf8_lossy(bytes).into_owned()
            })
        };
        let at = read.at.map_or("-".to_owned(), |at| at.to_string());
        let pid = read.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let (host, program) = (text(read.host), text(read.program));
        format!("{at} {host} {program} {pid} {}", text(Some(read.message)))
    }

    #[test]
    fn headers_of_every_kind() {
        for (line, expected) in [
            (
                "Nov  9 03:04:05 h sshd[12]: a b",
                "2026-11-09T01:04:05Z h sshd 12 a b",
            ),
            (
                "<38>Nov 21 03:04:05 h sshd-session[12]: a",
                "2026-11-21T01:04:05Z h sshd-session 12 a",
            ),
            (
                "<38>Nov 21 03:04:05 sshd[12]: a b",
                "2026-11-21T01:04:05Z - sshd 12 a b",
            ),
            (
                "Nov 21 03:04:05.123456 h sshd[12]: a",
                "2026-11-21T01:04:05Z h sshd 12 a",
            ),
            (
                "2026-11-21T03:04:05.123456+01:00 h sshd[12]: a\r\n",
                "2026-11-21T02:04:05Z h sshd 12 a",
            ),
            (
                "2026-11-21T03:04:05-0330 h sshd[12]: a",
                "2026-11-21T06:34:05Z h sshd 12 a",
            ),
            (
                "2026-11-21T03:04:05Z h sshd: a",
                "2026-11-21T03:04:05Z h sshd - a",
            ),
            (
                "<38>1 2026-11-21T03:04:05Z h sshd 12 - - a",
                "2026-11-21T03:04:05Z h sshd 12 a",
            ),
            (
                "<38>1 2026-11-21T03:04:05Z h sshd - - [x y=\"z\"] a",
                "2026-11-21T03:04:05Z h sshd - a",
            ),
            (
                "Sat 2026-11-21 03:04:05 UTC h sshd[12]: a",
                "2026-11-21T03:04:05Z h sshd 12 a",
            ),
            (
                "1795230245.123456 h sshd[12]: a",
                "2026-11-21T03:04:05Z h sshd 12 a",
            ),
            ("[   12.345678] h sshd[12]: a", "- h sshd 12 a"),
            ("Failed password for bob", "- - - - Failed password for bob"),
            (
                "Nov 31 03:04:05 h sshd[12]: a",
                "- - - - Nov 31 03:04:05 h sshd[12]: a",
            ),
            (
                "2026-11-21T03:04:05Z h sshd[x]: a",
                "- - - - 2026-11-21T03:04:05Z h sshd[x]: a",
            ),
            ("", "- - - - "),
        ] {
            assert_eq!(seen(line), expected, "{line}");
        }
    }

    #[test]
    fn the_year_that_is_left_out_is_the_one_that_is_not_to_come() {
        for (line, expected) in [
            ("Dec 31 23:00:00 h sshd[1]: a", "2025-12-31T21:00:00Z"),
            ("Nov 22 13:00:00 h sshd[1]: a", "2026-11-22T11:00:00Z"),
            ("Nov 23 13:00:00 h sshd[1]: a", "2025-11-23T11:00:00Z"),
            ("Feb 29 12:00:00 h sshd[1]: a", "2024-02-29T10:00:00Z"),
        ] {
            assert!(seen(line).starts_with(expected), "{line}: {}", seen(line));
        }
    }
}
