//! `watchward incidents`: what people were told of, and how.

use serde_json::{Value, json};

use crate::args::{Room, Severity};
use crate::client::Client;
use crate::hosts::encoded;
use crate::row::Row;
use crate::screen::{Screen, safe, safe_lines};

/// The incidents, all of them or some.
pub(crate) async fn list(
    collector: &Client,
    (open, host, limit): (bool, Option<String>, Option<u32>),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let of_host = host.is_some();
    let asked = json!({ "state": open.then_some("open"), "host": host, "limit": limit });
    let query = Row::of(&asked).query(&["state", "host", "limit"]);
    let answer: Value = collector.fetch("/v1/incidents", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(answer.get("incidents").unwrap_or(&answer))?);
    }
    let rows: Vec<_> = Row::all(&answer)
        .map(|incident| {
            [
                incident.cell("id"),
                incident.cell("severity"),
                state(incident),
                incident.moment("opened_at"),
                incident.cell("host"),
                incident.cell("title"),
            ]
        })
        .collect();
    let heads = ["ID", "SEVERITY", "STATE", "OPENED (UTC)", "HOST", "WHAT"];
    let none = match (open, of_host) {
        (true, false) => "No incident is open.",
        (true, true) => "No incident of this host is open.",
        (false, false) => "There was no incident yet.",
        (false, true) => "There was no incident of this host yet.",
    };
    screen.list(heads, &rows, none)?;
    match Row::of(&answer).number("more") {
        None | Some(0) => Ok(()),
        Some(more) => Ok(screen.line(&format!("and {more} more, which are older"))?),
    }
}

/// `open`, `over`, or why nobody is told more of what is open: `silenced`, `acknowledged`.
fn state(incident: Row<'_>) -> String {
    if silence(incident).is_some() {
        return "silenced".to_owned();
    }
    if taken(incident).is_some() && incident.text("state") == "open" {
        return "acknowledged".to_owned();
    }
    incident.cell("state")
}

/// Who has taken an incident on.
fn taken(incident: Row<'_>) -> Option<Row<'_>> {
    let taken = incident.value().get("acknowledged")?;
    taken.is_object().then(|| Row::of(taken))
}

/// The silence that covers an incident now.
fn silence(incident: Row<'_>) -> Option<Row<'_>> {
    let silence = incident.value().get("silence")?;
    silence.is_object().then(|| Row::of(silence))
}

/// By whom, until when and why nobody is told.
fn silenced(silence: Row<'_>) -> String {
    let (by, until) = (silence.text("author"), silence.moment("until"));
    let why = silence.text("reason");
    format!("Silenced by {by} until {until} UTC: {why}")
}

/// Takes an incident on.
pub(crate) async fn acknowledge(
    collector: &Client,
    code: &str,
    note: Option<String>,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let path = format!("/v1/incidents/{}/ack", encoded(code));
    let body = json!({ "note": note.unwrap_or_default() });
    let answer: Value = collector.post(&path, &body).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let code = safe(&Row::of(&answer).text("acknowledged"));
    Ok(screen.line(&format!(
        "{code} is yours: nobody else is told of it, unless it becomes worse or is over."
    ))?)
}

/// Who would be told of an incident, by what, and where.
pub(crate) async fn route(
    collector: &Client,
    (severity, room, host): (Severity, Option<Room>, Option<String>),
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let asked = json!({ "severity": severity, "room": room, "host": host });
    let query = Row::of(&asked).query(&["severity", "room", "host"]);
    let answer: Value = collector.fetch("/v1/alerting/route", &query).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(&answer)?);
    }
    let silence = answer.get("silence").filter(|silence| silence.is_object());
    if let Some(silence) = silence {
        return Ok(screen.line(&safe(&silenced(Row::of(silence))))?);
    }
    let rows: Vec<_> = Row::of(&answer)
        .list("told")
        .map(|told| [told.cell("contact"), told.cell("channel"), told.cell("to")])
        .collect();
    Ok(screen.list(["WHO", "BY", "TO"], &rows, "Nobody would be told.")?)
}

/// All about the incident with this code.
pub(crate) async fn one(collector: &Client, code: &str, screen: &mut Screen) -> anyhow::Result<()> {
    let path = format!("/v1/incidents/{}", encoded(code));
    let answer: Value = collector.fetch(&path, &[]).await?;
    if screen.is_for_programs() {
        return Ok(screen.json(answer.get("incidents").unwrap_or(&answer))?);
    }
    for incident in Row::all(&answer) {
        whole(incident, screen)?;
    }
    Ok(())
}

fn whole(incident: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let head = format!(
        "{} {}, {}: {}",
        incident.cell("id"),
        incident.cell("severity"),
        incident.cell("state"),
        incident.text("title")
    );
    screen.line(&safe(&head))?;
    if let Some(taken) = taken(incident) {
        let (by, at) = (taken.text("by"), taken.moment("at"));
        let note = taken.text("note");
        let line = format!("Acknowledged by {by} at {at} UTC: {note}");
        screen.line(&safe(line.trim_end_matches(": ")))?;
    }
    if let Some(silence) = silence(incident) {
        screen.line(&safe(&silenced(silence)))?;
    }
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
    screen.table(["WHEN (UTC)", "WHAT", "BY", "TO", "DETAIL"], &rows)?;
    waiting(incident, screen)
}

/// Who has yet to be told, and why they have not been.
fn waiting(incident: Row<'_>, screen: &mut Screen) -> anyhow::Result<()> {
    let live = |message: &Row<'_>| {
        let state = message.text("state");
        matches!(
            state.as_str(),
            "pending" | "held" | "folded" | "leased" | "unknown"
        )
    };
    let rows: Vec<_> = incident
        .list("messages")
        .filter(live)
        .map(|message| {
            [
                message.moment("created_at"),
                message.cell("state"),
                message.cell("channel"),
                message.cell("to"),
                message.cell("detail"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    Ok(screen.table(["WRITTEN (UTC)", "NOT TOLD YET", "BY", "TO", "WHY"], &rows)?)
}
