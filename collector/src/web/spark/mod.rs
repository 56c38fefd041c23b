//! A small graph of what was measured, drawn as SVG.

use askama::Template;
use watchward_protocol::health::Limits;
use watchward_protocol::time::Timestamp;

use super::page::Html;

/// The size of the drawing, in its own units.
const WIDTH: f64 = 160.0;
const HEIGHT: f64 = 28.0;

/// A small graph, with its numbers in words for whom it cannot be drawn.
#[derive(Debug, Template)]
#[template(path = "spark.html")]
pub struct Spark {
    name: String,
    last: String,
    low: String,
    high: String,
    lines: Vec<String>,
    marks: Vec<Mark>,
    limits: Vec<String>,
    /// What the number can be, in words.
    bounds: String,
}

/// Where a limit is, in the drawing's own units.
#[derive(Debug)]
struct Mark {
    y: String,
    class: &'static str,
}

impl Spark {
    /// Draws points in order of time, from one moment to another; where nothing came for longer than
    /// `gap` microseconds the line is broken. Limits are drawn across, and there is room for them.
    /// `None` without any point.
    pub fn draw(
        (name, unit): (&str, &str),
        points: &[(Timestamp, f64)],
        (from, to): (Timestamp, Timestamp),
        gap: i64,
        limits: &Limits,
    ) -> Option<Self> {
        let last = points.last()?.1;
        let low = points.iter().map(|point| point.1).fold(last, f64::min);
        let high = points.iter().map(|point| point.1).fold(last, f64::max);
        let drawn = drawn(limits, low);
        let bottom = drawn.iter().map(|one| one.0).fold(low, f64::min);
        let top = drawn.iter().map(|one| one.0).fold(high, f64::max);
        let range = if top > bottom { top - bottom } else { 1.0 };
        let span = seconds(to, from).max(1.0);
        let height = |value: f64| HEIGHT - 2.0 - (value - bottom) / range * (HEIGHT - 4.0);
        let place = |(at, value): &(Timestamp, f64)| {
            let x = (seconds(*at, from) / span).clamp(0.0, 1.0) * WIDTH;
            format!("{x:.1},{:.1}", height(*value))
        };
        let mark = |(limit, class): (f64, &'static str)| Mark {
            y: format!("{:.1}", height(limit)),
            class,
        };
        let pieces = points
            .chunk_by(|earlier, later| later.0.as_micros() - earlier.0.as_micros() <= gap)
            .map(|piece| {
                let places: Vec<_> = piece.iter().map(place).collect();
                match places.as_slice() {
                    // A line of one point is not drawn; of two it is.
                    [only] => format!("{only} {only}"),
                    all => all.join(" "),
                }
            });
        Some(Self {
            name: name.to_owned(),
            last: shown(last, unit),
            low: shown(low, unit),
            high: shown(high, unit),
            lines: pieces.collect(),
            marks: drawn.into_iter().map(mark).collect(),
            limits: said(limits, unit),
            bounds: possible(limits, unit),
        })
    }

    /// The drawing.
    ///
    /// # Errors
    /// None that are known.
    pub fn html(&self) -> anyhow::Result<Html> {
        Html::of(self)
    }
}

/// The ends of each limit, with the class of its line. That a number may not be below zero is not
/// worth a line where none is.
fn drawn(limits: &Limits, low: f64) -> Vec<(f64, &'static str)> {
    let levels = [(limits.warning, "warning"), (limits.critical, "critical")];
    let mut drawn = Vec::new();
    for (range, class) in levels {
        let Some(range) = range else { continue };
        let start = range.start.filter(|start| *start != 0.0 || low < 0.0);
        let ends = [start, range.end].into_iter().flatten();
        drawn.extend(ends.map(|end| (end, class)));
    }
    drawn
}

/// From where on it is worth a look, and bad, in words.
fn said(limits: &Limits, unit: &str) -> Vec<String> {
    let levels = [("warning", limits.warning), ("critical", limits.critical)];
    let said = levels.into_iter().filter_map(|(level, range)| {
        let range = range?;
        let number = |number| shown(number, unit);
        let start = range.start.filter(|start| *start != 0.0);
        let place = match (start, range.end) {
            (None, None) => return None,
            (None, Some(end)) if range.inverted => format!("up to {}", number(end)),
            (None, Some(end)) => format!("above {}", number(end)),
            (Some(start), None) if range.inverted => format!("from {}", number(start)),
            (Some(start), None) => format!("below {}", number(start)),
            (Some(start), Some(end)) => {
                let side = if range.inverted { "within" } else { "outside" };
                format!("{side} {} – {}", number(start), number(end))
            }
        };
        Some(format!("{level} {place}"))
    });
    said.collect()
}

/// What the number can be, in words; nothing where it is not said, or said by the unit.
fn possible(limits: &Limits, unit: &str) -> String {
    match limits.most {
        Some(most) if unit != "%" => format!("of at most {}", shown(most, unit)),
        Some(_) | None => String::new(),
    }
}

fn seconds(later: Timestamp, earlier: Timestamp) -> f64 {
    later.since(earlier).as_secs_f64()
}

/// A number as people read it: bytes in the unit that fits, seconds in milliseconds where short.
pub(super) fn shown(number: f64, unit: &str) -> String {
    const SIZES: [(f64, &str); 4] = [
        (1_099_511_627_776.0, "TiB"),
        (1_073_741_824.0, "GiB"),
        (1_048_576.0, "MiB"),
        (1024.0, "KiB"),
    ];
    let size = SIZES.into_iter().find(|(size, _)| number.abs() >= *size);
    match (unit, size) {
        ("B", Some((size, unit))) => format!("{} {unit}", rounded(number / size)),
        ("s", _) if number.abs() < 1.0 => format!("{} ms", rounded(number * 1000.0)),
        ("", _) => rounded(number),
        ("%", _) => format!("{} %", rounded(number)),
        _ => format!("{} {unit}", rounded(number)),
    }
}

/// Three digits that count, no more.
fn rounded(number: f64) -> String {
    let digits = match number.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{number:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests;
