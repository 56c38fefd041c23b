//! `expiry-time="YYYYMMDD[HHMM[SS]][Z]"`, as sshd reads it (`parse_absolute_time`).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Moment};
use watchward_protocol::time::Timestamp;

/// The moment that is meant: of UTC with a `Z` or `UTC` at its end, else of the host's time zone.
pub(super) fn read(text: &[u8], zone: &TimeZone) -> Option<Timestamp> {
    let (text, utc) = match text {
        [text @ .., b'Z' | b'z'] if !text.is_empty() => (text, true),
        [text @ .., u, t, c] if !text.is_empty() && [*u, *t, *c].eq_ignore_ascii_case(b"UTC") => {
            (text, true)
        }
        _ => (text, false),
    };
    let there = local(text)?;
    let moment = if utc {
        TimeZone::UTC.to_timestamp(there).ok()?
    } else {
        standard(there, zone)?
    };
    // sshd takes nothing from before 1970, and 1970 itself for no time at all.
    (moment > Moment::UNIX_EPOCH).then(|| Timestamp::from_micros(moment.as_microsecond()))
}

/// What a calendar and a clock would show. A day or a second too many runs over, as in C.
fn local(text: &[u8]) -> Option<DateTime> {
    if !matches!(text.len(), 8 | 12 | 14) {
        return None;
    }
    let field = |at: usize, size: usize, least: i64, most: i64| {
        let Some(digits) = text.get(at..at + size) else {
            return Some(least);
        };
        // Blanks before a number are taken, as C's `strptime` does.
        let digits = digits.trim_ascii_start();
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(digits).ok()?.parse().ok();
        number.filter(|number| plain && (least..=most).contains(number))
    };
    let (year, month) = (field(0, 4, 0, 9999)?, field(4, 2, 1, 12)?);
    let days = field(6, 2, 1, 31)? - 1;
    let (hours, minutes, seconds) = (
        field(8, 2, 0, 23)?,
        field(10, 2, 0, 59)?,
        field(12, 2, 0, 61)?,
    );
    let first = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
    let since = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    let start = first.to_datetime(jiff::civil::Time::midnight());
    start.checked_add(SignedDuration::from_secs(since)).ok()
}

/// The moment when a clock shows this that knows no summer time: sshd tells C's `mktime` that it is
/// none, so that in summer a line counts for an hour longer than it seems to say.
fn standard(there: DateTime, zone: &TimeZone) -> Option<Moment> {
    let about = zone.to_timestamp(there).ok()?;
    if !zone.to_offset_info(about).dst().is_dst() {
        return Some(about);
    }
    let mut before = zone.preceding(about).filter(|it| !it.dst().is_dst());
    let offset = before.next().map(|it| it.offset()).or_else(|| {
        let mut after = zone.following(about).filter(|it| !it.dst().is_dst());
        after.next().map(|it| it.offset())
    })?;
    offset.to_timestamp(there).ok()
}
