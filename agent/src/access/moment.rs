//! The time at the start of a log's line, in all the ways that it is written. Pure.

use watchward_protocol::time::Timestamp;

/// Needed where a line does not tell its year or its offset from UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment of reading; a line is never of much later.
    pub now: Timestamp,
    /// How many seconds the host's clock is ahead of UTC.
    pub ahead: i64,
}

/// The time at the start of a line, in whichever way it is written.
pub(super) fn moment(text: &[u8], clock: Clock) -> Option<(Option<Timestamp>, &[u8])> {
    match text.first()? {
        b'0'..=b'9' => {
            let (time, rest) = word(text)?;
            let at = iso(time, clock).or_else(|| unix(time))?;
            Some((Some(at), rest))
        }
        b'[' => {
            let (since_boot, rest) = split(text, b']')?;
            let plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b' ' | b'.' | b'[');
            let rest = rest.strip_prefix(b" ")?;
            since_boot.iter().all(plain).then_some((None, rest))
        }
        _ => traditional(text, clock).or_else(|| full(text, clock)),
    }
}

/// `Nov  9 03:04:05[.123456] `
fn traditional(text: &[u8], clock: Clock) -> Option<(Option<Timestamp>, &[u8])> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (name, rest) = text.split_at_checked(3)?;
    let month = MONTHS.chunks_exact(3).position(|month| month == name)?;
    let month = i64::try_from(month).ok()? + 1;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = word(rest.strip_prefix(b" ").unwrap_or(rest))?;
    let (time, rest) = word(rest)?;
    let (day, time) = (digits(day)?, of_day(time)?);
    let now = clock.now.as_micros() + clock.ahead * 1_000_000;
    // A log is read up to a day before its own time at most, by clocks that differ.
    let latest = now + 86_400_000_000;
    let this_year = year_of(latest.div_euclid(86_400_000_000));
    let local = (0..8).map(|back| this_year - back).find_map(|year| {
        let at = days(year, month, day)? * 86_400_000_000 + time;
        (at <= latest).then_some(at)
    })?;
    Some((
        Some(Timestamp::from_micros(local - clock.ahead * 1_000_000)),
        rest,
    ))
}

/// `Sat 2026-11-21 03:04:05 UTC `, as `journalctl -o short-full` writes
fn full(text: &[u8], clock: Clock) -> Option<(Option<Timestamp>, &[u8])> {
    let (name, rest) = word(text)?;
    let (date, rest) = word(rest)?;
    let (time, rest) = word(rest)?;
    let (zone, rest) = word(rest)?;
    let ahead = if matches!(zone, b"UTC" | b"GMT") {
        0
    } else {
        clock.ahead
    };
    let at = calendar(date)? * 86_400_000_000 + of_day(time)? - ahead * 1_000_000;
    (name.len() == 3).then_some((Some(Timestamp::from_micros(at)), rest))
}

/// `2026-11-21T03:04:05[.123456][Z|+01:00|+0100]`
pub(super) fn iso(text: &[u8], clock: Clock) -> Option<Timestamp> {
    let (date, rest) = split(text, b'T')?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'+' | b'-'));
    let (time, zone) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    let ahead = match zone {
        b"Z" => 0,
        b"" => clock.ahead,
        [sign, zone @ ..] => {
            let (hours, minutes) = match zone {
                [a, b, b':', c, d] | [a, b, c, d] => ([*a, *b], [*c, *d]),
                _ => return None,
            };
            let ahead = digits(&hours)? * 3600 + digits(&minutes)? * 60;
            if *sign == b'-' { -ahead } else { ahead }
        }
    };
    let at = calendar(date)? * 86_400_000_000 + of_day(time)? - ahead * 1_000_000;
    Some(Timestamp::from_micros(at))
}

/// `1795230245.123456`, as `journalctl -o short-unix` writes
fn unix(text: &[u8]) -> Option<Timestamp> {
    let (seconds, fraction) = split(text, b'.')?;
    if !(9..=11).contains(&seconds.len()) {
        return None;
    }
    Some(Timestamp::from_micros(
        digits(seconds)? * 1_000_000 + micros(fraction)?,
    ))
}

/// Microseconds of a day from `03:04:05[.123456]`
fn of_day(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match split(text, b'.') {
        Some((clock, fraction)) => (clock, micros(fraction)?),
        None => (text, 0),
    };
    let [a, b, b':', c, d, b':', e, f] = clock else {
        return None;
    };
    let (hour, minute, second) = (digits(&[*a, *b])?, digits(&[*c, *d])?, digits(&[*e, *f])?);
    let sound = hour < 24 && minute < 60 && second <= 60;
    sound.then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
}

/// Microseconds from the digits behind a point.
fn micros(fraction: &[u8]) -> Option<i64> {
    let kept = fraction.get(..6).unwrap_or(fraction);
    let scale = 10_i64.pow(6_u32.saturating_sub(u32::try_from(kept.len()).ok()?));
    (fraction.len() <= 9).then_some(())?;
    Some(digits(kept)? * scale)
}

/// Days since the start of 1970 from `2026-11-21`
fn calendar(text: &[u8]) -> Option<i64> {
    let [a, b, c, d, b'-', e, f, b'-', g, h] = text else {
        return None;
    };
    days(
        digits(&[*a, *b, *c, *d])?,
        digits(&[*e, *f])?,
        digits(&[*g, *h])?,
    )
}

/// Days since the start of 1970, in the Gregorian calendar. `None`: there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // The year is counted from March, so that the leap day is its last one.
    let shifted = if month > 2 { year } else { year - 1 };
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let leaps = shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    Some(shifted * 365 + leaps + of_year - 719_468)
}

/// The year that a day since the start of 1970 is in.
fn year_of(day: i64) -> i64 {
    let guess = 1970 + day.div_euclid(366);
    (guess..guess + 4)
        .rev()
        .find(|year| days(*year, 1, 1).is_some_and(|at| at <= day))
        .unwrap_or(guess)
}

/// The bytes before the first space, which are some, and those after it.
pub(super) fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    split(text, b' ').filter(|(word, _)| !word.is_empty())
}

/// What stands before and after the first of a byte.
pub(super) fn split(text: &[u8], by: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == by)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// A number of up to eleven digits.
pub(super) fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 11 {
        return None;
    }
    text.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + i64::from(byte - b'0'))
    })
}
