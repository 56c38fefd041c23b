//! The log that OpenVPN writes itself (`log`, `log-append`): when, and which message.

use watchward_protocol::time::Timestamp;

use crate::access::cursor::{number, word};
use crate::access::moment::{iso, moment};
use crate::access::syslog::Clock;

/// Takes a line apart: `2026-11-21 03:04:05 TEXT` since 2.5, `Sat Nov 21 03:04:05 2026 TEXT` before,
/// with ` us=123456` at `verb 4`, `1795230245.123456 29 TEXT` with `machine-readable-output`, and
/// nothing but TEXT with `suppress-timestamps`.
pub fn read(line: &[u8], clock: Clock) -> (Option<Timestamp>, &[u8]) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((at, rest)) = since_2_5(line, clock)
        .or_else(|| machine_readable(line, clock))
        .or_else(|| before_2_5(line, clock))
    else {
        return (None, line);
    };
    let (more, behind) = word(rest);
    let micros = more.strip_prefix(b"us=").and_then(number::<u32>);
    (Some(at), if micros.is_some() { behind } else { rest })
}

fn since_2_5(line: &[u8], clock: Clock) -> Option<(Timestamp, &[u8])> {
    let (date, rest) = word(line);
    let (time, rest) = word(rest);
    if date.len() != 10 || time.len() != 8 {
        return None;
    }
    Some((iso(&[date, b"T", time].concat(), clock)?, rest))
}

fn machine_readable(line: &[u8], clock: Clock) -> Option<(Timestamp, &[u8])> {
    let (time, rest) = word(line);
    let (flags, rest) = word(rest);
    let hex = !flags.is_empty() && flags.iter().all(u8::is_ascii_hexdigit);
    let time = [time, b" "].concat();
    let (at, _) = moment(&time, clock).filter(|_| hex && time.contains(&b'.'))?;
    Some((at?, rest))
}

fn before_2_5(line: &[u8], clock: Clock) -> Option<(Timestamp, &[u8])> {
    let (day, dated) = word(line);
    if day.len() != 3 {
        return None;
    }
    let (at, rest) = moment(dated, clock)?;
    let (year, rest) = word(rest);
    let plain = year.len() == 4 && year.iter().all(u8::is_ascii_digit);
    Some((at.filter(|_| plain)?, rest))
}
