//! What is drawn, and what is said of it.

use watchward_protocol::health::Range;

use super::*;

const NONE: Limits = Limits {
    warning: None,
    critical: None,
    least: None,
    most: None,
};

fn range(start: Option<f64>, end: Option<f64>, inverted: bool) -> Option<Range> {
    Some(Range {
        start,
        end,
        inverted,
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

#[test]
fn breaks_the_line_where_nothing_came() {
    let points = [(0, 1.0), (10, 2.0), (20, 3.0), (90, 1.0), (100, 2.0)];
    let points = points.map(|(second, value)| (at(second), value));
    let ends = (at(0), at(100));
    let spark = Spark::draw(("cpu", "%"), &points, ends, 30_000_000, &NONE).unwrap();
    assert_eq!(
        spark.lines,
        ["0.0,26.0 16.0,14.0 32.0,2.0", "144.0,26.0 160.0,14.0"]
    );
    assert_eq!((spark.low.as_str(), spark.high.as_str()), ("1 %", "3 %"));
    assert!(Spark::draw(("cpu", "%"), &[], ends, 1, &NONE).is_none());
}

#[test]
fn a_name_is_text() {
    let points = [(at(0), 1.0)];
    let spark = Spark::draw(("<b>\"", "<i>"), &points, (at(0), at(1)), 1, &NONE).unwrap();
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

#[test]
fn limits_are_drawn_and_said() {
    let points = [(at(0), 10.0), (at(100), 20.0)];
    let limits = Limits {
        warning: range(Some(0.0), Some(40.0), false),
        critical: range(Some(0.0), Some(58.0), false),
        least: Some(0.0),
        most: Some(64.0),
    };
    let spark = Spark::draw(("disk", "GB"), &points, (at(0), at(100)), 1 << 40, &limits).unwrap();
    let html = spark.html().unwrap().to_string();
    assert_eq!(spark.lines, ["0.0,26.0 160.0,21.0"]);
    for part in [
        "<line class=\"warning\" x1=\"0\" x2=\"160\" y1=\"11.0\" y2=\"11.0\"",
        "<line class=\"critical\" x1=\"0\" x2=\"160\" y1=\"2.0\" y2=\"2.0\"",
        "aria-label=\"disk: now 20 GB, lowest 10 GB, highest 20 GB of at most 64 GB; \
         warning above 40 GB; critical above 58 GB\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn every_kind_of_limit_has_words() {
    for (limit, words) in [
        (range(None, Some(5.0), false), "critical above 5 %"),
        (range(Some(10.0), None, false), "critical below 10 %"),
        (
            range(Some(1.0), Some(2.0), false),
            "critical outside 1 % – 2 %",
        ),
        (
            range(Some(1.0), Some(2.0), true),
            "critical within 1 % – 2 %",
        ),
        (range(Some(3.0), None, true), "critical from 3 %"),
        (range(None, Some(3.0), true), "critical up to 3 %"),
    ] {
        let limits = Limits {
            critical: limit,
            ..NONE
        };
        assert_eq!(said(&limits, "%"), [words]);
    }
    assert!(said(&NONE, "%").is_empty());
    let floor = Limits {
        warning: range(Some(0.0), Some(9.0), false),
        ..NONE
    };
    assert_eq!(drawn(&floor, 1.0).len(), 1);
    assert_eq!(drawn(&floor, -1.0).len(), 2);
}
