//! A small graph of what was measured, drawn as SVG.

use askama::Template;
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
}

impl Spark {
    /// Draws points in order of time, from one moment to another; where nothing came for longer than
    /// `gap` microseconds the line is broken. `None` without any point.
    pub fn draw(
        (name, unit): (&str, &str),
        points: &[(Timestamp, f64)],
        (from, to): (Timestamp, Timestamp),
        gap: i64,
    ) -> Option<Self> {
        let last = points.last()?.1;
        let low = points.iter().map(|point| point.1).fold(last, f64::min);
        let high = points.iter().map(|point| point.1).fold(last, f64::max);
        let range = if high > low { high - low } else { 1.0 };
        let span = seconds(to, from).max(1.0);
        let place = |(at, value): &(Timestamp, f64)| {
            let x = (seconds(*at, from) / span).clamp(0.0, 1.0) * WIDTH;
            let y = HEIGHT - 2.0 - (value - low) / range * (HEIGHT - 4.0);
            format!("{x:.1},{y:.1}")
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
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn breaks_the_line_where_nothing_came() {
        let points = [(0, 1.0), (10, 2.0), (20, 3.0), (90, 1.0), (100, 2.0)];
        let points = points.map(|(second, value)| (at(second), value));
        let ends = (at(0), at(100));
        let spark = Spark::draw(("cpu", "%"), &points, ends, 30_000_000).unwrap();
        assert_eq!(
            spark.lines,
            ["0.0,26.0 16.0,14.0 32.0,2.0", "144.0,26.0 160.0,14.0"]
        );
        assert_eq!((spark.low.as_str(), spark.high.as_str()), ("1 %", "3 %"));
        assert!(Spark::draw(("cpu", "%"), &[], ends, 1).is_none());
    }

    #[test]
    fn a_name_is_text() {
        let points = [(at(0), 1.0)];
        let spark = Spark::draw(("<b>\"", "<i>"), &points, (at(0), at(1)), 1).unwrap();
        let html = spark.html().unwrap().to_string();
        assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
    }

    #[test]
    fn numbers_are_short() {
        for (number, unit, text) in [
            (0.0, "%", "0 %"),
            (12.345, "%", "12.3 %"),
            (0.0123, "s", "12.3 ms"),
            (1536.0, "B", "1.5 KiB"),
            (987_654.0, "", "987654"),
            (100.0, "c", "100 c"),
        ] {
            assert_eq!(shown(number, unit), text);
        }
    }
}
