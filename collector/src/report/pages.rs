//! The page of the report: the last seven days in one screen.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::Sources;
use crate::people::Needs;
use crate::web::{Answer, Frame, Pages, Visitor, page};

/// `/report`, and `/report/signed`: the same, signed, to keep.
pub(crate) fn pages(sources: Sources) -> Pages {
    Pages::new()
        .entry("/report", "Report")
        .get("/report", Needs::See, show)
        .get("/report/signed", Needs::See, signed)
        .with_state(sources)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Week {
    frame: Frame,
    lines: Vec<(&'static str, String)>,
}

async fn show(State(sources): State<Sources>, visitor: Visitor) -> Answer {
    let report = sources.report(visitor.now, visitor.now).await?;
    page(&Week {
        frame: visitor.frame("Report"),
        lines: report.lines(),
    })
}

async fn signed(State(sources): State<Sources>, visitor: Visitor) -> Answer {
    let text = sources.signed(visitor.now).await?;
    let name = "attachment; filename=\"report.json\"";
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CONTENT_DISPOSITION, name),
    ];
    Ok((headers, text).into_response())
}
