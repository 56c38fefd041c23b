//! The access log as a file: CSV for spreadsheets, JSON lines for programs. All that the filter
//! asks for, as a stream, the newest first.

use std::collections::VecDeque;
use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::filter::{Asked, Filter};
use super::shown::Shown;
use super::{Has, Visitor};
use crate::access::rows::listing::{self, Wanted};
use crate::store::Store;
use crate::web::{Answer, Sorry};

/// How many events are read at a time.
const HANDFUL: i64 = 1000;

const COLUMNS: [&str; 11] = [
    "at", "host", "service", "action", "outcome", "user", "target", "address", "port", "how",
    "line",
];

/// `GET /access/access.csv`.
pub(super) async fn csv(
    State(has): State<Has>,
    Query(asked): Query<Asked>,
    visitor: Visitor,
) -> Answer {
    let head = format!("{}\r\n", COLUMNS.join(","));
    let wanted = wanted(asked, &has, &visitor)?;
    Ok(file(
        "text/csv; charset=utf-8",
        "access.csv",
        (has, wanted),
        head,
        row,
    ))
}

/// `GET /access/access.jsonl`.
pub(super) async fn jsonl(
    State(has): State<Has>,
    Query(asked): Query<Asked>,
    visitor: Visitor,
) -> Answer {
    let line = |event: &Shown| {
        let text = serde_json::to_string(event).unwrap_or_default();
        format!("{text}\n")
    };
    let wanted = wanted(asked, &has, &visitor)?;
    let kind = "application/x-ndjson";
    Ok(file(
        kind,
        "access.jsonl",
        (has, wanted),
        String::new(),
        line,
    ))
}

fn wanted(asked: Asked, has: &Has, visitor: &Visitor) -> Result<Wanted, Sorry> {
    let filter = Filter::read(asked, visitor.now);
    if !filter.trouble.is_empty() {
        return Err(Sorry::refused(filter.trouble));
    }
    let mut wanted = filter.wanted(has.is_outside);
    wanted.limit = HANDFUL;
    // What comes while it is being read does not move what is read.
    wanted.until = wanted.until.or(Some(visitor.now));
    Ok(wanted)
}

fn file(
    kind: &'static str,
    name: &'static str,
    (has, wanted): (Has, Wanted),
    head: String,
    line: fn(&Shown) -> String,
) -> Response {
    let reading = Reading {
        store: has.store,
        wanted: Some(wanted),
        ready: VecDeque::from([Bytes::from(head)]),
        line,
    };
    let lines = stream::unfold(reading, async |mut reading| {
        let next = reading.next().await.transpose()?;
        Some((next, reading))
    });
    let named = format!("attachment; filename=\"{name}\"");
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, named.as_str())];
    (headers, Body::from_stream(lines)).into_response()
}

/// Somebody who reads it, and how far they are.
struct Reading {
    store: Store,
    /// What is to be read still.
    wanted: Option<Wanted>,
    ready: VecDeque<Bytes>,
    line: fn(&Shown) -> String,
}

impl Reading {
    /// What comes next; `None` at the end.
    async fn next(&mut self) -> sqlx::Result<Option<Bytes>> {
        if let Some(ready) = self.ready.pop_front() {
            return Ok(Some(ready));
        }
        let Some(mut wanted) = self.wanted.take() else {
            return Ok(None);
        };
        let mut events = listing::list(&self.store, &wanted).await?;
        events.reverse();
        let Some(last) = events.last() else {
            return Ok(None);
        };
        wanted.before = Some(last.cursor());
        self.wanted = Some(wanted);
        let lines = events.into_iter().map(Shown::from);
        let text: String = lines.map(|event| (self.line)(&event)).collect();
        Ok(Some(Bytes::from(text)))
    }
}

/// A row of a spreadsheet (RFC 4180).
fn row(event: &Shown) -> String {
    let port = event.port.map(|port| port.to_string());
    let cells = [
        Some(event.at.as_str()),
        Some(event.host.as_str()),
        Some(event.service),
        Some(event.action),
        Some(event.outcome),
        event.user.as_deref(),
        event.target.as_deref(),
        event.address.as_deref(),
        port.as_deref(),
        Some(event.how.as_str()),
        event.line.as_deref(),
    ];
    let mut row = String::new();
    for (place, text) in cells.into_iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(row, "{comma}{}", cell(text.unwrap_or_default()));
    }
    row.push_str("\r\n");
    row
}

/// A cell that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let text = text.replace('"', "\"\"");
    match formula {
        true => format!("\"'{text}\""),
        false => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0"] {
            assert!(cell(text).starts_with("\"'"), "{text}");
        }
        assert_eq!(cell("a,\"b\"\r\nc"), "\"a,\"\"b\"\"\r\nc\"");
        assert_eq!(cell("root"), "\"root\"");
    }
}
