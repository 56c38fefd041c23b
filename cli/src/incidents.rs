//! `watchward incidents`: what people were told of, and how.

use serde_json::Value;

use crate::client::Client;
use crate::hosts::encoded;
use crate::row::Row;
use crate::screen::{Screen, safe, safe_lines};

pub(crate) async fn run(
    collector: &Client,
    code: Option<String>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let path = match &code {
        Some(code) => format!("/v1/incidents/{}", encoded(code)),
        None => "/v1/incidents".to_owned(),
    };
    let answer: Value = collector.fetch(&path, &[]).await?;
    if screen.is_for_programs() {
        let list = answer.get("incidents").unwrap_or(&answer);
        return Ok(screen.json(list)?);
    }
    if code.is_none() {
        return list(&answer, screen);
    }
    for incident in Row::all(&answer) {
        one(incident, screen)?;
    }
    Ok(())
}

fn list(answer: &Value, screen: &mut Screen) -> anyhow::Result<()> {
    let rows: Vec<_> = Row::all(answer)
        .map(|incident| {
            [
                incident.cell("id"),
                incident.cell("severity"),
                incident.cell("state"),
                incident.moment("opened_at"),
                incident.cell("host"),
                incident.cell("title"),
            ]
        })
        .collect();
    let heads = ["ID", "SEVERITY", "STATE", "OPENED (UTC)", "HOST", "WHAT"];
    Ok(screen.table(heads, &rows)?)
}

/// All about one incident.
fn one(incident: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let head = format!(
        "{} {}, {}: {}",
        incident.cell("id"),
        incident.cell("severity"),
        incident.cell("state"),
        incident.text("title")
    );
    screen.line(&safe(&head))?;
    for name in ["detail", "advice"] {
        screen.line("")?;
        screen.line(&safe_lines(&incident.text(name)))?;
    }
    screen.line("")?;
    let rows: Vec<_> = incident
        .list("history")
        .map(|event| {
            [
                event.moment("at"),
                event.cell("event"),
                event.cell("channel"),
                event.cell("to"),
                event.cell("detail"),
            ]
        })
        .collect();
    Ok(screen.table(["WHEN (UTC)", "WHAT", "BY", "TO", "DETAIL"], &rows)?)
}
