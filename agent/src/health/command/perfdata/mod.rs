//! What a Nagios plugin writes: a line for people, and measurements (perfdata).
//!
//! As the guidelines for monitoring plugins have it: `TEXT | 'label'=value[unit];[warn];[crit];[min];[max] ...`,
//! then perhaps more lines of text, and after another `|` more measurements.

use std::fmt;

use watchward_protocol::health::{Limits, Range};

/// What a plugin wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Written {
    /// The first line, without its measurements.
    pub(super) text: String,
    /// The measurements of all lines.
    pub(super) measured: Vec<Measured>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) label: String,
    pub(super) number: f64,
    /// `%`, `s`, `us`, `ms`, `B`, `KB`, `MB`, `c`, ... or nothing.
    pub(super) unit: String,
    pub(super) limits: Limits,
}

impl Measured {
    /// The limit that it is beyond, the critical one first.
    pub(super) fn beyond(&self) -> Option<Range> {
        let limits = [self.limits.critical, self.limits.warning];
        limits
            .into_iter()
            .flatten()
            .find(|range| range.alerts(self.number))
    }
}

/// `10`, `10:`, `~:10`, `10:20`, `@10:20`.
fn range(text: &str) -> Option<Range> {
    let (inverted, text) = match text.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (start, end) = text.split_once(':').unwrap_or(("0", text));
    let start = match start {
        "~" => None,
        start => Some(number(start)?),
    };
    let end = match end {
        "" if text.contains(':') => None,
        end => Some(number(end)?),
    };
    let backwards = start.zip(end).is_some_and(|(start, end)| start > end);
    (!backwards).then_some(Range {
        start,
        end,
        inverted,
    })
}

/// A range as plugins write it.
pub(super) struct Shown(pub(super) Range);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range {
            start,
            end,
            inverted,
        } = self.0;
        f.write_str(if inverted { "@" } else { "" })?;
        match (start, end) {
            (Some(0.0), Some(end)) => write!(f, "{end}"),
            (None, None) => f.write_str("~:"),
            (None, Some(end)) => write!(f, "~:{end}"),
            (Some(start), None) => write!(f, "{start}:"),
            (Some(start), Some(end)) => write!(f, "{start}:{end}"),
        }
    }
}

/// Reads all that a plugin wrote. What is malformed is left out, and the rest is read.
pub(super) fn read(output: &str) -> Written {
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let (text, perfdata) = first.split_once('|').unwrap_or((first, ""));
    let more = rest.split_once('|').map_or("", |(_, more)| more);
    let mut measured = measurements(perfdata);
    measured.extend(measurements(more));
    Written {
        text: text.trim().to_owned(),
        measured,
    }
}

fn measurements(mut text: &str) -> Vec<Measured> {
    let mut all = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return all;
        }
        let (label, rest) = match label(text) {
            Some((label, rest)) => (Some(label), rest),
            None => (None, text),
        };
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (said, after) = rest.split_at(end);
        all.extend(label.and_then(|label| measurement(label, said)));
        text = after;
    }
}

/// The label before a `=`, and what comes after it. In quotes it may hold anything, a quote doubled.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (label, rest) = text.split_once('=')?;
        let plain = !label.is_empty() && !label.contains(char::is_whitespace);
        return plain.then(|| (label.to_owned(), rest));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                label.push('\'');
                rest = more;
            }
            None => {
                let rest = after.strip_prefix('=')?;
                return (!label.is_empty()).then_some((label, rest));
            }
        }
    }
}

/// `value[unit];[warn];[crit];[min];[max]`; a `U` in place of the value says that it is not known.
fn measurement(label: String, said: &str) -> Option<Measured> {
    let mut parts = said.split(';');
    let (number, unit) = amount(parts.next()?)?;
    let mut next = || parts.next().filter(|part| !part.is_empty());
    let (warning, critical) = (next(), next());
    let (least, most) = (next(), next());
    Some(Measured {
        label,
        number,
        unit: unit.to_owned(),
        limits: Limits {
            warning: warning.and_then(range),
            critical: critical.and_then(range),
            least: least.and_then(self::number),
            most: most.and_then(self::number),
        },
    })
}

/// A number and the unit after it.
fn amount(text: &str) -> Option<(f64, &str)> {
    let mantissa = text.find(|c: char| !c.is_ascii_digit() && !"+-.,".contains(c));
    let mantissa = mantissa.unwrap_or(text.len());
    let end = mantissa + exponent(text.get(mantissa..)?);
    let (number, unit) = text.split_at(end);
    let plain = |c: char| c.is_alphabetic() || c == '%';
    let fits = unit.len() <= 16 && unit.chars().all(plain);
    Some((self::number(number)?, unit)).filter(|_| fits)
}

/// How many bytes of an exponent (`e-05`) a text begins with.
fn exponent(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return 0;
    };
    let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let digits = unsigned.find(|c: char| !c.is_ascii_digit());
    match digits.unwrap_or(unsigned.len()) {
        0 => 0,
        digits => 1 + (rest.len() - unsigned.len()) + digits,
    }
}

/// A finite number; some languages write its point as a comma.
fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.,eE".contains(&byte);
    let number = text.bytes().all(plain).then(|| text.replace(',', "."));
    number?
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests;
